import type { Kind } from '../errors.ts'
import type { Context, Result } from '../run/context.ts'

/** A flag of a command. `value` names what a string flag takes, for the help. */
export type Flag = { type: 'boolean'; help: string } | { type: 'string'; value: string; help: string }

export type Flags = Record<string, Flag>

/** What a command gets: everything it needs of the world, and what it was called with. */
export type CommandContext = Context & {
  flags: Record<string, string | boolean | undefined>
  args: string[]
  /** What follows `--`. */
  rest: string[]
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
  run(context: CommandContext): Promise<Result>
}
