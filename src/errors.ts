import { visible, visibleLines } from './text.ts'

/**
 * What went wrong, in the words of docs/exit-codes.md. The number is the exit code of the process.
 * Permanent: never renumber, only add.
 */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  pending: 3,
  unreachable: 10,
  locked: 11,
  refused: 12,
  migration: 20,
  history: 21,
  lint: 22,
  roles: 30,
  seed: 40,
  unhealthy: 50,
  backup: 60,
  corrupt: 61,
  nobackup: 62,
  restore: 70,
  interrupted: 130,
  terminated: 143,
} as const

/** A name of the exit code table. */
export type Kind = keyof typeof exitCodes

/** Where in a file an error lies. Line and column count from 1; the column counts code points. */
export type Place = { file?: string; line?: number; column?: number }

/** What an {@link AppError} carries beside its message. */
export type ErrorOptions = Place & {
  /** What to do next: a command, a key to set. */
  hint?: string | undefined
  sqlstate?: string | undefined
  /** Shown to people below the message: a source line with a caret, the server's DETAIL. */
  excerpt?: string | undefined
  /** Fields of the command's JSON document that are known in spite of the failure. */
  report?: Record<string, unknown> | undefined
  cause?: unknown
}

/**
 * The one error class: its kind fixes the exit code; the message says what happened to which thing, in one line, or with more that
 * begin with two blanks. Names in it may be anything: see text.ts.
 */
export class AppError extends Error {
  override readonly name = 'AppError'
  readonly kind: Kind
  readonly hint: string | undefined
  readonly sqlstate: string | undefined
  readonly excerpt: string | undefined
  readonly place: Place
  readonly report: Record<string, unknown> | undefined

  constructor(kind: Kind, message: string, options: ErrorOptions = {}) {
    super(visibleLines(message), { cause: options.cause })
    const { hint, sqlstate, excerpt, report, file, line, column } = options
    this.kind = kind
    this.hint = hint && visible(hint)
    this.sqlstate = sqlstate
    this.excerpt = excerpt
    this.report = report
    this.place = {
      ...(file !== undefined && { file }),
      ...(line !== undefined && { line }),
      ...(column !== undefined && { column }),
    }
  }

  get exitCode(): number {
    return exitCodes[this.kind]
  }
}

/** Exit 2: a flag, a key or a file is wrong, and nothing was touched. */
export const usage = (message: string, options: ErrorOptions = {}) => new AppError('usage', message, options)

/** The same error with fields for the command's JSON document; what it already carried wins. */
export function withReport(error: AppError, report: Record<string, unknown>): AppError {
  const { kind, message, hint, sqlstate, excerpt, place, cause } = error
  return new AppError(kind, message, {
    hint,
    sqlstate,
    excerpt,
    ...place,
    cause,
    report: { ...report, ...error.report },
  })
}
