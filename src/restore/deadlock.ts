import { setTimeout as sleep } from 'node:timers/promises'
import { hasReason } from '../errors.ts'
import type { Session } from '../postgres/session.ts'
import { quoteLiteral } from '../sql/quote.ts'

/** A backend reports a deadlock when it ends, and before PostgreSQL 15 a collector takes its time. */
const tries = 5
const betweenMs = 400

/**
 * The failure of a load over several connections, told apart where they were in each other's way: pg_restore adds constraints and attaches
 * partitions of one table at the same time. The backup is innocent of that, and one connection is enough.
 *
 * @param session in any database of the server
 * @param database that only this load works in
 */
export async function asDeadlock(error: unknown, session: Session, database: string): Promise<unknown> {
  if (!hasReason(error, 'load-failed')) return error
  for (let i = 0; i < tries; i++) {
    if (await hadDeadlock(session, database)) return error.with({ reason: 'deadlock' })
    await sleep(betweenMs)
  }
  return error
}

/** Without an answer, the failure is what is known. */
const hadDeadlock = ({ sql }: Session, database: string): Promise<boolean> =>
  sql
    .unsafe(`select from pg_catalog.pg_stat_database where datname = ${quoteLiteral(database)} and deadlocks > 0`)
    .then(
      (rows) => rows.length > 0,
      () => false,
    )
