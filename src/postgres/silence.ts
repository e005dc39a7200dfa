import type { Db, Sql } from './db.ts'
import { isConnectionLost } from './lost.ts'
import { inTransaction } from './transaction.ts'

type SessionUser = { superuser: boolean }

/**
 * They keep a statement out of the server's log and its statistics, whether it succeeds, fails or is slow. Those that a server does not have
 * are left out.
 */
const silence: [name: string, value: string][] = [
  ['log_statement', 'none'],
  ['log_min_error_statement', 'panic'],
  ['log_min_duration_statement', '-1'],
  ['log_min_duration_sample', '-1'],
  ['debug_print_raw_parse', 'off'],
  ['debug_print_parse', 'off'],
  ['debug_print_rewritten', 'off'],
  ['pg_stat_statements.track_utility', 'off'],
]

/** What is logged of a transaction is decided when it starts, so this one must be set before. */
const sampling: typeof silence = [['log_transaction_sample_rate', '0']]

/**
 * Runs `use` in one transaction of which the server logs as little as our user may make it: a superuser everything, others from PostgreSQL 15
 * on what was granted to them.
 * @param sql a session (`max: 1`)
 */
export async function silently<T>(sql: Sql, session: SessionUser, use: (transaction: Db) => Promise<T>): Promise<T> {
  const may = await whichWeMay(sql, session)
  const [sampled] = await sql.unsafe(settingSql(sampling, { may, local: false }))
  const transaction = () =>
    inTransaction(sql, async (transaction) => {
      await transaction.unsafe(settingSql(silence, { may, local: true }))
      return use(transaction)
    })
  if (!sampled) return transaction()
  let lost = false
  try {
    return await transaction()
  } catch (error) {
    lost = isConnectionLost(error)
    throw error
  } finally {
    // without a connection there is nothing to put back
    if (!lost) await sql.unsafe('reset log_transaction_sample_rate')
  }
}

/**
 * The same for a superuser, as SQL that costs no message of its own: `before` the transaction starts, `within` it before the message that is
 * to be kept out, and `after` it. Nobody else is silent.
 */
export const silentSql = ({ superuser }: SessionUser): { before: string; within: string; after: string } =>
  superuser
    ? {
        before: `${settingSql(sampling, { may: 'true', local: false })};`,
        within: settingSql(silence, { may: 'true', local: true }),
        after: 'reset log_transaction_sample_rate',
      }
    : { before: '', within: 'select', after: 'select' }

/** A condition on a row `s` of pg_settings. A function that is new in PostgreSQL 15 may only be named where it exists. */
async function whichWeMay(db: Db, { superuser }: SessionUser): Promise<string> {
  if (superuser) return 'true'
  const [row] = await db.unsafe<{ major: number }[]>(
    `select pg_catalog.current_setting('server_version_num')::int / 10000 as major`,
  )
  return `(s.context = 'user'${row!.major < 15 ? '' : ` or pg_catalog.has_parameter_privilege(s.name, 'SET')`})`
}

/** Makes the settings that differ; a row for each. */
const settingSql = (settings: typeof silence, { may, local }: { may: string; local: boolean }) =>
  `select pg_catalog.set_config(s.name, w.value, ${local})
     from (values ${settings.map(([name, value]) => `('${name}', '${value}')`).join(', ')}) as w(name, value)
     join pg_catalog.pg_settings s on s.name = w.name where s.setting <> w.value and ${may}`
