import type { Applied, Migration, Progress } from '../formats/types.ts'
import type { Sending, Unsendable } from './plan/sending.ts'

/** What the database knows, in the order in which it was applied. */
export type History = {
  applied: Applied[]
  /** The repeatable migrations, each with what was run last. */
  repeated: Applied[]
  /** Highest `seq` of the chain of the versioned migrations, 0 when it is empty: the next row continues from here. */
  lastSeq: number
  /** The same of pgbosun.migration_details. */
  lastDetail: number
}

/** Something in the history that a run must not pass over. */
export type Problem = {
  code: 'edited' | 'missing' | 'out-of-order' | 'interrupted' | 'ahead' | 'invalid'
  /** Of the migration, without its ending. */
  name: string
  detail: string
  /** What to do about it. */
  hint: string
}

/** A file that will be applied, and why. */
export type MigrationStep = Migration & {
  reason: string
  /** How it is sent; a refusal when it cannot be. */
  sending: Sending | Unsendable
  /** Only recorded, not run. */
  fake: boolean
  /** The migration before it in the format's order. */
  before: Migration | undefined
  /** Where an earlier run stopped, and the number of our row about it. */
  resume: (Progress & { seq: number }) | undefined
}

/** What to apply, in this order. Only to be applied when `problems` is empty. */
export type MigrationPlan = {
  steps: MigrationStep[]
  problems: Problem[]
  warnings: string[]
  /** Name of the applied migration with the highest version. */
  currentVersion: string | undefined
  /** See {@link History}. */
  lastSeq: number
  lastDetail: number
}

/** What became of a step. */
export type StepResult = { name: string; status: 'applied' | 'failed' | 'not-run'; durationMs: number }
