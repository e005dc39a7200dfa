// pure
import type { Kind } from '../errors.ts'

/** What happened to the backups of one database, as far as this process and the store know. Instants are RFC 3339 in UTC. */
export type BackupState = {
  database: string
  running: boolean
  lastSuccessAt: string | null
  lastSuccessId: string | null
  lastAttemptAt: string | null
  /** Why the last attempt failed; null after a success. */
  lastError: string | null
  lastVerifiedAt: string | null
  nextRunAt: string | null
  /** Why the store cannot be read, now. */
  storeProblem: string | null
  /** What is wrong with the age of the newest one. */
  overdue: string | null
  /** Ids of backups that the last verification found damaged. */
  damaged: string[]
}

/** Something that somebody should see to, and that takes nothing out of service. `name` is permanent: programs look for it. */
export type Condition = {
  name:
    | 'secret-changed'
    | 'secret-unreadable'
    | 'configuration-changed'
    | 'migrations-pending'
    | 'backup-failed'
    | 'backup-overdue'
    | 'backup-damaged'
    | 'store-unreadable'
  severity: 'error' | 'warning'
  /** Those that it is about. */
  roles: string[]
  /** Whose backups it is about. */
  database?: string
  message: string
  hint: string
  /** Since when. */
  since: string
}

/** Everything that the endpoints tell; changed in place by `serve`, read by the pure functions below. */
export type ServeState = {
  version: string
  startedAt: string
  phase: 'starting' | 'serving' | 'up-failed' | 'stopping'
  /** The first part; null with `--no-up` or before it ended. */
  up: { ok: boolean; finishedAt: string; error: string | null } | null
  upWanted: boolean
  /** Milliseconds of a monotonic clock at the last turn of the scheduler. */
  tickedAtMs: number
  backups: BackupState[]
  conditions: Condition[]
}

/** An answer of a health endpoint. */
export type ProbeAnswer = {
  ok: boolean
  /** What everybody is told: short, and without the name of a server, a user, a database or a file. */
  text: string
  /** The whole of it, for the log and the status; without it, `text` is the whole. */
  reason?: string
}

const stuckMs = 180_000

/** Knows only our own process: an answer at all, and a scheduler that turns. */
export const livez = ({ tickedAtMs, phase }: ServeState, nowMs: number): ProbeAnswer => {
  const stuck = phase === 'serving' && nowMs - tickedAtMs > stuckMs
  return {
    ok: !stuck,
    text: stuck ? `the scheduler has not turned for ${Math.round((nowMs - tickedAtMs) / 1000)} s` : 'ok',
  }
}

/** 200 once `up` is done: a native sidecar gates the application with it. */
export function startupz({ up, upWanted, phase }: ServeState): ProbeAnswer {
  if (phase === 'stopping') return { ok: false, text: 'stopping' }
  if (!upWanted || up?.ok) return { ok: true, text: 'ok' }
  return { ok: false, text: up ? 'up failed: the log says why' : 'up is not done yet' }
}

const publicTexts: Partial<Record<Kind | 'unknown', string>> = {
  unknown: 'it is not known how the database is',
  unreachable: 'the database cannot be reached',
  refused: 'the database refuses the connection',
  pending: 'migrations are pending',
  history: 'the migrations do not fit the history',
}

/**
 * 503 of `/readyz`.
 * @param reason the whole of it, which may name servers, users, databases and files
 */
export const notReady = (kind: Kind | 'unknown', reason: string): ProbeAnswer => ({
  ok: false,
  text: `not ready: ${publicTexts[kind] ?? 'the log says why'}`,
  reason,
})

/** The document of `/status.json`. */
export const statusDocument = (
  { version, startedAt, phase, up, backups, conditions }: ServeState,
  ready: ProbeAnswer,
  readyAgeMs: number | null = null,
) => ({
  version,
  started_at: startedAt,
  phase,
  ready: ready.ok,
  ready_reason: ready.ok ? null : (ready.reason ?? ready.text),
  ready_age_ms: readyAgeMs === null ? null : Math.round(readyAgeMs),
  up: up && { ok: up.ok, finished_at: up.finishedAt, error: up.error },
  backups: backups.map((backup) => ({
    database: backup.database,
    running: backup.running,
    last_success_at: backup.lastSuccessAt,
    last_success_id: backup.lastSuccessId,
    last_attempt_at: backup.lastAttemptAt,
    last_error: backup.lastError ?? backup.storeProblem,
    last_verified_at: backup.lastVerifiedAt,
    next_run_at: backup.nextRunAt,
  })),
  conditions: conditions.map(({ name, severity, roles, database, message, hint, since }) => ({
    name,
    severity,
    roles,
    database: database ?? null,
    message,
    hint,
    since,
  })),
})
