import { silentLog } from '../../log.ts'
import { openSession } from '../../postgres/connect.ts'
import { databaseObject, notifyKey } from '../../postgres/lock-keys.ts'
import type { Context } from '../../run/context.ts'
import { connectionOf } from '../readiness.ts'

const openMs = 15_000

/**
 * Does something that only one of several replicas should do: whoever has an advisory lock in `lock.database`. Where the database cannot be
 * asked, everybody does it, because nobody knows of the others.
 *
 * @param what names what is done, the same for each replica
 * @returns false if another one is doing it
 */
export async function asOnlyOne(context: Context, what: string, work: () => Promise<unknown>): Promise<boolean> {
  // the work may take longer, and must keep the lock
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(), openMs)
  const session = await openSession(connectionOf(context), {
    database: context.loaded.config.lock.database,
    applicationName: 'pgbosun serve',
    log: silentLog,
    allowStandby: true,
    endWith: AbortSignal.any([context.signal, late.signal]),
  }).catch((error: Error) => context.log.debug({ problem: error.message }, 'no lock for the notifications'))
  if (!session) {
    clearTimeout(timer)
    await work()
    return true
  }
  try {
    const [row] = await session.sql.unsafe<{ mine: boolean }[]>(
      `select pg_catalog.pg_try_advisory_lock(${notifyKey}, ${databaseObject(what)}) as mine`,
    )
    clearTimeout(timer)
    if (row?.mine) await work()
    return row?.mine === true
  } finally {
    clearTimeout(timer)
    await session.end()
  }
}
