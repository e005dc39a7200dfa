import type { NotifyJob } from '../config/notify.ts'
import type { Kind } from '../errors.ts'
import type { Context, Result } from '../run/context.ts'

/** A flag of a command. `value` is the placeholder that the help shows for a string flag. */
export type Flag =
  | { type: 'boolean'; help: string }
  | { type: 'string'; value: string; help: string }
  /** May be given several times. */
  | { type: 'string'; value: string; help: string; multiple: true }

export type Flags = Record<string, Flag>

/** What a command gets: its surroundings, and what it was called with. */
export type CommandContext = Context & {
  /** Of a flag that may be given several times, the first value. */
  flags: Record<string, string | boolean | undefined>
  /** The values of the flags that may be given several times. */
  lists: Record<string, string[]>
  args: string[]
  /** What follows `--`. */
  rest: string[]
}

/** A command declares everything that its help and the parser need, except its summary, which commands.ts has. */
export type Command = {
  name: string
  /** Lines for its own help, below the summary. */
  details?: string
  /** Positional arguments as shown in the help, and how many there may be. */
  args?: { usage: string; min: number; max: number }
  /** Takes a command after `--`. */
  rest?: boolean
  /** The job that a run of it is, for who is told of jobs by `notify`. */
  job?: NotifyJob
  /** Whether nothing of a run that was stopped is of use to the next one. */
  startsAnew?: boolean
  flags: Flags
  /** The exit codes it can return besides 0, 1 and 2, and what they mean here. */
  exits: Partial<Record<Kind, string>>
  run(context: CommandContext): Promise<Result>
}
