import { randomUUID } from 'node:crypto'
import type { Connection } from '../config/connection.ts'
import type { Env } from '../config/environment.ts'
import { type Loaded, loadConfig } from '../config/load.ts'
import { renewNeeded } from '../config/needed.ts'
import { remarks, resolveConnection, variablesBeside } from '../config/resolve.ts'
import { didYouMean } from '../config/suggest.ts'
import { traceFields } from '../config/trace.ts'
import { includes, isPattern } from '../config/wildcards.ts'
import { AppError, type Kind, usage, withReport } from '../errors.ts'
import { createLog, type Log, type LogLevel, logLevels } from '../log.ts'
import type { Result } from '../run/context.ts'
import { asAppError } from '../run/failure.ts'
import { createOutput, type Output, type ResultFormat } from '../run/output.ts'
import type { OneShot } from '../serve/notify/one-shot.ts'
import { plural } from '../units.ts'
import type { Command, CommandContext } from './command.ts'
import { neededSecrets } from './needed-secrets.ts'
import { isForPeople } from './report.ts'
import { write } from './streams.ts'
import { exit, tuneForLittleMemory } from './v8.ts'
import { version } from './version.ts'

type Invocation = Pick<CommandContext, 'flags' | 'lists' | 'args' | 'rest'> & { env: Env; format: ResultFormat }

/** Runs a command with the log, the configuration and the connection that its flags and the environment ask for. */
export async function invoke(
  command: Command,
  { flags, lists, args, rest, env, format }: Invocation,
): Promise<{ result: Result; warnings: string[] }> {
  tuneForLittleMemory()
  const runId = randomUUID()
  const log = makeLog(flags, env, format, { run_id: runId, ...traceFields(env.TRACEPARENT) })
  refuseOther(env.PGBOSUN_JSON_LINES)
  let databaseOf = () => ''
  const out = createOutput({
    format,
    write: (text) => write('stdout', text),
    warn: (message) => log.warn(message),
    terminal: () => (isForPeople(format) ? (text) => write('stderr', text) : undefined),
    database: () => databaseOf(),
  })
  const signal = stopSignal(command)
  let tellOthers: OneShot | undefined
  const result = await attempt(async () => {
    const file = typeof flags.config === 'string' ? flags.config : env.PGBOSUN_CONFIG
    const loaded = await loadConfig({ env, cwd: process.cwd(), file })
    await renewNeeded(loaded, neededSecrets(command.name, loaded.config))
    const target = connections(loaded, out, typeof flags.database === 'string' ? flags.database : undefined)
    databaseOf = () => target.connection().database
    if (command.job && loaded.config.notify.length > 0) {
      const { startOneShot } = await import('../serve/notify/one-shot.ts')
      tellOthers = startOneShot(loaded, command.job, { log, database: databaseOf })
    }
    return command.run({
      command: command.name,
      takeLock: flags['take-lock'] === true,
      afterRestore: flags['after-restore'] === true,
      flags,
      lists,
      args,
      rest,
      loaded,
      ...target,
      out,
      log,
      signal,
      runId,
      version,
    })
  }, signal)
  if (result.failure?.kind === 'failed')
    log.debug({ stack: (result.failure.cause as Error | undefined)?.stack }, 'unexpected')
  return {
    result: tellOthers ? { ...result, told: () => tellOthers!(result.failure) } : result,
    warnings: out.warnings,
  }
}

async function attempt(run: () => Promise<Result>, signal: AbortSignal): Promise<Result> {
  try {
    return await run()
  } catch (error) {
    if (!signal.aborted) return { fields: {}, failure: asAppError(error) }
    return { fields: {}, failure: withReport(signal.reason, (error instanceof AppError && error.report) || {}) }
  }
}

/** The connection is only resolved when a command asks for it; with `--database` at once, because that narrows the configuration. */
function connections(
  loaded: Loaded,
  out: Output,
  only: string | undefined,
): Pick<CommandContext, 'connection' | 'isTarget'> {
  let resolved: Connection | undefined
  const target = () => {
    resolved ??= resolveConnection(loaded.config, loaded.env, loaded.baseDir)
    for (const remark of remarks(resolved)) out.warn(remark)
    const beside = variablesBeside(loaded.env, resolved)
    if (beside.length > 0)
      out.warn(`${beside.join(', ')} ${plural(beside.length, 'is', 'are')} ignored, because ${resolved.source} is set`)
    return resolved
  }
  if (only === undefined) return { connection: target, isTarget: () => true }
  const isTarget = target().database === only
  narrow(loaded, target(), only)
  return { connection: () => ({ ...target(), database: only }), isTarget: () => isTarget }
}

/** `--database`: keeps only this one of the declared databases. */
function narrow({ config }: Loaded, { database }: Connection, only: string): void {
  const declared = Object.hasOwn(config.databases, only)
  if (!declared && only !== database && !includes(config.backup.databases ?? [], only))
    throw usage(
      `--database ${only} is neither declared nor the target ${database}${didYouMean(only, [...Object.keys(config.databases), ...(config.backup.databases ?? []).filter((name) => !isPattern(name))])}`,
      {
        hint: 'name one of the keys under `databases`; a database that is only backed up belongs in `backup.databases`',
      },
    )
  config.databases = declared ? { [only]: config.databases[only] ?? null } : {}
}

/** The variable of `--json-lines`, which was read before there was a command. */
function refuseOther(jsonLines: string | undefined): void {
  if (jsonLines !== undefined && jsonLines !== 'true' && jsonLines !== 'false')
    throw usage(`PGBOSUN_JSON_LINES must be true or false, not ${jsonLines}`, { hint: 'set it to true, or remove it' })
}

function makeLog(flags: CommandContext['flags'], env: Env, result: ResultFormat, fields: Record<string, string>): Log {
  const level = flags['log-level'] ?? env.PGBOSUN_LOG_LEVEL ?? 'info'
  const format = flags['log-format'] ?? env.PGBOSUN_LOG_FORMAT
  if (!(logLevels as readonly unknown[]).includes(level))
    throw usage(`there is no log level ${level}`, { hint: `use one of ${logLevels.join(', ')}` })
  if (format !== undefined && format !== 'json' && format !== 'pretty')
    throw usage(`there is no log format ${format}`, { hint: 'use json or pretty' })
  // The kind of stderr is only looked up, and pino only loaded, when there is something to log.
  const target = { write: (line: string) => write('stderr', line) }
  return createLog(level as LogLevel, format ?? (() => (isForPeople(result) ? 'pretty' : 'json')), target, fields)
}

/** Aborts on the first SIGINT or SIGTERM; a second one ends the process at once. */
function stopSignal({ startsAnew }: Command): AbortSignal {
  const controller = new AbortController()
  const stop = (signal: NodeJS.Signals, kind: Kind) =>
    process.once(signal, () => {
      process.once(signal, () => exit(kind === 'interrupted' ? 130 : 143))
      controller.abort(
        new AppError(kind, `stopped by ${signal} before it was done`, {
          hint: `run it again: it ${startsAnew ? 'starts from the beginning' : 'continues where it stopped'}`,
        }),
      )
    })
  stop('SIGINT', 'interrupted')
  stop('SIGTERM', 'terminated')
  return controller.signal
}
