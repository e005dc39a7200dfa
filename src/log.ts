import { type Logger, pino } from 'pino'
import { visibleJson, visibleLines } from './text.ts'

/** The log on stderr. stdout belongs to the result. */
export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]
export type LogFormat = 'json' | 'pretty'

/** Where log lines are written: `process.stderr`, or an array in a test. */
export type LogTarget = { write(line: string): unknown }

/**
 * Creates the log: one JSON object per line, or `pretty` lines for a person.
 * Values of keys that look like secrets are replaced; a driver error's query and parameters are never logged.
 * @param fields of every line of JSON: the run, and the trace that it belongs to
 */
export function createLog(
  level: LogLevel,
  format: LogFormat | (() => LogFormat),
  target: LogTarget,
  fields: Record<string, string> = {},
): Log {
  let made: Log | undefined
  // Most runs log nothing, so pino is only set up for the first line.
  const line = (method: keyof Log) =>
    ((...args: Parameters<Log['info']>) => {
      if (logLevels.indexOf(method) < logLevels.indexOf(level)) return
      made ??= makeLog(level, typeof format === 'function' ? format() : format, target, fields)
      made[method](...args)
    }) as Log['info']
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') }
}

function makeLog(level: LogLevel, format: LogFormat, target: LogTarget, fields: Record<string, string>): Log {
  return pino(
    {
      level,
      base: format === 'json' ? fields : null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: ['password', 'pass', 'url', 'query', 'parameters', '*.password', '*.pass', '*.url'],
        censor: '***',
      },
    },
    { write: (line: string) => target.write(format === 'json' ? visibleJson(line) : pretty(line)) },
  )
}

function pretty(line: string): string {
  const { level, time, msg, ...rest } = JSON.parse(line) as Record<string, unknown>
  const fields = Object.entries(rest).map(
    ([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  )
  const text = `${String(time).slice(11, 19)} ${String(level).toUpperCase().padEnd(5)} ${msg}${fields.join('')}`
  return `${visibleLines(text)}\n`
}

/** A log that writes nothing. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} }

const quietMs = 60_000

/**
 * A log for a process that stays: a line that is the same but for how long something took is written at most once a minute, then with how
 * often it was left out (`repeated`).
 *
 * @param nowMs of a monotonic clock
 */
export function withoutRepeats(log: Log, nowMs: () => number = () => performance.now()): Log {
  const written = new Map<string, { atMs: number; repeated: number }>()
  const line = (method: keyof Log) =>
    ((...[first, ...rest]: Parameters<Log['info']>) => {
      const key = JSON.stringify([method, withoutTimes(first), rest])
      const known = written.get(key)
      const now = nowMs()
      if (known && now - known.atMs < quietMs) {
        known.repeated++
        return
      }
      for (const [old, { atMs, repeated }] of written) if (repeated === 0 && now - atMs >= quietMs) written.delete(old)
      written.set(key, { atMs: now, repeated: 0 })
      const repeated = known?.repeated ?? 0
      if (repeated === 0) log[method](first, ...rest)
      else if (typeof first === 'object') log[method]({ ...first, repeated }, ...rest)
      else log[method]({ repeated }, first as string)
    }) as Log['info']
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') }
}

const withoutTimes = (fields: unknown) =>
  typeof fields === 'object' && fields !== null
    ? Object.fromEntries(Object.entries(fields).filter(([name]) => !name.endsWith('_ms')))
    : fields
