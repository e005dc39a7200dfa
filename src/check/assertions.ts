import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '../config/schema.ts'
import type { Db, Sql } from '../postgres/db.ts'
import { isConnectionLost } from '../postgres/lost.ts'
import { type RunsAs, setPath } from '../postgres/search-path.ts'
import { isServerError } from '../postgres/server-error.ts'
import { quoteIdent } from '../sql/quote.ts'
import { scan } from '../sql/scan.ts'
import { setSettings } from '../sql/settings.ts'
import { counted } from '../units.ts'
import { type AssertionResult, judgeRows, mostRows, type Rows } from './assertion.ts'

/** A query about the data that must return no row, or one that is `true`. */
export type Assertion = Config['check']['assertions'][number]

const timeoutMs = 10_000
/** How much longer we wait for the server to end the query; plpgsql can catch the error of its timeout. */
const graceMs = 3_000
const tooLong = `it took longer than ${timeoutMs / 1000} s`
const lockTimeoutMs = 2_000

/**
 * Runs each query in a read-only transaction of its own, which is rolled back, as the role that runs the files of the database.
 * A query that cannot be run counts as a problem too, because then nothing is known.
 *
 * @param sql a session that nothing else depends on
 * @param breakOff ends that session
 * @returns fewer results than assertions when the session had to be ended; the last one is then that of the query that ran too long
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
  if (length !== 1) return `it consists of ${counted(length, 'statement')}, but must be one query`
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
    // the rollback also undoes what the query has set; without a connection there is nothing to roll back
    await sql.unsafe('rollback').catch(() => {})
  }
}

const limits = `set local statement_timeout = ${timeoutMs}; set local lock_timeout = ${lockTimeoutMs}`

const booleanType = 16

/**
 * For a cursor the server accepts only a query, and as a prepared statement only a single one. At most {@link mostRows} rows are counted, and
 * no value but a boolean leaves the server, because rows may be of any size.
 */
async function rowsOf(db: Db, query: string): Promise<Rows> {
  await db.unsafe(`declare assertion no scroll cursor for ${query}`, [], { prepare: true })
  // a function declared immutable has already run, and may have removed the limits
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
