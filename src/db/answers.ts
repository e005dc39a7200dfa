import type { Socket } from 'node:net'
import type { Sql } from './connect.ts'

const commandComplete = 0x43
const emptyQuery = 0x49
const errorResponse = 0x45
const readyForQuery = 0x5a

const errorsOf = new WeakMap<Sql, number[]>()

/**
 * For each error that the server answered on this session, in order: how many statements of the same message had ended before.
 * A run-time error has no position; this is how the statement is known all the same. Empty for a session that is not ours.
 */
export const statementsBeforeErrors = (sql: Sql): readonly number[] => errorsOf.get(sql) ?? []

/** Listens to what the server answers on a session's socket, which the driver reads too; looks at the headers only. */
export function watchAnswers(sql: Sql, socket: Socket): void {
  const errors: number[] = []
  errorsOf.set(sql, errors)
  const header = Buffer.alloc(5)
  let have = 0
  let skip = 0
  let ended = 0
  const begin = (type: number | undefined) => {
    if (type === commandComplete || type === emptyQuery) ended++
    else if (type === errorResponse) errors.push(ended)
    else if (type === readyForQuery) ended = 0
  }
  socket.on('data', (chunk: Buffer) => {
    for (let i = 0; i < chunk.length; ) {
      if (skip > 0) {
        const passed = Math.min(skip, chunk.length - i)
        skip -= passed
        i += passed
        continue
      }
      header[have++] = chunk[i++]!
      if (have < header.length) continue
      have = 0
      skip = header.readUInt32BE(1) - 4
      begin(header[0])
    }
  })
}
