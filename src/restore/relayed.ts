// pure
/** Reads chunks of a stream of messages, and gives back what is to be sent on, in order. */
export type Relayed = (chunk: Buffer) => Buffer[]

/** A type, and a length that counts itself. */
const headerBytes = 5

/** Longer queries are none of ours, and no list of authentication methods is as long. */
const longest = 200

const simpleQuery = 0x51

/**
 * What a client sends after its start-up message: a query that only sets one of these parameters to something sets `statement_timeout` to
 * 0 instead, which pg_restore has done already. The server answers as it would have answered that.
 */
export function withoutSettings(names: readonly string[]): Relayed {
  const harmless = queryMessage('SET statement_timeout = 0;')
  const setting = new RegExp(`^SET (${names.join('|')}) = \\w+;\\s*\\0$`)
  return byMessage(
    (type, length) => type === simpleQuery && length <= longest,
    (whole) => (setting.test(whole.toString('latin1', headerBytes)) ? harmless : whole),
  )
}

function queryMessage(text: string): Buffer {
  const body = Buffer.from(`${text}\0`)
  const header = Buffer.alloc(headerBytes)
  header[0] = simpleQuery
  header.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([header, body])
}

const authentication = 0x52
const byMechanism = 10
const withBinding = Buffer.from('SCRAM-SHA-256-PLUS\0')

/**
 * What a server sends: the method that is bound to the server's TLS session is not offered, because it is not the client's session. The
 * other SCRAM method is the same without that.
 */
export const withoutBinding = (): Relayed =>
  byMessage(
    (type, length) => type === authentication && length <= longest,
    (message) => {
      const at = message.readInt32BE(headerBytes) === byMechanism ? message.indexOf(withBinding) : -1
      if (at < 0) return message
      const rest = Buffer.concat([message.subarray(0, at), message.subarray(at + withBinding.length)])
      rest.writeInt32BE(rest.length - 1, 1)
      return rest
    },
  )

/** Gathers only messages that are wanted whole; of others, every byte goes on as it comes. */
function byMessage(isWanted: (type: number, length: number) => boolean, change: (message: Buffer) => Buffer): Relayed {
  let gathered = Buffer.alloc(0)
  /** Bytes of a message that go on unseen. */
  let passing = 0
  return (chunk) => {
    const out: Buffer[] = []
    let rest = gathered.length > 0 ? Buffer.concat([gathered, chunk]) : chunk
    gathered = Buffer.alloc(0)
    while (rest.length > 0) {
      if (passing > 0) {
        const part = rest.subarray(0, passing)
        out.push(part)
        passing -= part.length
        rest = rest.subarray(part.length)
        continue
      }
      const length = rest.length < headerBytes ? Infinity : rest.readInt32BE(1) + 1
      const isMessage = length >= headerBytes
      const wanted = length !== Infinity && isMessage && isWanted(rest[0]!, length)
      // no length of a message: whoever gets it has to say what is wrong with it
      if (!isMessage) passing = Infinity
      else if (length !== Infinity && !wanted) passing = length
      else if (rest.length >= length) {
        out.push(change(rest.subarray(0, length)))
        rest = rest.subarray(length)
      } else {
        gathered = Buffer.from(rest)
        break
      }
    }
    return out
  }
}

/**
 * The same for a client, from its first byte: its start-up message has no type, and goes on as it is.
 */
export function afterStartup(relayed: Relayed): Relayed {
  let first: Buffer | undefined = Buffer.alloc(0)
  return (chunk) => {
    if (first === undefined) return relayed(chunk)
    first = Buffer.concat([first, chunk])
    if (first.length < 4 || first.length < first.readInt32BE(0)) return []
    const length = Math.max(0, first.readInt32BE(0))
    const [startup, rest] = [first.subarray(0, length), first.subarray(length)]
    first = undefined
    return [startup, ...relayed(rest)]
  }
}
