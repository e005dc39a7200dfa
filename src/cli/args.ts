import { parseArgs } from 'node:util'
import { didYouMean } from '../config/suggest.ts'
import { usage } from '../errors.ts'
import type { Command, Flags } from './command.ts'

/** Flags of every command. */
export const globalFlags: Flags = {
  config: { type: 'string', value: 'FILE', help: 'Configuration file. Default: pgbosun.yaml, where present.' },
  database: { type: 'string', value: 'NAME', help: 'Only this one of the declared databases.' },
  json: { type: 'boolean', help: 'One JSON document on stdout instead of text.' },
  'json-lines': {
    type: 'boolean',
    help: 'A line of JSON for each step and one at the end, for the log of a container.',
  },
  'log-level': { type: 'string', value: 'LEVEL', help: 'debug, info (default), warn, error or silent.' },
  'log-format': { type: 'string', value: 'FORMAT', help: 'json or pretty. Default: pretty on a terminal.' },
  help: { type: 'boolean', help: 'Show this help.' },
  version: { type: 'boolean', help: 'Show the version.' },
}

/** Flag of the commands that take the run lock. */
export const lockFlags: Flags = {
  'take-lock': {
    type: 'boolean',
    help: 'End a session of a user that is not ours once it has held the run lock for 5 s. Our own runs are waited for.',
  },
}

/** The number in `--steps`. @throws {AppError} `usage` when it is not a number of at least 1 */
export function stepsOf(text: string | boolean | undefined): number | undefined {
  if (text === undefined) return undefined
  if (typeof text === 'string' && /^[1-9]\d{0,5}$/.test(text)) return Number(text)
  throw usage(`--steps must be a number of at least 1, not ${text}`, { hint: 'write it like --steps 2' })
}

/** A command line with its command found, but its flags not yet parsed. */
export type Words = { name: string | undefined; args: string[]; rest: string[] | undefined }

/**
 * Finds the command in the arguments; global flags may stand anywhere.
 * @param names every command: `up`, `migrate`, `migrate status`, `backup keys check`
 * @throws {AppError} `usage` for a command that does not exist
 */
export function findCommand(argv: string[], names: string[]): Words {
  const split = argv.indexOf('--')
  const own = (split < 0 ? argv : argv.slice(0, split)).map((arg) => (arg === '-h' ? '--help' : arg))
  const rest = split < 0 ? undefined : argv.slice(split + 1)
  const words = wordPositions(own)
  const [first, second, third] = words.map((i) => own[i]!)
  if (first === undefined) return { name: undefined, args: own, rest }

  const longest = [`${first} ${second} ${third}`, `${first} ${second}`, first].find((name) => names.includes(name))
  const used = longest?.split(' ').length ?? 0
  const isGroup = words[1] === words[0]! + 1 && names.some((name) => name.startsWith(`${first} `))
  if (used === 0 || (used === 1 && isGroup)) throw unknownCommand(first, second, names)
  const taken = words.slice(0, used)
  return { name: longest, args: own.filter((_, i) => !taken.includes(i)), rest }
}

/** Positions of the arguments that are neither flags nor the value of a global flag. */
function wordPositions(args: string[]): number[] {
  const positions: number[] = []
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!
    if (!arg.startsWith('-')) positions.push(i)
    else if (globalFlags[arg.slice(2)]?.type === 'string') i++
  }
  return positions
}

function unknownCommand(first: string, second: string | undefined, names: string[]) {
  const subcommands = names.filter((name) => name.startsWith(`${first} `))
  if (subcommands.length === 0)
    return usage(
      `there is no command ${first}${didYouMean(first, new Set(names.map((name) => name.split(' ')[0]!)))}`,
      { hint: 'run `pgbosun --help`' },
    )
  const what =
    second === undefined
      ? `${first} needs a subcommand`
      : `there is no command ${first} ${second}${didYouMean(
          second,
          subcommands.map((name) => name.slice(first.length + 1)),
        )}`
  return usage(what, { hint: `use one of: ${subcommands.join(', ')}` })
}

export type ParsedArgs = {
  /** Of a flag that may be given several times, the first value. */
  flags: Record<string, string | boolean | undefined>
  /** The values of the flags that may be given several times. */
  lists: Record<string, string[]>
  args: string[]
}

/**
 * Parses the arguments of a command, strictly.
 * @throws {AppError} `usage` for an unknown flag, a missing value, too many or too few arguments
 */
export function parseFlags(command: Command, args: string[], rest: string[] | undefined): ParsedArgs {
  const declared = { ...globalFlags, ...command.flags }
  const hint = `run \`${['pgbosun', command.name, '--help'].filter(Boolean).join(' ')}\``
  const { values: parsed, positionals } = parse(declared, args, hint)
  const lists = Object.fromEntries(
    Object.entries(parsed).filter((flag): flag is [string, string[]] => Array.isArray(flag[1])),
  )
  const values = Object.fromEntries(
    Object.entries(parsed).map(([name, value]) => [name, Array.isArray(value) ? value[0] : value]),
  ) as ParsedArgs['flags']
  if (rest !== undefined && !command.rest) throw usage(`${command.name} takes no command after --`, { hint })
  const { min, max } = command.args ?? { min: 0, max: 0 }
  if (values.help === true) return { flags: values, lists, args: positionals }
  if (values.json === true && values['json-lines'] === true)
    throw usage('--json and --json-lines exclude each other', { hint: 'use one of them' })
  if (positionals.length > max) throw usage(`${command.name}: unexpected argument ${positionals[max]}`, { hint })
  if (positionals.length < min) throw usage(`${command.name} needs ${command.args?.usage}`, { hint })
  return { flags: values, lists, args: positionals }
}

function parse(declared: Flags, args: string[], hint: string) {
  const options = Object.fromEntries(
    Object.entries(declared).map(([name, flag]) => [name, { type: flag.type, multiple: 'multiple' in flag }]),
  )
  try {
    return parseArgs({ args, options, strict: true, allowPositionals: true })
  } catch (cause) {
    const { message } = cause as Error
    const unknown = /^Unknown option '(-{1,2}[^' ]*)'/.exec(message)?.[1]
    const text =
      unknown === undefined
        ? aboutValue(message)
        : `unknown flag ${unknown}${didYouMean(
            unknown,
            Object.keys(declared).map((name) => `--${name}`),
          )}`
    throw usage(text, { hint, cause })
  }
}

/** What Node says about the value of a flag, in our words. */
function aboutValue(message: string): string {
  const flag = /'(?:-\w, )?(--[\w-]+)/.exec(message)?.[1]
  if (flag === undefined) return message.split('. ')[0]!
  return `${flag} ${message.includes('does not take') ? 'takes no value' : 'needs a value'}`
}
