import type { AppError } from '../errors.ts'
import type { Step, Warning } from '../plan.ts'
import { indented, visible, visibleJson, visibleLines } from '../text.ts'
import { someOf } from '../units.ts'

/** What stdout gets: text during the work, one JSON document at the end, or a line of JSON for each step and one at the end. */
export type ResultFormat = 'text' | 'json' | 'json-lines'

/** What people read; as a function where it is long. */
export type Lines = string | readonly string[] | (() => readonly string[])

/** stdout, in its format. */
export type Output = {
  /**
   * Prints one or several lines for people; nothing with another format. A newline within a line is data, and shown as `\u000a`.
   * @param lines a function is only called where they are shown: for thousands of lines
   */
  print(lines: Lines): void
  /** Writes the line of a step that has ended; nothing with another format. */
  ended(step: Step): void
  /**
   * Reports something that is not an error, once: in the log, and in `warnings` of the JSON document. Of a list, the log has the first
   * ones and how many more there are.
   */
  warn(warning: Warning): void
  warnings: string[]
  /** Draws on the terminal that the log goes to; undefined when the log does not go to a terminal. */
  terminal(): ((text: string) => void) | undefined
}

/**
 * @param options `write`: where the result goes: stdout; `database`: name of the target database
 */
export function createOutput({
  format,
  write,
  warn,
  terminal,
  database,
}: {
  format: ResultFormat
  write: (text: string) => void
  warn: (message: string) => void
  terminal: Output['terminal']
  database: () => string
}): Output {
  const warnings: string[] = []
  return {
    warnings,
    terminal,
    print: (lines) => {
      if (format !== 'text') return
      write(`${linesOf(lines).map(visible).join('\n')}\n`)
    },
    ended: (step) => {
      if (format !== 'json-lines') return
      const line = { at: new Date().toISOString(), database: database(), ...jsonStep(step) }
      write(`${visibleJson(JSON.stringify(line))}\n`)
    },
    warn: (warning) => {
      const known = new Set(warnings)
      const fresh = [...new Set([warning].flat())].filter((message) => !known.has(message))
      if (fresh.length === 0) return
      warnings.push(...fresh)
      warn(someOf(fresh, '; '))
    },
  }
}

/** Those lines, one by one. */
export const linesOf = (lines: Lines): string[] => [typeof lines === 'function' ? lines() : lines].flat()

/** A step as JSON has it. */
export const jsonStep = ({ name, state, changes, durationMs }: Step) => ({
  name,
  state,
  changes,
  duration_ms: durationMs,
})

/**
 * The one JSON document of a command: the common fields, and those of the command itself.
 * @param at given for the last of several lines: the instant. The steps have had lines of their own.
 */
export function jsonDocument(
  command: string,
  {
    exitCode,
    error,
    fields,
    warnings,
  }: { exitCode: number; error: AppError | undefined; fields: Record<string, unknown>; warnings: string[] },
  at?: Date,
): string {
  const text = JSON.stringify(
    {
      ...(at && { at: at.toISOString() }),
      command,
      ok: exitCode === 0,
      exit_code: exitCode,
      error: error === undefined ? null : jsonError(error),
      warnings,
      ...error?.report,
      ...fields,
      ...(at && { steps: undefined }),
    },
    (_, value) => (typeof value === 'bigint' ? Number(value) : value),
  )
  return visibleJson(text)
}

/** An error as JSON has it. */
export function jsonError({ kind, message, hint, sqlstate, place }: AppError) {
  return {
    kind,
    message,
    hint: hint ?? null,
    sqlstate: sqlstate ?? null,
    file: place.file ?? null,
    line: place.line ?? null,
    column: place.column ?? null,
  }
}

/** An error as people read it. */
export function renderError({ message, hint, excerpt, sqlstate, place }: AppError): string {
  const code = sqlstate !== undefined && !message.includes(sqlstate) ? ` (SQLSTATE ${sqlstate})` : ''
  const where =
    place.file !== undefined &&
    place.line !== undefined &&
    `  at ${visible(place.file)}:${place.line}:${place.column ?? 1}`
  return [`error: ${message}${code}`, where, excerpt && visibleLines(indented(excerpt, 0)), hint && `hint:  ${hint}`]
    .filter(Boolean)
    .join('\n')
}
