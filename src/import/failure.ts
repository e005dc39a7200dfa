import { AppError, type Kind } from '../errors.ts'
import type { Log } from '../log.ts'
import { copyLineOf } from '../postgres/copy.ts'
import type { Sql } from '../postgres/db.ts'
import { isConnectionLost } from '../postgres/lost.ts'
import type { RunsAs } from '../postgres/search-path.ts'
import { isServerError, type ServerError } from '../postgres/server-error.ts'
import { hintFor, serverNotes } from '../postgres/sqlstate.ts'
import { quoteIdent } from '../sql/quote.ts'
import { indented } from '../text.ts'
import { importProblems } from './describe.ts'
import { inspectValues } from './prepare.ts'
import type { Prepared } from './prepared.ts'
import { misfit } from './sqlite/rows.ts'
import { sqliteFailed } from './sqlite/scratch.ts'

/** Remembers which table an error is about. */
export async function failedIn<T>(table: string, use: () => PromiseLike<T>): Promise<T> {
  try {
    return await use()
  } catch (error) {
    if (typeof error === 'object' && error !== null) tableOf.set(error, table)
    throw error
  }
}

const tableOf = new WeakMap<object, string>()

/**
 * The error of a failed import: an {@link AppError}, or the error itself when the connection was lost.
 * @param db asked for hints; its transaction has ended
 */
export async function importFailed(
  db: Sql,
  prepared: Prepared,
  cause: unknown,
  { log, place, guard }: { log: Log; place: RunsAs; guard(): void },
): Promise<unknown> {
  if (cause instanceof AppError || isConnectionLost(cause)) return cause
  if (cause === misfit || (isServerError(cause) && cause.code === nullRefused)) {
    // Now it is worth the time to tell all of them.
    const error = importProblems(prepared.opened, (await inspectValues(prepared, guard)).problems)
    if (error) return error
  }
  const { name } = prepared.opened
  if (!isServerError(cause)) return sqliteFailed(name, cause)
  const table = tableOf.get(cause)
  const row = table === undefined ? undefined : rowOf(prepared, table, cause)
  const where = [table && `table ${table}`, row !== undefined && `row with rowid ${row}`].filter(Boolean)
  const notes = serverNotes(withoutData(cause))
  return new AppError(kindOf(cause), `${[name, ...where].join(', ')}: ${indented(cause.message)}`, {
    sqlstate: cause.code,
    ...(notes.length > 0 && { excerpt: notes.join('\n') }),
    hint: await hintFor(db, cause, { log, path: place.path }),
    cause,
  })
}

const kindOf = ({ code }: ServerError): Kind => (['55P03', '40P01'].includes(code) ? 'locked' : 'seed')

const [nullRefused, checkRefused] = ['23502', '23514']

/** The CONTEXT of a COPY quotes values, and so does DETAIL where it shows the row. */
const withoutData = (error: ServerError): ServerError =>
  Object.create(error, {
    where: { value: undefined },
    ...([nullRefused, checkRefused].includes(error.code) && { detail: { value: undefined } }),
  })

/** The row at the line that COPY names: rows are sent in the order of their numbers. */
function rowOf({ opened, plan }: Prepared, table: string, error: ServerError): string | undefined {
  const line = copyLineOf(error)
  const source = plan.tables.find(({ to }) => to === table)?.source
  if (line === undefined || source?.rowid === undefined) return undefined
  const [found] = opened.db
    .prepare(
      `select cast(${source.rowid} as text) as number from ${quoteIdent(source.name)} order by ${source.rowid} limit 1 offset ?`,
    )
    .all(line - 1) as { number: string }[]
  return found?.number
}
