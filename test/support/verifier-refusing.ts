import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/**
 * A way to a server that refuses SCRAM verifiers as Neon does: the statement succeeds, and only COMMIT fails, which rolls back. Without TLS.
 * @param port of the server
 */
export async function startVerifierRefusing(port: number): Promise<{ port: number; refused(): number; close(): void }> {
  const sockets = new Set<Socket>()
  let refused = 0
  const listening = createServer((client) => {
    const upstream = connect(port, '127.0.0.1')
    const end = () => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => {}).on('close', end)
    }
    let pending = Buffer.alloc(0)
    let started = false
    let tainted = false
    client.on('data', (chunk) => {
      pending = Buffer.concat([pending, chunk])
      for (;;) {
        // the first message has no type
        const head = started ? 1 : 0
        if (pending.length < head + 4) return
        const length = head + pending.readUInt32BE(head)
        if (pending.length < length) return
        const message = pending.subarray(0, length)
        pending = pending.subarray(length)
        started = true
        const text = message.toString('latin1')
        if (text[0] === 'Q' && /password '(SCRAM-SHA-256\$|md5)/i.test(text)) tainted = true
        if (text[0] === 'Q' && tainted && /\bcommit\0$/i.test(text)) {
          refused++
          tainted = false
          upstream.write(
            query(`rollback; do $$ begin raise exception using errcode = 'XX000', message = ${said}; end $$`),
          )
        } else upstream.write(message)
      }
    })
    upstream.on('data', (chunk) => client.write(chunk))
  }).listen(0, '127.0.0.1')
  await once(listening, 'listening')
  return {
    port: (listening.address() as AddressInfo).port,
    refused: () => refused,
    close() {
      listening.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

const said = "'Received HTTP code 400 from control plane: Neon only supports being given plaintext passwords'"

function query(sql: string): Buffer {
  const text = Buffer.from(`${sql}\0`)
  const head = Buffer.alloc(5)
  head.write('Q')
  head.writeUInt32BE(text.length + 4, 1)
  return Buffer.concat([head, text])
}
