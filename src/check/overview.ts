// pure
import type { SlotRecord } from '../archive/slot-records.ts'
import type { Condition } from './condition-catalogue.ts'
import type { Verdict } from './verdict.ts'

/** Everything that `status` and the page of `serve` show of a database: both are made from this. Instants are RFC 3339 in UTC. */
export type Overview = {
  now: Date
  /** The target database. */
  database: string
  version: string
  /** What `serve` is doing; undefined for `status`. */
  phase?: 'starting' | 'serving' | 'up-failed' | 'stopping'
  verdict: Verdict
  /** What was not looked at, in words. */
  unlooked: readonly string[]
  /** The worst first. */
  conditions: readonly Condition[]
  /** Those that ended a short time ago, the newest first. */
  closed: readonly ClosedCondition[]
  /** What is known of the database itself; undefined where it was not looked at. */
  declared: Declared | undefined
  backups: readonly DatabaseBackups[]
}

export type ClosedCondition = Condition & { until: string }

/** What a look at the database tells. */
export type Declared = {
  /** What is as declared, or is not, in one line for each part. */
  lines: readonly string[]
  /** Newest last. */
  migrations: readonly { name: string; appliedAt: string | null; durationMs: number | null }[]
  pending: readonly string[]
  /** Newest last. */
  events: readonly ShownEvent[]
}

export type ShownEvent = {
  at: string
  actor: string
  command: string
  phase: 'started' | 'finished'
  exitCode: number | null
  changes: number | null
}

/** What is known of the backups of one database. */
export type DatabaseBackups = {
  database: string
  /** Why nothing is known of them. */
  unknown: string | undefined
  /** Where they are, for messages. */
  store: string
  running: boolean
  /** The newest good one. */
  newest: ShownBackup | undefined
  /** When the oldest good one was taken. */
  oldestAt: string | undefined
  /** The last test restore. */
  restoreTest: { id: string; at: string; ok: boolean; durationMs: number | null; server: string } | undefined
  /** How fast a test restore was, by the size of its backup. */
  bytesPerSecond: number | undefined
  nextRunAt: string | undefined
  nextTestAt: string | undefined
  series: readonly { schedule: string; slots: readonly SlotRecord[] }[]
  /** The newest first. */
  listed: readonly ShownBackup[]
  /** How many there are besides. */
  more: number
}

export type ShownBackup = {
  id: string
  at: string
  sizeBytes: number | undefined
  durationMs: number | undefined
  /** `verified`, `restored for a test`, `damaged`, `not verified`. */
  state: string
  verifiedAt: string | undefined
  /** Why retention keeps it, or that it is deleted next. */
  kept: string
}

/** So many slots of a series are shown. */
export const shownSlots = 30
