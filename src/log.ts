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
 */
export function createLog(level: LogLevel, format: LogFormat | (() => LogFormat), target: LogTarget): Log {
  let made: Log | undefined
  // Most runs log nothing, so pino is only set up for the first line.
  const line = (method: keyof Log) =>
    ((...args: Parameters<Log['info']>) => {
      if (logLevels.indexOf(method) < logLevels.indexOf(level)) return
      made ??= makeLog(level, typeof format === 'function' ? format() : format, target)
      made[method](...args)
    }) as Log['info']
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') }
}

function makeLog(level: LogLevel, format: LogFormat, target: LogTarget): Log {
  return pino(
    {
      level,
      base: null,
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
