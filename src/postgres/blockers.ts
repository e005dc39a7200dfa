import { setTimeout as sleep } from 'node:timers/promises'
import { type Log, silentLog } from '../log.ts'
import { visible } from '../text.ts'
import type { Db } from './db.ts'
import { isConnectionLost } from './lost.ts'

/**
 * A session that another session waits for. Never what it runs, which may contain secrets.
 * Without the privileges of pg_read_all_stats, only pid, application and user of other users' sessions are visible.
 */
export type Blocker = {
  /** 0 for a prepared transaction, which has no session. */
  pid: number
  /** Its application_name; empty if it has none. */
  application: string
  user: string | undefined
  /** `active`, `idle in transaction`. */
  state: string | undefined
  stateAgeMs: number | undefined
  transactionAgeMs: number | undefined
  /** `client backend`, `autovacuum worker`. */
  backendType: string | undefined
}

export type BlockerWatch = {
  /** Forgets earlier answers, and starts asking. */
  start(): void
  /** Stops asking. Resolves when no query is running any more, after 2 s at the latest. Never throws. */
  stop(): Promise<void>
  /** The last answer that named a blocker, unless two answers since then named none. */
  last(): Blocker[]
}

export type BlockerWatchOptions = {
  /** A session on the same server, other than the watched one; its database does not matter. */
  observer: Db
  /** The backend that may have to wait. */
  pid: number
  /** Pause before each query. A deadlock ends after 1 s (`deadlock_timeout`), so ask more often than that. */
  everyMs: number
  log?: Log
}

/** A query on a connection that died silently is never answered, and nobody should wait for that. */
const longestStopMs = 2_000

/**
 * Remembers who blocks a session, so that a lock timeout (55P03) or a deadlock (40P01) can be explained afterwards.
 * Failures of the observer are logged at debug; a watch never fails.
 */
export function createBlockerWatch({ observer, pid, everyMs, log = silentLog }: BlockerWatchOptions): BlockerWatch {
  let blockers: Blocker[] = []
  let unblockedAnswers = 0
  let timer: NodeJS.Timeout | undefined
  let question: Promise<void> | undefined
  let running = false
  // The answer to a query from before a restart must be ignored.
  let starts = 0

  const remember = (found: Blocker[]) => {
    unblockedAnswers = found.length > 0 ? 0 : unblockedAnswers + 1
    // One answer may be from the time between the failure and the stop.
    if (found.length > 0 || unblockedAnswers > 1) blockers = found
  }
  const ask = async (asked: number) => {
    try {
      const found = await readBlockers(observer, pid)
      if (asked === starts) remember(found)
    } catch (error) {
      log.debug({ problem: error instanceof Error ? error.message : String(error) }, 'cannot tell who blocks')
      // A query on a connection that is gone may never be answered.
      if (isConnectionLost(error)) return
    }
    if (running && asked === starts) askLater()
  }
  const askLater = () => {
    timer = setTimeout(() => {
      question = ask(starts)
    }, everyMs).unref()
  }
  return {
    start() {
      clearTimeout(timer)
      starts++
      running = true
      blockers = []
      unblockedAnswers = 0
      askLater()
    },
    async stop() {
      clearTimeout(timer)
      running = false
      await Promise.race([question, sleep(longestStopMs, undefined, { ref: false })])
    },
    last: () => blockers,
  }
}

type Row = Pick<Blocker, 'pid' | 'application'> &
  Record<'user' | 'state' | 'backendType', string | null> &
  Record<'stateAgeMs' | 'transactionAgeMs', number | null>

/** Uses only views and functions that show the whole cluster: the observer may be in another database. */
async function readBlockers(observer: Db, pid: number): Promise<Blocker[]> {
  const age = (since: string) =>
    `pg_catalog.round(extract(epoch from pg_catalog.clock_timestamp() - ${since}) * 1000)::float8`
  const rows = await observer.unsafe<Row[]>(
    `select b.pid, coalesce(a.application_name, '') as "application", a.usename as "user", a.state,
            ${age('a.state_change')} as "stateAgeMs", ${age('a.xact_start')} as "transactionAgeMs",
            a.backend_type as "backendType"
       from (select distinct pg_catalog.unnest(pg_catalog.pg_blocking_pids(${pid})) as pid) b
       left join pg_catalog.pg_stat_activity a on a.pid = b.pid
      order by a.xact_start nulls last, b.pid`,
  )
  return rows.map((row) => ({
    ...row,
    user: row.user ?? undefined,
    state: row.state ?? undefined,
    stateAgeMs: row.stateAgeMs ?? undefined,
    transactionAgeMs: row.transactionAgeMs ?? undefined,
    backendType: row.backendType ?? undefined,
  }))
}

const mostNamed = 3

/** `blocked by pid 4711 (application "report", user ana, active for 312 s)`; undefined if there is nobody. */
export function describeBlockers(blockers: readonly Blocker[]): string | undefined {
  if (blockers.length === 0) return undefined
  const named = blockers.slice(0, mostNamed).map(describeBlocker)
  const more = blockers.length - named.length
  return `blocked by ${[...named, ...(more > 0 ? [`${more} more`] : [])].join(' and ')}`
}

function describeBlocker({ pid, application, user, state, ...rest }: Blocker): string {
  if (pid === 0) return 'a prepared transaction (see pg_prepared_xacts)'
  const { stateAgeMs, transactionAgeMs, backendType } = rest
  const details = [
    isOwnDump({ application }) && 'a backup of pgbosun',
    backendType !== undefined && backendType !== 'client backend' && backendType,
    // an application_name may be anything; servers before 16 replace what is not ASCII
    application !== '' && `application "${visible(application).replaceAll('"', '?')}"`,
    user !== undefined && `user ${visible(user)}`,
    state !== undefined && since(state, stateAgeMs),
    // it is the transaction that holds the lock
    (transactionAgeMs ?? 0) > (stateAgeMs ?? 0) + 1_000 && since('in its transaction', transactionAgeMs),
  ].filter((detail) => typeof detail === 'string')
  return details.length > 0 ? `pid ${pid} (${details.join(', ')})` : `pid ${pid}`
}

const since = (what: string, ageMs: number | undefined) =>
  ageMs === undefined ? what : `${what} for ${Math.max(0, Math.round(ageMs / 1000))} s`

/**
 * Whether it is a backup of pgbosun: pg_dump, or the session with its snapshot. It ends by itself, so waiting helps.
 * Their application_name is `pgbosun backup RUN` (see src/backup/make.ts).
 */
export const isOwnDump = ({ application }: Pick<Blocker, 'application'>): boolean =>
  application.startsWith('pgbosun backup ')
