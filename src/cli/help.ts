import { exitCodes, type Kind } from '../errors.ts'
import { globalFlags } from './args.ts'
import type { Command, Flags } from './command.ts'

/** The help of the whole program. */
export function renderHelp(commands: { name: string; summary: string }[]): string {
  return [
    'pgbosun takes a PostgreSQL from empty to ready, and keeps it recoverable.',
    '',
    'usage: pgbosun COMMAND [flags]',
    '',
    'commands:',
    ...table(commands.map(({ name, summary }) => [name, summary])),
    '',
    'flags of every command:',
    ...renderFlags(globalFlags),
    '',
    'pgbosun COMMAND --help shows the flags and exit codes of one command.',
  ].join('\n')
}

/** The help of one command, with the exit codes it can return. */
export function renderCommandHelp(summary: string, command: Command): string {
  const { name, details, args, rest, flags } = command
  const kinds: [Kind, string][] = [
    ['ok', 'done, or nothing to do'],
    ['failed', 'unexpected'],
    ['usage', 'a flag, a key or a file is wrong; nothing was changed'],
    ...(Object.entries(exitsOf(command)) as [Kind, string][]),
  ]
  kinds.sort(([a], [b]) => exitCodes[a] - exitCodes[b])
  return [
    summary,
    ...(details === undefined ? [] : [details]),
    '',
    `usage: pgbosun ${name}${args ? ` ${args.usage}` : ''} [flags]${rest ? ' [-- COMMAND ARGS…]' : ''}`,
    ...(Object.keys(flags).length > 0 ? ['', 'flags:', ...renderFlags(flags)] : []),
    '',
    'flags of every command:',
    ...renderFlags(globalFlags),
    '',
    'exit codes:',
    ...table(kinds.map(([kind, text]) => [String(exitCodes[kind]), text])),
  ].join('\n')
}

/** Commands that connect or read a whole backup can also be stopped halfway; `serve` then exits with 0. */
export const exitsOf = ({ name, exits }: Command): Command['exits'] =>
  name !== 'serve' && (exits.unreachable ?? exits.corrupt)
    ? {
        interrupted: 'stopped by SIGINT before it was done',
        terminated: 'stopped by SIGTERM before it was done',
        ...exits,
      }
    : exits

const renderFlags = (flags: Flags) =>
  table(
    Object.entries(flags).map(([name, flag]) => [
      `--${name}${flag.type === 'string' ? ` ${flag.value}` : ''}`,
      'multiple' in flag ? `${flag.help} May be given several times.` : flag.help,
    ]),
  )

function table(rows: [string, string][]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`)
}
