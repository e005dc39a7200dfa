import type { Connection } from '../config/connection.ts'
import type { Loaded } from '../config/load.ts'
import type { AppError, Kind } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Output } from '../run/output.ts'

/** A flag of a command. `value` names what a string flag takes, for the help. */
export type Flag = { type: 'boolean'; help: string } | { type: 'string'; value: string; help: string }

export type Flags = Record<string, Flag>

/** What a command gets: everything it needs of the world. */
export type Context = {
  /** Its full name: `migrate status`. */
  command: string
  flags: Record<string, string | boolean | undefined>
  args: string[]
  /** What stands behind `--`. */
  rest: string[]
  loaded: Loaded
  /** The connection to the target database; throws `usage` when none is configured. */
  connection(): Connection
  /** Whether the command is about the target database, which migrations, seeds and checks belong to; `--database` may name another. */
  isTarget(): boolean
  out: Output
  log: Log
  /** Aborted, with an AppError as reason, when the process is asked to stop. */
  signal: AbortSignal
  runId: string
  version: string
}

/** What a command found or did: the fields of its JSON document; a failure may stand beside a result. */
export type Result = {
  fields: Record<string, unknown>
  failure?: AppError | undefined
  exitCode?: number | undefined
  /** Runs after the result was reported as a success; its number is the exit code then. */
  after?: () => Promise<number>
}

/** A command declares everything that its help and the parser need. */
export type Command = {
  name: string
  summary: string
  /** Positional arguments as shown in the help, and how many there may be. */
  args?: { usage: string; min: number; max: number }
  /** Takes a command behind `--`. */
  rest?: boolean
  flags: Flags
  /** The exit codes it can return beside 0, 1 and 2, and what they mean here. */
  exits: Partial<Record<Kind, string>>
  run(context: Context): Promise<Result>
}
