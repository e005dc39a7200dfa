import { takeEnvironment } from '../config/environment.ts'
import { usage } from '../errors.ts'
import { asAppError } from '../run/failure.ts'
import type { ResultFormat } from '../run/output.ts'
import { findCommand, parseFlags } from './args.ts'
import type { Command } from './command.ts'
import { commandNames, commands } from './commands.ts'
import { renderCommandHelp, renderHelp } from './help.ts'
import { createReport, formatOf, type Report } from './report.ts'
import { arrived, end, write } from './streams.ts'
import { version } from './version.ts'

/** The process: arguments in, one result on stdout, the log on stderr, and an exit code out. */
async function main(): Promise<void> {
  const env = takeEnvironment()
  const argv = process.argv.slice(2)
  const format = formatOf(argv, env)
  const report = createReport(format)
  const finish = (code: number) => end(code, report.renderError)
  let name = ''
  const fail = (error: unknown) => finish(report.result(name, [], { fields: {}, failure: asAppError(error) }))
  lastResort(fail)
  try {
    const words = findCommand(argv, commandNames)
    name = words.name ?? ''
    if (words.name === undefined) return await finish(withoutCommand(words.args, format))
    const command = await commands[words.name]!.load()
    const { flags, lists, args } = parseFlags(command, words.args, words.rest)
    if (flags.version) return await finish(print(version))
    if (flags.help) return await finish(print(renderCommandHelp(commands[words.name]!.summary, command)))
    const { invoke } = await import('./invoke.ts')
    const { result, warnings } = await invoke(command, { flags, lists, args, rest: words.rest ?? [], env, format })
    const code = report.result(name, warnings, result)
    if (result.told) await tell(result.told)
    await finish(code === 0 && result.after ? await afterwards(report, result.after) : code)
  } catch (error) {
    await fail(error)
  }
}

/**
 * An error that nobody caught ends the run like any other error; so does an unhandled rejection, which arrives here as well. Continuing
 * would mean continuing with something half done.
 */
function lastResort(fail: (error: unknown) => Promise<never>): void {
  let told = false
  process.on('uncaughtException', (error) => {
    if (told) return
    told = true
    void fail(error)
  })
}

/** After everything has arrived, because it may take ten seconds. */
async function tell(others: () => Promise<void>): Promise<void> {
  await Promise.all([arrived('stdout'), arrived('stderr')]).catch(() => {})
  await others()
}

/** The document is already on stdout: an error now is reported on stderr alone. */
async function afterwards(report: Report, after: () => Promise<number>): Promise<number> {
  try {
    await Promise.all([arrived('stdout'), arrived('stderr')])
    return await after()
  } catch (error) {
    return report.late(asAppError(error))
  }
}

/** `--help` or `--version` without a command. No arguments at all is an error that shows the help. */
function withoutCommand(args: string[], format: ResultFormat): number {
  const help = renderHelp(commandNames.map((name) => ({ name, summary: commands[name]!.summary })))
  const nothing: Command = { name: '', flags: {}, exits: {}, run: async () => ({ fields: {} }) }
  const { flags } = parseFlags(nothing, args, undefined)
  if (flags.version) return print(version)
  if (flags.help) return print(help)
  if (format !== 'text') throw usage('no command is given', { hint: 'run `pgbosun --help`' })
  write('stderr', `${help}\n`)
  return 2
}

function print(text: string): number {
  write('stdout', `${text}\n`)
  return 0
}

main()
