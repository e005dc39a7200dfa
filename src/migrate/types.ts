import type { Applied, Migration, Progress } from '../formats/types.ts'
import type { Warning } from '../plan.ts'
import type { Sending, Unsendable } from './plan/sending.ts'

/** The history of a database, in the order in which migrations were applied. */
export type History = {
  applied: Applied[]
  /** The repeatable migrations, each with its last run. */
  repeated: Applied[]
  /** The highest `seq` in the chain of the versioned migrations, 0 if it is empty: the next row continues from here. */
  lastSeq: number
  /** The same of pgbosun.migration_details. */
  lastDetail: number
}

/** A mismatch between history and files that stops a run. */
export type Problem = {
  code: 'edited' | 'missing' | 'out-of-order' | 'interrupted' | 'ahead' | 'invalid'
  /** Name of the migration, without its file extension. */
  name: string
  detail: string
  /** What to do about it. */
  hint: string
}

/** A file that will be applied, and why. */
export type MigrationStep = Migration & {
  reason: string
  /** How it is sent, or why it cannot be. */
  sending: Sending | Unsendable
  /** Only recorded, not run. */
  fake: boolean
  /** The migration before it in the format's order. */
  before: Migration | undefined
  /** Where an earlier run stopped, and the number of our row about that. */
  resume: (Progress & { seq: number }) | undefined
}

/** What to apply, in this order. It must not be applied unless `problems` is empty. */
export type MigrationPlan = {
  steps: MigrationStep[]
  problems: Problem[]
  warnings: Warning[]
  /** Name of the applied migration with the highest version. */
  currentVersion: string | undefined
  /** See {@link History}. */
  lastSeq: number
  lastDetail: number
}

/** The outcome of a step. */
export type StepResult = { name: string; status: 'applied' | 'failed' | 'not-run'; durationMs: number }
