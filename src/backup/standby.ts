import { setTimeout as sleep } from 'node:timers/promises'
import type { Connection } from '../config/connection.ts'
import { describeEndpoint } from '../config/endpoint.ts'
import { AppError } from '../errors.ts'
import { silentLog } from '../log.ts'
import { openSession } from '../postgres/connect.ts'
import type { Db } from '../postgres/db.ts'
import type { Session } from '../postgres/session.ts'
import { quoteLiteral } from '../sql/quote.ts'
import { againstConflicts, conflictWarning, type Figures, type StandbyEntry, standbyEntry } from './lag.ts'

/** A standby that is dumped, as it was just before. */
export type StandbyFacts = { entry: StandbyEntry; warnings: string[]; conflicts: number }

/** A standby that backups are made of. Each look opens a session of its own. */
export type Standby = {
  /**
   * Undefined once it has become a primary.
   * @throws {AppError} `backup` if it is too far behind
   */
  look(): Promise<StandbyFacts | undefined>
  /** Whether it has cancelled something in this database since then. */
  hasCancelled(since: StandbyFacts): Promise<boolean>
}

/**
 * Whether `backup.url` may lead to a standby: only if another server is the primary. Of several hosts, the primary is looked for, as
 * always.
 */
export const mayBeStandby = ({ endpoints, target }: Connection, primary: Connection | undefined): boolean =>
  primary !== undefined &&
  (endpoints.length === 1 || target === 'any') &&
  !endpoints.some((endpoint) => primary.endpoints.some((one) => describeEndpoint(one) === describeEndpoint(endpoint)))

/** What is still on its way arrives within moments. */
const patienceMs = 10_000

export function standbyAt(
  connection: Connection,
  {
    primary,
    database,
    maxLagMs,
    timeoutMs,
    signal,
  }: { primary: Db; database: string; maxLagMs: number; timeoutMs: number; signal: AbortSignal },
): Standby {
  const asked = async <T>(use: (session: Session) => Promise<T>): Promise<T> => {
    const applicationName = 'pgbosun backup'
    const session = await openSession(connection, {
      ...{ database, applicationName, log: silentLog, allowStandby: true, endWith: signal },
    })
    try {
      return await use(session)
    } finally {
      await session.end()
    }
  }
  return {
    look: () =>
      asked(async ({ sql, inRecovery }) => {
        if (!inRecovery) return undefined
        const until = performance.now() + patienceMs
        const conflicts = await readConflicts(sql)
        const at = await readPosition(primary)
        for (;;) {
          const figures = await readFigures(sql, at)
          if (!figures.caughtUp && !figures.paused && performance.now() < until) {
            await sleep(100, undefined, { signal })
            continue
          }
          const warning = conflictWarning(figures, timeoutMs)
          return { entry: standbyEntry(figures, maxLagMs), warnings: warning === undefined ? [] : [warning], conflicts }
        }
      }),
    async hasCancelled({ conflicts }) {
      // up to 14, the statistics take a moment
      for (let i = 0; i < 5; i++) {
        if (i > 0) await sleep(400, undefined, { signal })
        if ((await asked(({ sql }) => readConflicts(sql))) > conflicts) return true
      }
      return false
    },
  }
}

async function readPosition(primary: Db): Promise<Figures['primary']> {
  const [row] = await primary.unsafe<{ lsn: string; ms: string }[]>(
    `select pg_catalog.pg_current_wal_lsn()::text as lsn, pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000 as ms`,
  )
  return { lsn: row!.lsn, at: new Date(Math.round(Number(row!.ms))) }
}

async function readFigures(db: Db, primary: Figures['primary']): Promise<Figures> {
  const [row] = await db.unsafe<
    {
      receive: string | null
      replay: string | null
      caught: boolean
      ms: string | null
      paused: boolean
      feedback: boolean
      delay: string
    }[]
  >(
    `select pg_catalog.pg_last_wal_receive_lsn()::text as receive, pg_catalog.pg_last_wal_replay_lsn()::text as replay,
            coalesce(pg_catalog.pg_last_wal_replay_lsn() >= ${quoteLiteral(primary.lsn)}::pg_catalog.pg_lsn, false) as caught,
            pg_catalog.date_part('epoch', pg_catalog.pg_last_xact_replay_timestamp()) * 1000 as ms,
            pg_catalog.pg_is_in_recovery() and pg_catalog.pg_is_wal_replay_paused() as paused,
            pg_catalog.current_setting('hot_standby_feedback')::bool as feedback,
            (select setting from pg_catalog.pg_settings where name = 'max_standby_streaming_delay') as delay`,
  )
  const { receive, replay, caught, ms, paused, feedback, delay } = row!
  return {
    primary,
    receiveLsn: receive,
    replayLsn: replay,
    caughtUp: caught,
    lastReplayedAt: ms === null ? undefined : new Date(Math.round(Number(ms))),
    paused,
    feedback,
    delayMs: Number(delay),
  }
}

/** How often something in the session's database was cancelled so that replay could go on, or because both waited for each other. */
async function readConflicts(db: Db): Promise<number> {
  const [row] = await db.unsafe<{ conflicts: string }[]>(
    `select c.confl_tablespace + c.confl_lock + c.confl_snapshot + c.confl_bufferpin + c.confl_deadlock + d.deadlocks as conflicts
       from pg_catalog.pg_stat_database_conflicts c join pg_catalog.pg_stat_database d using (datid)
      where d.datname = pg_catalog.current_database()`,
  )
  return Number(row!.conflicts)
}

/** Exit 60: nothing keeps a second backup from starting, because a lock on a standby is known only there. */
export const noPrimary = (what: string): AppError =>
  new AppError(
    'backup',
    `backup.url leads to a standby, and ${what}: the lock that keeps backups apart is taken on the primary`,
    {
      hint: 'set DATABASE_URL or database.url to the primary, or set backup.url to it',
    },
  )

/** Exit 60: it was tried twice. */
export function cancelledTwice(cause: unknown): AppError {
  const message = `the standby has cancelled it twice, because it was in the way of changes of the primary: ${(cause as Error).message}`
  const excerpt = cause instanceof AppError ? cause.excerpt : undefined
  return new AppError('backup', message, { reason: 'recovery-conflict', hint: againstConflicts, excerpt, cause })
}
