// pure
import { parseLayout } from '../archive/toc.ts'
import { quoteIdent } from '../sql/quote.ts'

/** Where pg_dump is: `table` has its schema, is quoted where it has other characters than a to z, and null between tables. */
export type TablesProgress = { table: string | null; tablesDone: number; tablesTotal: number }

/** Follows an archive while it is written. `state` is undefined as long as nothing is known of its tables. */
export type TablesWatch = { push(step: Buffer): void; state(): TablesProgress | undefined }

/** The list of contents of some ten thousand tables. A longer one is not worth its memory. */
const longestHead = 8 * 1024 * 1024

const dataBlock = 1
const largeObjectsBlock = 3

/** What is expected next: a block, the next piece of the rows, a large object, the next piece of that. */
type Mode = 'block' | 'piece' | 'object' | 'object-piece'

/**
 * Finds out from the bytes of an archive in the format `custom` which table pg_dump is at. Nobody has to be asked, and nothing is parsed
 * but the lengths of the pieces. What it does not understand ends the watch, never the backup.
 *
 * @see https://github.com/postgres/postgres/blob/master/src/bin/pg_dump/pg_backup_custom.c (_StartData, _EndData, _StartLOs)
 */
export function watchTables(): TablesWatch {
  let head: Buffer[] | undefined = []
  let headBytes = 0
  let blocks: ReturnType<typeof watchBlocks> | undefined
  const start = (step: Buffer) => {
    // a step is only valid until the next one
    head!.push(Buffer.from(step))
    headBytes += step.length
    const bytes = head!.length === 1 ? head![0]! : Buffer.concat(head!)
    const layout = parseLayout(bytes)
    // every pg_dump writes four
    if (layout?.intSize === 4) {
      blocks = watchBlocks(namesIn(layout.toc.entries), layout.intSize)
      blocks.push(bytes.subarray(layout.endsAt))
    }
    if (layout || headBytes > longestHead) head = undefined
  }
  return {
    push(step) {
      try {
        if (head) start(step)
        else blocks?.push(step)
      } catch {
        head = undefined
        blocks = undefined
      }
    },
    state: () => blocks?.state(),
  }
}

const namesIn = (entries: { id: number; desc: string; namespace: string; tag: string }[]) =>
  new Map(
    entries
      .filter(({ desc }) => desc === 'TABLE DATA')
      .map(({ id, namespace, tag }) => [id, `${nameOf(namespace)}.${nameOf(tag)}`] as const),
  )

const nameOf = (name: string) => (/^[a-z_][a-z0-9_$]*$/.test(name) ? name : quoteIdent(name))

/** Each row is a piece: this is where the time goes. Returns where the last whole length begins that is 0 or leads beyond the bytes. */
function overPieces(bytes: Buffer, from: number): number {
  const last = bytes.length - 5
  let at = from
  while (at <= last) {
    const length = bytes[at + 1]! | (bytes[at + 2]! << 8) | (bytes[at + 3]! << 16) | (bytes[at + 4]! << 24)
    if (length <= 0) break
    at += 5 + length
  }
  return at
}

class Unknown extends Error {}

function watchBlocks(tables: ReadonlyMap<number, string>, intSize: number): TablesWatch {
  /** A sign and the bytes, the lowest first. */
  const intBytes = 1 + intSize
  let mode: Mode = 'block'
  let id = 0
  let done = 0
  /** Bytes of a piece that are still to come. */
  let skip = 0
  let rest = Buffer.alloc(0)
  const intAt = (bytes: Buffer, at: number) => bytes.readUInt32LE(at + 1)

  /** Returns where the first thing begins that is not whole. */
  const run = (bytes: Buffer): number => {
    let at = 0
    for (;;) {
      if (skip > 0) {
        const part = Math.min(skip, bytes.length - at)
        at += part
        skip -= part
      }
      if (at + (mode === 'block' ? 1 + intBytes : intBytes) > bytes.length) return at
      if (mode === 'block') {
        const type = bytes[at]
        if (type !== dataBlock && type !== largeObjectsBlock) throw new Unknown()
        id = intAt(bytes, at + 1)
        at += 1 + intBytes
        mode = type === dataBlock ? 'piece' : 'object'
        continue
      }
      if (mode === 'piece') at = overPieces(bytes, at)
      if (at + intBytes > bytes.length) {
        skip = Math.max(0, at - bytes.length)
        return Math.min(at, bytes.length)
      }
      const value = intAt(bytes, at)
      at += intBytes
      if (mode === 'piece' && value === 0) {
        if (tables.has(id)) done += 1
        mode = 'block'
      } else if (mode === 'object') mode = value === 0 ? 'block' : 'object-piece'
      else if (value === 0) mode = 'object'
      else skip = value
    }
  }
  return {
    push(step) {
      let from = 0
      if (rest.length > 0) {
        const joined = Buffer.concat([rest, step.subarray(0, 1 + intBytes)])
        const used = run(joined)
        if (used < rest.length) {
          rest = joined.subarray(used)
          return
        }
        from = used - rest.length
      }
      const bytes = step.subarray(from)
      rest = Buffer.from(bytes.subarray(run(bytes)))
    },
    state: () => ({
      table: (mode === 'piece' ? tables.get(id) : undefined) ?? null,
      tablesDone: done,
      tablesTotal: tables.size,
    }),
  }
}
