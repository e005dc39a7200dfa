import { type Catalog, partsOf } from '../archive/catalog-type.ts'
import { isSkewed, skewWarning } from '../backup/skew.ts'
import type { ConditionName } from '../check/condition-catalogue.ts'
import { judgeServer, serverConditionNames } from '../check/server-conditions.ts'
import { readServerFacts, type ServerFacts } from '../check/server-facts.ts'
import { judgeSpace } from '../check/store-space.ts'
import { silentLog } from '../log.ts'
import { openSession } from '../postgres/connect.ts'
import type { Context } from '../run/context.ts'
import { replaceConditions } from './conditions.ts'
import type { Measured } from './metrics/facts.ts'
import type { Probe } from './probe.ts'
import { connectionOf } from './readiness.ts'
import type { ServeState } from './state.ts'
import { startTicking } from './ticks.ts'

const answerMs = 10_000
/** The size of a database is the sum of its files, of which there may be many. */
const sizesEveryMs = 600_000

/**
 * Looks every minute at the server and at the room in the stores, and notes the conditions of both. Of a server that cannot be asked nothing
 * is known any more; that it cannot be is another condition.
 *
 * @returns stops it
 */
export function watchServer(
  context: Context,
  state: ServeState,
  { probe, catalog, measured }: { probe: Probe; catalog: Catalog; measured: Measured },
): () => void {
  let busy = false
  let sizedMs = Number.NEGATIVE_INFINITY
  const turn = async () => {
    if (busy || context.signal.aborted) return
    busy = true
    try {
      await lookAtStores(context, state, catalog, measured)
      const isDue = performance.now() - sizedMs >= sizesEveryMs
      const known = (await probe.known())?.health
      const found = known?.ok === false ? undefined : await readServer(context, isDue ? databasesOf(state) : undefined)
      if (found && isDue) sizedMs = performance.now()
      measured.server = found && { ...found, sizes: isDue ? found.sizes : (measured.server?.sizes ?? {}) }
      noteServer(context, state, found)
    } finally {
      busy = false
    }
  }
  const stop = startTicking(() => void turn())
  void turn()
  return stop
}

const databasesOf = ({ backups }: ServeState) => backups.filter(({ ended }) => !ended).map(({ database }) => database)

/** The logins that the configuration declares. */
const declaredLogins = ({ loaded: { config } }: Context): string[] => [
  ...Object.keys(config.users),
  ...Object.values(config.databases).flatMap((database) => Object.keys(database?.users ?? {})),
]

/**
 * Undefined where the server does not answer, or does not let us ask.
 * @param databases whose sizes to ask for, besides the target; undefined: none
 */
async function readServer(
  context: Context,
  databases: readonly string[] | undefined,
): Promise<ServerFacts | undefined> {
  try {
    const connection = connectionOf(context)
    const session = await openSession(connection, {
      ...{ applicationName: 'pgbosun serve', log: silentLog, statementTimeoutMs: answerMs, allowStandby: true },
      endWith: AbortSignal.any([context.signal, AbortSignal.timeout(answerMs)]),
    })
    try {
      return await readServerFacts(
        session.sql,
        databases ? [...new Set([connection.database, ...databases])] : [],
        declaredLogins(context),
      )
    } finally {
      await session.end()
    }
  } catch (error) {
    context.log.debug({ problem: (error as Error).message }, 'the state of the server is not known')
    return undefined
  }
}

function noteServer({ log }: Context, state: ServeState, found: ServerFacts | undefined): void {
  const forget = (names: readonly ConditionName[]) => {
    for (const name of names) state.looked.delete(name)
  }
  if (!found) {
    forget(serverConditionNames)
    return
  }
  const now = new Date()
  const { conditions, unknown } = judgeServer(found, {
    before: state.conditions,
    now,
    skew: isSkewed(found.clockSkewMs) ? skewWarning(found.clockSkewMs) : undefined,
  })
  const known = serverConditionNames.filter((name) => !unknown.includes(name))
  replaceConditions(state, known, conditions, { log, now })
  forget(unknown)
}

/** Of a folder only: of other stores the free space is not known, or has to be paid for. */
async function lookAtStores(
  { log, signal }: Context,
  state: ServeState,
  catalog: Catalog,
  measured: Measured,
): Promise<void> {
  const stores = []
  for (const part of partsOf(catalog)) {
    const { store } = part
    const known = databasesOf(state).map((database) => part.known(database))
    const freeBytes = store.name.startsWith('file:') ? await store.freeBytes().catch(() => undefined) : undefined
    stores.push({
      name: store.name,
      freeBytes,
      bytes: known.flat().reduce((sum, { sizeBytes = 0 }) => sum + sizeBytes, 0),
      newestBytes: known.flatMap((backups) => backups.at(-1)?.sizeBytes ?? []),
    })
  }
  if (signal.aborted) return
  measured.stores = stores
  if (!stores.some(({ freeBytes }) => freeBytes !== undefined)) {
    state.looked.delete('store-full')
    return
  }
  const now = new Date()
  replaceConditions(state, ['store-full'], judgeSpace(stores, state.conditions, now), { log, now })
}
