import type { Db } from '../postgres/db.ts'
import { isConnectionLost } from '../postgres/lost.ts'
import { isServerError, type ServerError } from '../postgres/server-error.ts'

const enter = 'savepoint looking'
const leave = 'rollback to savepoint looking; release savepoint looking'

/**
 * Runs one query within a transaction, in a savepoint that is rolled back, so that neither its locks nor its failure remain.
 * @returns its rows, or the server's error
 * @throws if the connection is lost
 */
export async function inSavepoint<Row extends object>(db: Db, query: string): Promise<Row[] | ServerError> {
  try {
    const results = await db.unsafe<Row[][]>(`${enter}; ${query}; ${leave}`)
    return results[1] ?? []
  } catch (error) {
    if (!isServerError(error) || isConnectionLost(error)) throw error
    await db.unsafe(leave)
    return error
  }
}

/**
 * The same for a `copy … to stdout`.
 * @returns the server's error, if any
 */
export async function copyInSavepoint(
  db: Db,
  copy: string,
  onChunk: (chunk: Buffer) => void,
): Promise<ServerError | undefined> {
  await db.unsafe(enter)
  try {
    for await (const chunk of await db.unsafe(copy).readable()) onChunk(chunk as Buffer)
    return undefined
  } catch (error) {
    if (!isServerError(error) || isConnectionLost(error)) throw error
    return error
  } finally {
    await db.unsafe(leave)
  }
}
