import { existsSync, writeFileSync } from 'node:fs'
import { takeEnvironment } from '../config/environment.ts'
import { usage } from '../errors.ts'
import type { Result } from '../run/context.ts'
import { asAppError } from '../run/failure.ts'
import { jsonDocument, renderError } from '../run/output.ts'
import { visible } from '../text.ts'
import { findCommand, parseFlags } from './args.ts'
import type { Command } from './command.ts'
import { commandNames, commands } from './commands.ts'
import { renderCommandHelp, renderHelp } from './help.ts'
import { arrived, end, write } from './streams.ts'
import { version } from './version.ts'

/** The process: arguments in, one result on stdout, the log on stderr, and an exit code out. */
async function main(): Promise<void> {
  const env = takeEnvironment()
  const argv = process.argv.slice(2)
  const json = argv.slice(0, argv.includes('--') ? argv.indexOf('--') : undefined).includes('--json')
  let name = ''
  lastResort((error) => report(name, json, [], { fields: {}, failure: asAppError(error) }))
  try {
    const words = findCommand(argv, commandNames)
    name = words.name ?? ''
    if (words.name === undefined) return await end(withoutCommand(words.args))
    const command = await commands[words.name]!.load()
    const { flags, args } = parseFlags(command, words.args, words.rest)
    if (flags.version) return await end(print(version))
    if (flags.help) return await end(print(renderCommandHelp(commands[words.name]!.summary, command)))
    const { invoke } = await import('./invoke.ts')
    const { result, warnings } = await invoke(command, { flags, args, rest: words.rest ?? [], env, json })
    const code = report(name, json, warnings, result)
    await end(code === 0 && result.after ? await afterwards(name, result.after) : code)
  } catch (error) {
    await end(report(name, json, [], { fields: {}, failure: asAppError(error) }))
  }
}

/**
 * An error that nobody caught ends the run like any other error; so does an unhandled rejection, which arrives here as well. Continuing
 * would mean continuing with something half done.
 */
function lastResort(tell: (error: unknown) => number): void {
  let told = false
  process.on('uncaughtException', (error) => {
    if (told) return
    told = true
    void end(tell(error))
  })
}

/** The document is already on stdout: an error now is reported on stderr alone. */
async function afterwards(name: string, after: () => Promise<number>): Promise<number> {
  try {
    await Promise.all([arrived('stdout'), arrived('stderr')])
    return await after()
  } catch (error) {
    return report(name, false, [], { fields: {}, failure: asAppError(error) })
  }
}

/** `--help` or `--version` without a command. No arguments at all is an error that shows the help. */
function withoutCommand(args: string[]): number {
  const help = renderHelp(commandNames.map((name) => ({ name, summary: commands[name]!.summary })))
  const nothing: Command = { name: '', flags: {}, exits: {}, run: async () => ({ fields: {} }) }
  const { flags } = parseFlags(nothing, args, undefined)
  if (flags.version) return print(version)
  if (flags.help) return print(help)
  if (flags.json) throw usage('no command is given', { hint: 'run `pgbosun --help`' })
  write('stderr', `${help}\n`)
  return 2
}

function print(text: string): number {
  write('stdout', `${text}\n`)
  return 0
}

let documentWritten = false

function report(command: string, json: boolean, warnings: string[], { fields, failure, exitCode }: Result): number {
  const code = failure?.exitCode ?? exitCode ?? 0
  // There is exactly one document, even when something goes wrong after it.
  if (json && !documentWritten)
    write('stdout', `${jsonDocument(command, { exitCode: code, error: failure, fields, warnings })}\n`)
  documentWritten ||= json
  if (failure) {
    write('stderr', `${renderError(failure)}\n`)
    writeTerminationLog(`${failure.kind}: ${failure.message}`)
  }
  return code
}

/** Kubernetes shows the content of this file as the reason why a container failed. */
function writeTerminationLog(line: string): void {
  const path = '/dev/termination-log'
  if (!existsSync(path)) return
  try {
    writeFileSync(path, line.replaceAll(/\n */g, ' ').slice(0, 4_000))
  } catch (error) {
    write('stderr', `warning: ${path} could not be written: ${visible((error as Error).message)}\n`)
  }
}

main()
