import type { Config } from '../config/schema.ts'
import type { Sql } from '../db/connect.ts'
import { isConnectionLost } from '../db/lost.ts'
import { type Place, setPath } from '../db/path.ts'
import { scan } from '../db/scan.ts'
import { setSettings } from '../db/settings.ts'
import { type Db, quoteIdent } from '../db/sql.ts'
import { isServerError } from '../db/sqlstate.ts'

/** A query about the data that must return no row, or one that is `true`. */
export type Assertion = Config['check']['assertions'][number]

/** `ok` null: it could not be asked, and `problem` says why. */
export type AssertionResult = { name: string; level: 'error' | 'warning'; ok: boolean | null; problem: string | null }

const timeoutMs = 10_000
const lockTimeoutMs = 2_000
const mostRows = 100

/**
 * Asks each in a read-only transaction of its own, which is rolled back, as whoever runs the files of the database.
 * A query that cannot be run is a problem like one that returns rows: nothing is known then.
 */
export async function runAssertions(sql: Sql, assertions: Assertion[], place: Place): Promise<AssertionResult[]> {
  const results: AssertionResult[] = []
  for (const assertion of assertions) {
    const { name, level } = assertion
    const problem = await problemOf(sql, assertion, place)
    results.push({ name, level, ok: problem === null, problem })
  }
  return results
}

async function problemOf(sql: Sql, assertion: Assertion, place: Place): Promise<string | null> {
  const { length } = scan(assertion.sql).statements
  if (length !== 1) return `it is ${length} statements, and must be one query`
  await sql.unsafe('begin read only')
  try {
    await sql.unsafe(
      `${place.role === undefined ? '' : `set local role ${quoteIdent(place.role)};`}
      ${setSettings(place.urlSettings ?? {}, 'local ')}${setPath(place.path, 'local ')}
      set local statement_timeout = ${timeoutMs}; set local lock_timeout = ${lockTimeoutMs}`,
    )
    return judgeRows(await rowsOf(sql, assertion.sql))
  } catch (error) {
    if (!isServerError(error) || isConnectionLost(error)) throw error
    return failed(error)
  } finally {
    // what the query may have set ends with the transaction; without a connection there is nothing to end
    await sql.unsafe('rollback').catch(() => {})
  }
}

type Rows = { rows: Record<string, unknown>[]; columns: string[] }

/**
 * As a cursor, the server takes a query and nothing else, and as a prepared statement one alone. Only so many rows are read.
 */
async function rowsOf(db: Db, query: string): Promise<Rows> {
  await db.unsafe(`declare assertion no scroll cursor for ${query}`, [], { prepare: true })
  const rows = await db.unsafe<Record<string, unknown>[]>(`fetch ${mostRows} from assertion`)
  return { rows: [...rows], columns: rows.columns.map(({ name }) => name) }
}

/** @returns why it does not hold, without the values, which may be anybody's; null where it does */
export function judgeRows({ rows, columns }: Rows): string | null {
  const [first] = rows
  if (!first) return null
  if (rows.length === 1 && columns.length === 1) {
    const value = first[columns[0]!]
    if (value === true) return null
    if (value === false) return 'it is false'
  }
  const count =
    rows.length === mostRows ? `${mostRows} rows or more` : rows.length === 1 ? '1 row' : `${rows.length} rows`
  return `it returned ${count} (${columns.join(', ')})`
}

function failed({ code, message }: { code: string; message: string }): string {
  if (code === '57014') return `it took longer than ${timeoutMs / 1000} s`
  return `it failed: ${message} (${code})`
}

/** For people and for the lists of errors and warnings. */
export const describeAssertion = ({ name, problem }: AssertionResult) => `assertion ${name} does not hold: ${problem}`
