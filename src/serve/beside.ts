import { eachOf } from '../archive/several.ts'
import { besideDatabase } from '../backup/beside.ts'
import { silentLog } from '../log.ts'
import { openSession } from '../postgres/connect.ts'
import type { Context } from '../run/context.ts'
import type { Store } from '../store/store.ts'
import { connectionOf } from './readiness.ts'

const answerMs = 10_000

/** That the store is on the device of the server's data; undefined where it is not, or nobody can tell. It never fails. */
export async function askBeside(context: Context, store: Store): Promise<string | undefined> {
  const stores = eachOf(store).map(({ name }) => name)
  if (!stores.every((name) => name.startsWith('file:'))) return undefined
  try {
    const session = await openSession(connectionOf(context), {
      ...{ applicationName: 'pgbosun serve', log: silentLog, statementTimeoutMs: answerMs },
      endWith: AbortSignal.any([context.signal, AbortSignal.timeout(answerMs)]),
    })
    try {
      return await besideDatabase(session.sql, stores)
    } finally {
      await session.end()
    }
  } catch (error) {
    context.log.debug({ problem: (error as Error).message }, 'whether the store is beside the data is not known')
    return undefined
  }
}
