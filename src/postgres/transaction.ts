import { isIdle } from './answers.ts'
import type { Db, Sql } from './db.ts'
import { isConnectionLost } from './lost.ts'

/** Ends the transaction that is open. Does nothing outside one: the server would warn of that as if a file had done it. */
export async function rollback(sql: Sql): Promise<void> {
  // The driver reports an error before the server has finished with the message; after this, it has.
  await sql.unsafe(';')
  if (!isIdle(sql)) await sql.unsafe('rollback')
}

/**
 * Runs `use` in one transaction of a session (`max: 1`), and commits if it succeeds.
 * The driver's own `begin` is not used: if the connection is lost, it sends its rollback to a socket that is gone, and the exception
 * ends the process (postgres.js 3.4.9).
 */
export async function inTransaction<T>(sql: Sql, use: (tx: Db) => Promise<T>): Promise<T> {
  await sql.unsafe('begin')
  try {
    const result = await use(sql)
    await commit(sql)
    return result
  } catch (error) {
    // An error of the rollback does not matter: without a connection there is nothing left to roll back.
    if (!isConnectionLost(error)) await rollback(sql).catch(() => {})
    throw error
  }
}

async function commit(sql: Sql): Promise<void> {
  try {
    await sql.unsafe('commit')
  } catch (error) {
    if (typeof error === 'object' && error !== null) ofCommit.add(error)
    throw error
  }
}

const ofCommit = new WeakSet<object>()

/** Whether {@link inTransaction} threw the error because of its commit: a deferred constraint does not hold. */
export const failedAtCommit = (error: unknown): boolean =>
  typeof error === 'object' && error !== null && ofCommit.has(error)
