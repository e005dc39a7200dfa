import { existsSync, writeFileSync } from 'node:fs'
import type { Env } from '../config/environment.ts'
import type { AppError } from '../errors.ts'
import type { Result } from '../run/context.ts'
import { jsonDocument, jsonError, type ResultFormat, renderError } from '../run/output.ts'
import { visible, visibleJson } from '../text.ts'
import { write } from './streams.ts'

/** How the result is written, before anything else is known: also an error in the command line is written like this. */
export function formatOf(argv: string[], env: Env): ResultFormat {
  const own = argv.slice(0, argv.includes('--') ? argv.indexOf('--') : undefined)
  if (own.includes('--json-lines')) return 'json-lines'
  if (own.includes('--json')) return 'json'
  return env.PGBOSUN_JSON_LINES === 'true' ? 'json-lines' : 'text'
}

/**
 * Whether a person reads stderr. With `--json-lines` a terminal for both outputs is that of a container (`tty: true`), whose log a program
 * reads.
 */
export const isForPeople = (format: ResultFormat): boolean =>
  process.stderr.isTTY && !(format === 'json-lines' && process.stdout.isTTY)

/** Writes what a command ends with: the result on stdout, an error on stderr. */
export type Report = {
  /** @returns the exit code */
  result(command: string, warnings: string[], result: Result): number
  /** An error after the result was written. @returns the exit code */
  late(failure: AppError): number
  /** An error as stderr shows it. */
  renderError(failure: AppError): string
}

export function createReport(format: ResultFormat): Report {
  let documentWritten = false
  const render = (failure: AppError) =>
    format === 'json-lines' && !isForPeople(format) ? errorLine(failure) : renderError(failure)
  const late = (failure: AppError) => {
    write('stderr', `${render(failure)}\n`)
    writeTerminationLog(`${failure.kind}: ${failure.message}`, format)
    return failure.exitCode
  }
  return {
    late,
    renderError: render,
    result(command, warnings, { fields, failure, exitCode = 0 }) {
      const code = failure?.exitCode ?? exitCode
      const content = { exitCode: code, error: failure, fields, warnings }
      // There is exactly one document, even when something goes wrong after it.
      if (format !== 'text' && !documentWritten)
        writeLine(jsonDocument(command, content, format === 'json-lines' ? new Date() : undefined))
      documentWritten = true
      if (failure) late(failure)
      return code
    },
  }
}

/** Of a document of several megabytes no second copy is made for the sake of its newline. */
const longLine = 65_536

function writeLine(text: string): void {
  const parts = text.length < longLine ? [`${text}\n`] : [text, '\n']
  for (const part of parts) write('stdout', part)
}

function errorLine(failure: AppError): string {
  const { message, ...fields } = jsonError(failure)
  return logLine('error', message, { ...fields, excerpt: failure.excerpt })
}

/** A line as the log writes it, whose code is only loaded when a command runs. */
const logLine = (level: 'warn' | 'error', msg: string, fields = {}) =>
  visibleJson(JSON.stringify({ level, time: new Date().toISOString(), ...fields, msg }))

/** Kubernetes shows the content of this file as the reason why a container failed. */
function writeTerminationLog(line: string, format: ResultFormat): void {
  const path = '/dev/termination-log'
  if (!existsSync(path)) return
  try {
    writeFileSync(path, line.replaceAll(/\n */g, ' ').slice(0, 4_000))
  } catch (error) {
    const message = `${path} could not be written: ${visible((error as Error).message)}`
    write('stderr', `${format === 'json-lines' ? logLine('warn', message) : `warning: ${message}`}\n`)
  }
}
