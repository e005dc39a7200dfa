import type { AppError } from '../errors.ts'
import { indented, visible, visibleJson, visibleLines } from '../text.ts'

/** stdout: text for people during the work, or one JSON document at the end. */
export type Output = {
  json: boolean
  /** Prints one or several lines for people; nothing with `--json`. A newline within a line is data, and shown as `\u000a`. */
  print(lines: string | readonly string[]): void
  /** Reports something that is not an error, once: in the log, and in `warnings` of the JSON document. */
  warn(message: string): void
  warnings: string[]
  /** Draws on the terminal that the log goes to; undefined when the log does not go to a terminal. */
  terminal(): ((text: string) => void) | undefined
}

/** @param write where text goes: stdout */
export function createOutput({
  json,
  write,
  warn,
  terminal,
}: {
  json: boolean
  write: (text: string) => void
  warn: (message: string) => void
  terminal: Output['terminal']
}): Output {
  const warnings: string[] = []
  return {
    json,
    warnings,
    terminal,
    print: (lines) => {
      if (!json) write(`${[lines].flat().map(visible).join('\n')}\n`)
    },
    warn: (message) => {
      if (warnings.includes(message)) return
      warnings.push(message)
      warn(message)
    },
  }
}

/** The one JSON document of a command: the common fields, and those of the command itself. */
export function jsonDocument(
  command: string,
  {
    exitCode,
    error,
    fields,
    warnings,
  }: { exitCode: number; error: AppError | undefined; fields: Record<string, unknown>; warnings: string[] },
): string {
  const text = JSON.stringify(
    {
      command,
      ok: exitCode === 0,
      exit_code: exitCode,
      error: error === undefined ? null : jsonError(error),
      warnings,
      ...error?.report,
      ...fields,
    },
    (_, value) => (typeof value === 'bigint' ? Number(value) : value),
  )
  return visibleJson(text)
}

function jsonError({ kind, message, hint, sqlstate, place }: AppError) {
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
