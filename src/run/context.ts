import type { Connection } from '../config/connection.ts'
import type { Loaded } from '../config/load.ts'
import type { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Output } from './output.ts'

/** The surroundings of a run: configuration, connection, output, log. */
export type Context = {
  /** Full name of the command: `migrate status`. */
  command: string
  loaded: Loaded
  /** The connection to the target database; throws `usage` when none is configured. */
  connection(): Connection
  /** Whether the command works in the target database, which migrations, seeds and checks belong to; `--database` may name another one. */
  isTarget(): boolean
  /** `--take-lock`: ends the session of whoever holds a lock of ours. */
  takeLock: boolean
  /** Whether `--after-restore` was given: pending migrations are applied to a database that is held after a restore. */
  afterRestore: boolean
  out: Output
  log: Log
  /** Aborted, with an AppError as reason, when the process is asked to stop. */
  signal: AbortSignal
  runId: string
  version: string
}

/** What a command found or did: the fields of its JSON document. A failure may come with a result. */
export type Result = {
  fields: Record<string, unknown>
  failure?: AppError | undefined
  exitCode?: number | undefined
  /** Runs after the result was reported as a success; the number it returns becomes the exit code. */
  after?: () => Promise<number>
  /** Runs after the result was reported, whatever it is: tells others. It never fails. */
  told?: () => Promise<void>
}
