import { existsSync, writeFileSync } from 'node:fs'
import { type Connection, resolveConnection } from '../config/connection.ts'
import { type Env, takeEnvironment } from '../config/environment.ts'
import { loadConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { didYouMean } from '../config/suggest.ts'
import { AppError, type Kind, usage } from '../errors.ts'
import { createLog, type Log, type LogFormat, type LogLevel, logLevels } from '../log.ts'
import { findCommand, parseFlags } from './args.ts'
import type { Command, Context, Result } from './command.ts'
import { commandNames, commands } from './commands.ts'
import { asAppError } from './failure.ts'
import { renderCommandHelp, renderHelp } from './help.ts'
import { createOutput, jsonDocument, type Output, renderError } from './output.ts'
import { version } from './version.ts'

/** The process: arguments in, one result on stdout, the log on stderr, and an exit code out. */
async function main(): Promise<void> {
  const env = takeEnvironment()
  const argv = process.argv.slice(2)
  const json = argv.slice(0, argv.includes('--') ? argv.indexOf('--') : undefined).includes('--json')
  let name = ''
  try {
    const words = findCommand(argv, commandNames)
    name = words.name ?? ''
    if (words.name === undefined) return leave(withoutCommand(words.args))
    const command = await commands[words.name]!.load()
    const { flags, args } = parseFlags(command, words.args, words.rest)
    if (flags.version) return leave(print(version))
    if (flags.help) return leave(print(renderCommandHelp(command)))
    leave(await runCommand(command, { flags, args, rest: words.rest ?? [], env, json }))
  } catch (error) {
    leave(report(name, json, [], { fields: {}, failure: asAppError(error) }))
  }
}

/** `--help` and `--version` alone; nothing at all is an error that shows the help. */
function withoutCommand(args: string[]): number {
  const help = renderHelp(commandNames.map((name) => ({ name, summary: commands[name]!.summary })))
  const nothing: Command = { name: '', summary: '', flags: {}, exits: {}, run: async () => ({ fields: {} }) }
  const { flags } = parseFlags(nothing, args, undefined)
  if (flags.version) return print(version)
  if (flags.help) return print(help)
  if (flags.json) throw usage('no command is given', { hint: 'run `pgbosun --help`' })
  process.stderr.write(`${help}\n`)
  return 2
}

function print(text: string): number {
  process.stdout.write(`${text}\n`)
  return 0
}

type Invocation = Pick<Context, 'flags' | 'args' | 'rest'> & { env: Env; json: boolean }

async function runCommand(command: Command, { flags, args, rest, env, json }: Invocation): Promise<number> {
  const log = makeLog(flags, env)
  const out = createOutput(
    json,
    (text) => process.stdout.write(text),
    (message) => log.warn(message),
  )
  const signal = stopSignal()
  let result: Result
  try {
    const file = typeof flags.config === 'string' ? flags.config : env.PGBOSUN_CONFIG
    const loaded = await loadConfig({ env, cwd: process.cwd(), file })
    let resolved: Connection | undefined
    const only = typeof flags.database === 'string' ? flags.database : undefined
    const connection = () => {
      resolved ??= narrow(resolveConnection(loaded.config, env, loaded.baseDir), loaded.config, only)
      for (const ignored of resolved.ignored)
        out.warn(`the parameter ${ignored} of the URL in ${resolved.source} means nothing to pgbosun and is ignored`)
      return resolved
    }
    result = await command.run({
      command: command.name,
      flags,
      args,
      rest,
      loaded,
      connection,
      isTarget: () => only === undefined || resolveConnection(loaded.config, env, loaded.baseDir).database === only,
      out,
      log,
      signal,
      runId: crypto.randomUUID(),
      version,
    })
  } catch (error) {
    result = { fields: {}, failure: asAppError(signal.aborted ? signal.reason : error) }
  }
  if (result.failure?.kind === 'failed')
    log.debug({ stack: (result.failure.cause as Error | undefined)?.stack }, 'unexpected')
  return report(command.name, json, out.warnings, result)
}

/** `--database`: of the declared databases only this one; connections lead there. */
function narrow(connection: Connection, config: Config, only: string | undefined): Connection {
  if (only === undefined) return connection
  const declared = config.databases[only]
  if (!Object.hasOwn(config.databases, only) && only !== connection.database)
    throw usage(
      `--database ${only} is neither declared nor the target ${connection.database}${didYouMean(only, Object.keys(config.databases))}`,
      {
        hint: 'name one of the keys under `databases`',
      },
    )
  config.databases = Object.hasOwn(config.databases, only) ? { [only]: declared ?? null } : {}
  return { ...connection, database: only }
}

function makeLog(flags: Context['flags'], env: Env): Log {
  const level = flags['log-level'] ?? env.PGBOSUN_LOG_LEVEL ?? 'info'
  const format = flags['log-format'] ?? env.PGBOSUN_LOG_FORMAT ?? (process.stderr.isTTY ? 'pretty' : 'json')
  if (!(logLevels as readonly unknown[]).includes(level))
    throw usage(`there is no log level ${level}`, { hint: `use one of ${logLevels.join(', ')}` })
  if (format !== 'json' && format !== 'pretty')
    throw usage(`there is no log format ${format}`, { hint: 'use json or pretty' })
  return createLog(level as LogLevel, format as LogFormat, process.stderr)
}

/** Aborts on the first SIGINT or SIGTERM; a second one ends the process at once. */
function stopSignal(): AbortSignal {
  const controller = new AbortController()
  const stop = (signal: NodeJS.Signals, kind: Kind) =>
    process.once(signal, () => {
      process.once(signal, () => process.exit(kind === 'interrupted' ? 130 : 143))
      controller.abort(
        new AppError(kind, `stopped by ${signal} before it was done`, {
          hint: 'run it again: it goes on where it stopped',
        }),
      )
    })
  stop('SIGINT', 'interrupted')
  stop('SIGTERM', 'terminated')
  return controller.signal
}

function report(
  command: string,
  json: boolean,
  warnings: Output['warnings'],
  { fields, failure, exitCode }: Result,
): number {
  const code = failure?.exitCode ?? exitCode ?? 0
  if (json) process.stdout.write(`${jsonDocument(command, { exitCode: code, error: failure, fields, warnings })}\n`)
  if (failure) {
    process.stderr.write(`${renderError(failure)}\n`)
    writeTerminationLog(`${failure.kind}: ${failure.message}`)
  }
  return code
}

/** Kubernetes shows the content of this file as the reason of a failed container. */
function writeTerminationLog(line: string): void {
  const path = '/dev/termination-log'
  if (!existsSync(path)) return
  try {
    writeFileSync(path, line.replaceAll('\n', ' ').slice(0, 4_000))
  } catch (error) {
    process.stderr.write(`warning: ${path} could not be written: ${(error as Error).message}\n`)
  }
}

/** Leaves without waiting for servers to close their end; stdout and stderr are written synchronously on files, pipes and terminals. */
function leave(code: number): void {
  process.exit(code)
}

main()
