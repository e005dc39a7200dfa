import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '../config/schema.ts'
import type { Db, Sql } from '../postgres/db.ts'
import { isConnectionLost } from '../postgres/lost.ts'
import { type RunsAs, setPath } from '../postgres/search-path.ts'
import { isServerError } from '../postgres/server-error.ts'
import { quoteIdent } from '../sql/quote.ts'
import { scan } from '../sql/scan.ts'
import { setSettings } from '../sql/settings.ts'
import { type AssertionResult, judgeRows, mostRows, type Rows } from './assertion.ts'

/** A query about the data that must return no row, or one that is `true`. */
export type Assertion = Config['check']['assertions'][number]

const timeoutMs = 10_000
/** After which the server has not ended it: plpgsql can catch what ends a statement. */
const graceMs = 3_000
const tooLong = `it took longer than ${timeoutMs / 1000} s`
const lockTimeoutMs = 2_000

/**
 * Asks each in a read-only transaction of its own, which is rolled back, as whoever runs the files of the database.
 * A query that cannot be run is a problem like one that returns rows: nothing is known then.
 *
 * @param sql a session that nothing else depends on
 * @param breakOff ends that session
 * @returns fewer than were asked where the session had to be ended, that one being the last
 */
export async function runAssertions(
  sql: Sql,
  assertions: Assertion[],
  place: RunsAs,
  breakOff: () => Promise<void>,
): Promise<AssertionResult[]> {
  const results: AssertionResult[] = []
  for (const assertion of assertions) {
    const { name, level } = assertion
    const limit = new AbortController()
    const asked = problemOf(sql, assertion, place)
    const late = sleep(timeoutMs + graceMs, 'late' as const, { signal: limit.signal }).catch(() => 'late' as const)
    const problem = await Promise.race([asked, late]).finally(() => limit.abort())
    if (problem === 'late') {
      asked.catch(() => {})
      await breakOff()
      return [...results, { name, level, ok: false, problem: tooLong }]
    }
    results.push({ name, level, ok: problem === null, problem })
  }
  return results
}

async function problemOf(sql: Sql, assertion: Assertion, place: RunsAs): Promise<string | null> {
  const { length } = scan(assertion.sql).statements
  if (length !== 1) return `it is ${length} statements, and must be one query`
  await sql.unsafe('begin read only')
  try {
    await sql.unsafe(
      `${place.role === undefined ? '' : `set local role ${quoteIdent(place.role)};`}
      ${setSettings(place.urlSettings ?? {}, 'local ')}${setPath(place.path, 'local ')}
      ${limits}`,
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

const limits = `set local statement_timeout = ${timeoutMs}; set local lock_timeout = ${lockTimeoutMs}`

const booleanType = 16

/**
 * As a cursor, the server takes a query and nothing else, and as a prepared statement one alone. Only so many rows are read, and
 * nothing of them leaves the server but a boolean: they may be of any size.
 */
async function rowsOf(db: Db, query: string): Promise<Rows> {
  await db.unsafe(`declare assertion no scroll cursor for ${query}`, [], { prepare: true })
  // a function that calls itself immutable was run already, and may have taken the limits away
  const described = await db.unsafe(`${limits}; fetch 0 from assertion`)
  const { columns } = described.at(-1) as unknown as { columns: { name: string; type: number }[] }
  const names = columns.map(({ name }) => name)
  if (columns.length !== 1 || columns[0]!.type !== booleanType)
    return { count: (await db.unsafe(`move ${mostRows} from assertion`)).count, columns: names }
  const rows = await db.unsafe<Record<string, unknown>[]>(`fetch ${mostRows} from assertion`)
  return { count: rows.length, columns: names, value: rows[0]?.[names[0]!] }
}

function failed({ code, message }: { code: string; message: string }): string {
  if (code === '57014') return tooLong
  return `it failed: ${message} (${code})`
}
