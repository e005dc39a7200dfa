// pure
import type { Lacking } from '../archive/lacking.ts'
import type { SlotRecord } from '../archive/slot-records.ts'
import type { Since } from '../check/backup-conditions.ts'
import { type Condition, type ConditionName, conditionFields } from '../check/condition-catalogue.ts'
import type { ClosedCondition, Declared } from '../check/overview.ts'
import { type RestoreTestFacts, restoreTestFields } from '../check/restore-tests.ts'
import type { Verdict } from '../check/verdict.ts'
import type { Kind } from '../errors.ts'

/** The state of the backups of one database, as far as this process and the store know it. Instants are RFC 3339 in UTC. */
export type BackupState = {
  database: string
  running: boolean
  /** How far the dump is, while one is made. */
  progress?: DumpProgress | null
  lastSuccessAt: string | null
  lastSuccessId: string | null
  lastAttemptAt: string | null
  /** Why the last attempt failed; null after a success. */
  lastError: string | null
  lastVerifiedAt: string | null
  nextRunAt: string | null
  /** Why the store cannot be read now. */
  storeProblem: string | null
  /** Whether the store was read, so that what is said of its backups is known. */
  looked?: boolean
  /** What is wrong with the age of the newest backup. */
  overdue: string | null
  /** That the store has no backup of it at all: an error once the first should be there. */
  storeEmpty?: { severity: 'error' | 'warning'; message: string } | null
  /** Ids of backups that the last verification found damaged. */
  damaged: string[]
  /** Ids of recent backups that another server seems to have made. */
  conflicts?: string[]
  /** That nobody has decrypted one for too long. */
  neverDecrypted?: string | null
  /** What several stores lack. */
  lacking?: Lacking | undefined
  /** Why the last prune did not delete what no rule keeps. */
  pruneRefused?: { message: string; hint: string | undefined } | null
  restoreTest: RestoreTestState
  /** A pattern of `backup.databases` matched it, and does not any more: it is not backed up, and nothing is due. */
  ended?: boolean
  /** Since when, by the store and the schedules, what may be wrong is wrong. */
  since?: Since
  shrank?: string | null
  unverified?: string | null
  /** What is known of each schedule; what is said above is about all of them. None before the scheduler has looked. */
  schedules?: ScheduleState[]
}

/** The state of the backups of one schedule of a database. */
export type ScheduleState = {
  /** Empty for the only one. */
  name: string
  running: boolean
  lastSuccessAt: string | null
  lastSuccessId: string | null
  lastAttemptAt: string | null
  /** Why the last attempt failed; null after a success. */
  lastError: string | null
  /** When a failed slot is tried again; null where it waits for the next one. */
  retryAt: string | null
  nextRunAt: string | null
  /** Since when its newest slot is overdue, and failed. */
  since?: Since
  /** What became of the newest slots, ascending. */
  slots: SlotRecord[]
  /** That the backup of its newest slot is missing, or is being made for too long. */
  overdue: string | null
}

/** Before anything is known. */
export const newBackupState = (database: string): BackupState => ({
  ...{ database, running: false, lastSuccessAt: null, lastSuccessId: null, lastAttemptAt: null, lastError: null },
  ...{ lastVerifiedAt: null, nextRunAt: null, storeProblem: null, overdue: null, damaged: [] },
  restoreTest: noRestoreTest(),
})

/** How far a dump is. `tables` is undefined as long as nothing is known of them. */
export type DumpProgress = {
  bytes: number
  estimatedBytes: number
  tables: { table: string | null; tablesDone: number; tablesTotal: number } | undefined
}

/** The state of the test restores of one database. */
export type RestoreTestState = {
  running: boolean
  /** The last one in the store, of whatever backup. */
  last: RestoreTestFacts['last'] | null
  /** What is wrong with it. */
  failed: string | null
  /** Why this process could not make the last one. */
  lastError: { message: string; hint: string | undefined } | null
  overdue: string | null
  /** The slot whose test is missing. */
  overdueSlot?: Date | undefined
  nextRunAt: string | null
}

/** Before anything is known. */
export const noRestoreTest = (): RestoreTestState => ({
  ...{ running: false, last: null, failed: null, lastError: null, overdue: null, nextRunAt: null },
})

/** Everything that the endpoints answer from; changed in place by `serve`, read by the pure functions below. */
export type ServeState = {
  version: string
  startedAt: string
  phase: 'starting' | 'serving' | 'up-failed' | 'stopping'
  /** The result of `up`; null with `--no-up`, or before it has ended. */
  up: { ok: boolean; finishedAt: string; error: string | null; exitCode?: number } | null
  upWanted: boolean
  /** The last turn of the scheduler, in milliseconds of a monotonic clock. */
  tickedAtMs: number
  backups: BackupState[]
  conditions: Condition[]
  /** Those that ended lately, the newest first. */
  closed?: ClosedCondition[]
  /** Why the looks at the database fail although it is there, once they have for a minute. */
  unseen?: string | undefined
  /** What the last look at the database found; undefined before the first. */
  declared?: {
    /** Why the last look failed. */
    problem: string | undefined
    /** What could not be looked at. */
    unlooked: readonly string[]
    shown: Declared | undefined
  }
  /** Conditions that were looked for: what is not open of them is over. */
  looked: Set<ConditionName>
}

/** An answer of a health endpoint. */
export type ProbeAnswer = {
  ok: boolean
  /** The public text: short, and without the name of a server, a user, a database or a file. */
  text: string
  /** The whole reason, for the log and the status; if missing, `text` is all there is. */
  reason?: string
  /** What kind of problem it is. */
  kind?: Kind | 'unknown'
  /** Whether the server is in recovery. */
  standby?: boolean
}

const stuckMs = 180_000

/** Only about our own process: it answers, and its scheduler runs. */
export const livez = ({ tickedAtMs, phase }: ServeState, nowMs: number): ProbeAnswer => {
  const stuck = phase === 'serving' && nowMs - tickedAtMs > stuckMs
  return {
    ok: !stuck,
    text: stuck ? `the scheduler has not run for ${Math.round((nowMs - tickedAtMs) / 1000)} s` : 'ok',
  }
}

/** 200 once `up` is done: with a native sidecar, the application starts only then. */
export function startupz({ up, upWanted, phase }: ServeState): ProbeAnswer {
  if (phase === 'stopping') return { ok: false, text: 'stopping' }
  if (!upWanted || up?.ok) return { ok: true, text: 'ok' }
  return { ok: false, text: up ? 'up failed: see the log' : 'up is not done yet' }
}

const publicTexts: Partial<Record<Kind | 'unknown', string>> = {
  unknown: 'the state of the database is not known',
  unreachable: 'the database cannot be reached',
  refused: 'the database refuses the connection',
  pending: 'migrations are pending',
  history: 'the migrations do not match the history',
}

/**
 * 503 of `/readyz`.
 * @param reason the whole reason, which may name servers, users, databases and files
 */
export const notReady = (kind: Kind | 'unknown', reason: string, standby = false): ProbeAnswer => ({
  ok: false,
  text: `not ready: ${publicTexts[kind] ?? 'see the log'}`,
  reason,
  kind,
  ...(standby && { standby }),
})

const progressFields = (progress: DumpProgress | null) =>
  progress && {
    table: progress.tables?.table ?? null,
    tables_done: progress.tables?.tablesDone ?? null,
    tables_total: progress.tables?.tablesTotal ?? null,
    bytes: progress.bytes,
    estimated_bytes: progress.estimatedBytes,
  }

/** The document of `/status.json`. */
export const statusDocument = (
  { version, startedAt, phase, up, backups, conditions }: ServeState,
  ready: ProbeAnswer,
  readyAgeMs: number | null = null,
  verdictFields: { verdict?: Verdict; unlooked?: string[] } = {},
) => ({
  version,
  started_at: startedAt,
  phase,
  ...verdictFields,
  ready: ready.ok,
  ready_reason: ready.ok ? null : (ready.reason ?? ready.text),
  ready_age_ms: readyAgeMs === null ? null : Math.round(readyAgeMs),
  up: up && { ok: up.ok, finished_at: up.finishedAt, error: up.error },
  backups: backups.map((backup) => ({
    database: backup.database,
    running: backup.running,
    progress: progressFields(backup.progress ?? null),
    last_success_at: backup.lastSuccessAt,
    last_success_id: backup.lastSuccessId,
    last_attempt_at: backup.lastAttemptAt,
    last_error: backup.lastError ?? backup.storeProblem,
    last_verified_at: backup.lastVerifiedAt,
    next_run_at: backup.nextRunAt,
    schedules: (backup.schedules ?? []).map(scheduleFields),
    restore_test: {
      running: backup.restoreTest.running,
      last: restoreTestFields(backup.restoreTest.last ?? undefined),
      last_error: backup.restoreTest.lastError?.message ?? null,
      next_run_at: backup.restoreTest.nextRunAt,
    },
    ...(backup.ended && { ended: true }),
  })),
  conditions: conditions.map(conditionFields),
})

/** So many slots `/status.json` tells; the page shows more. */
const toldSlots = 10

const scheduleFields = (schedule: ScheduleState) => ({
  name: schedule.name || null,
  running: schedule.running,
  last_success_at: schedule.lastSuccessAt,
  last_success_id: schedule.lastSuccessId,
  last_attempt_at: schedule.lastAttemptAt,
  last_error: schedule.lastError,
  retry_at: schedule.retryAt,
  next_run_at: schedule.nextRunAt,
  slots: schedule.slots.slice(-toldSlots),
})
