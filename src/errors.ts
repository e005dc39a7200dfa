// pure
import { visible, visibleLines } from './text.ts'

/**
 * Kinds of errors and their exit codes, as in docs/exit-codes.md.
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

/** Where in a file an error is. Line and column count from 1; the column counts code points. */
export type FilePlace = { file?: string; line?: number; column?: number }

/**
 * The reason, for the program itself, which never decides by the words of a message. Never shown.
 *
 * - `connection-lost`: an open session was lost
 * - `no-connection`: no source names a database to connect to
 * - `pooler`: the target is a connection pooler instead of a server
 * - `unclear-primary`: it cannot be told which host of a URL is the primary, and waiting does not change that
 * - `standby`: the server is in recovery, and a primary is needed
 * - `dump-failed`: pg_dump ended by itself, with a failure
 * - `load-failed`: what is in a backup could not be loaded: pg_restore ended by itself with a failure, or code in it did what no load needs
 * - `deadlock`: several connections that load a backup were in each other's way
 * - `relation-dropped`: a relation that was being backed up was dropped
 * - `outcome-unknown`: the connection was lost at the commit, and whether it took place could not be found out
 * - `disk-full`: the disk of the server is full
 * - `store-unreadable`: the store of the backups cannot be read, so its contents are unknown
 * - `store-full`: the store has no space left
 * - `not-signed`: backups are signed here, and this one is not, or by somebody else: it may be as it was written
 * - `no-identity`: none of the identities that are configured opens a backup, which says nothing about the backup
 * - `prune-drastic`: retention would delete too much of a series
 * - `delete-refused`: the store can be read and written, but does not let this object be deleted
 */
export type Reason =
  | 'connection-lost'
  | 'no-connection'
  | 'pooler'
  | 'unclear-primary'
  | 'standby'
  | 'client-missing'
  | 'dump-failed'
  | 'recovery-conflict'
  | 'standby-behind'
  | 'load-failed'
  | 'deadlock'
  | 'relation-dropped'
  | 'outcome-unknown'
  | 'disk-full'
  | 'store-unreadable'
  | 'store-full'
  | 'no-identity'
  | 'not-signed'
  | 'delete-refused'
  | 'prune-drastic'

/** What an {@link AppError} carries besides its message. */
export type ErrorOptions = FilePlace & {
  reason?: Reason | undefined
  /** What to do next: a command to run, a key to set. */
  hint?: string | undefined
  sqlstate?: string | undefined
  /** Shown below the message: a source line with a caret, the server's DETAIL. */
  excerpt?: string | undefined
  /** Fields of the command's JSON document that are known despite the failure. */
  report?: Record<string, unknown> | undefined
  cause?: unknown
}

/**
 * The one error class. Its kind determines the exit code. The message says what happened to which thing, in one line; further lines
 * begin with two spaces. Names in it may contain anything: see text.ts.
 */
export class AppError extends Error {
  override readonly name = 'AppError'
  readonly kind: Kind
  readonly reason: Reason | undefined
  readonly hint: string | undefined
  readonly sqlstate: string | undefined
  readonly excerpt: string | undefined
  readonly place: FilePlace
  readonly report: Record<string, unknown> | undefined

  constructor(kind: Kind, message: string, options: ErrorOptions = {}) {
    super(visibleLines(message), { cause: options.cause })
    const { reason, hint, sqlstate, excerpt, report, file, line, column } = options
    this.kind = kind
    this.reason = reason
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

  /** A copy of the error with the given changes. */
  with({ kind = this.kind, message = this.message, ...changes }: Changes): AppError {
    const { reason, hint, sqlstate, excerpt, place, report, cause } = this
    return new AppError(kind, message, { reason, hint, sqlstate, excerpt, report, cause, ...place, ...changes })
  }
}

type Changes = ErrorOptions & { kind?: Kind; message?: string }

/** Whether the error is an {@link AppError} with that reason. */
export const hasReason = (error: unknown, reason: Reason): error is AppError =>
  error instanceof AppError && error.reason === reason

/** Exit 2: a flag, a key or a file is wrong, and nothing was changed. */
export const usage = (message: string, options: ErrorOptions = {}) => new AppError('usage', message, options)

/** A copy of the error with fields for the command's JSON document. Fields that it already has are kept. */
export const withReport = (error: AppError, report: Record<string, unknown>): AppError =>
  error.with({ report: { ...report, ...error.report } })
