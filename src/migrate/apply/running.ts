import type { Log } from '../../log.ts'
import type { Piece } from '../../sql/pieces.ts'
import type { NewRow } from '../history/history-table.ts'
import type { MigrationPlan, MigrationStep, StepResult } from '../types.ts'
import type { ScriptOptions } from './options.ts'
import type { RetryPolicy } from './retry.ts'
import type { FileSettings } from './statements.ts'

/** What is applied, and how. */
export type ApplyOptions = ScriptOptions & {
  plan: MigrationPlan
  /** If given, no file is sent before the one before it has ended. */
  around?: Around | undefined
}

/**
 * Wraps each file that is run. `apply` runs it and resolves to the time that it took, in ms; when everything of it has run and only the
 * commit is missing, it waits for `look`, whose time does not count. A file outside a transaction has no such moment.
 */
export type Around = (step: MigrationStep, apply: (look: () => Promise<void>) => Promise<number>) => Promise<number>

/** Which step failed, and which part of it. `prefixLength`: code points sent before its text. */
export type Failure = {
  at: number
  error: unknown
  prefixLength: number
  statement?: number | undefined
  piece?: Piece | undefined
  left?: string | undefined
}

/** A running `applyMigrations`. */
export type Running = ApplyOptions & {
  results: StepResult[]
  /** How long each step took, in ms, not rounded. */
  elapsed: number[]
  rows: NewRow[]
  settings: FileSettings
  retryPolicy: RetryPolicy
  log: Log
}
