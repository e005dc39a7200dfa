import type { Db } from '../postgres/db.ts'
import { isServerError } from '../postgres/server-error.ts'
import { quoteLiteral } from '../sql/quote.ts'
import type { SeedTable } from './match.ts'
import { delta, differs, list, sameKey, stage } from './row-sql.ts'
import { renderCondition } from './scope.ts'

/** The same rows have the same texts whatever the session is set to. */
const fixedSettings = `set local timezone = 'UTC'; set local datestyle = 'ISO, MDY'; set local intervalstyle = 'postgres';
  set local extra_float_digits = 1; set local bytea_output = 'hex'; set local lc_monetary = 'C';`

/** The values that `sync` is responsible for: the columns of its file, in the rows of its scope. */
type Part = Pick<SeedTable, 'table' | 'header' | 'scope'>

/** What no table is like. */
const unknown = 'unknown'

/** A number that another content of the rows `r` is all but certain to change. */
const printOf = ({ header }: Part) => `
  pg_catalog.concat(pg_catalog.count(*), '-', coalesce(pg_catalog.sum(pg_catalog.hashtextextended(row(${list(header, 'r')})::pg_catalog.text, 0)::pg_catalog.numeric), 0))`

const whereOf = ({ scope }: Part) => (scope ? renderCondition(scope, 'r') : 'true')

/** The settings of the transaction are not kept. */
async function ask(tx: Db, query: string): Promise<string> {
  const answer = await tx.unsafe<{ print?: string }[]>(`${fixedSettings} ${query}`)
  return (answer.flat() as { print?: string }[]).find(({ print }) => print !== undefined)?.print ?? unknown
}

/**
 * What a table is like that was just copied into while it was empty. Rows that another session has put there meanwhile are left out, so
 * that they are noticed at the next run.
 */
export const fingerprintOfCopied = (tx: Db, part: Part): Promise<string> =>
  ask(
    tx,
    `select ${printOf(part)} as print from ${part.table} r
      where ${whereOf(part)} and r.xmin operator(pg_catalog.=) pg_catalog.pg_current_xact_id()::pg_catalog.xid`,
  )

/**
 * What a table is like after it was made equal to the temporary table. What another session has changed meanwhile must be noticed at the
 * next run: only rows that are as in the file count, or that this transaction has written, or has locked for a trigger that left them as
 * they were; and the others of the file must all be there.
 */
export const fingerprintOfCompared = (tx: Db, target: SeedTable): Promise<string> => {
  const equal = target.updated.length > 0 ? `not ${differs(target)}` : 'true'
  const key = list(target.key.slice(0, 1), 'd')
  return ask(
    tx,
    `select case when pg_catalog.count(*) filter (where ${key} is null) operator(pg_catalog.=)
                      ((select pg_catalog.count(*) from ${stage}) operator(pg_catalog.-) (select pg_catalog.count(*) from ${delta}))
                 then ${printOf(target)} else '${unknown}' end as print
       from ${target.table} r join ${stage} s on ${sameKey(target.key)} left join ${delta} d on ${sameKey(target.key, 'd')}
      where ${whereOf(target)} and (${key} is not null or ${equal})`,
  )
}

/**
 * What a table is like outside any load. Writes nothing; no code of the application runs, because the table is locked while it is known
 * to be one, and its scope only compares.
 * @param db in no transaction
 * @returns undefined when the session may not read all of the table, or it is no table any more
 */
export async function readFingerprint(db: Db, part: Part): Promise<string | undefined> {
  await db.unsafe('begin transaction read only')
  try {
    await db.unsafe(`set local row_security = off; lock table ${part.table} in access share mode`)
    const [isTable] = await db.unsafe(
      `select from pg_catalog.pg_class where oid = pg_catalog.to_regclass(${quoteLiteral(part.table)}) and relkind in ('r', 'p')`,
    )
    return isTable && (await ask(db, `select ${printOf(part)} as print from ${part.table} r where ${whereOf(part)}`))
  } catch (error) {
    // Whoever loads the seed may read the table, and then compares.
    if (isServerError(error) && ['42501', '42P01'].includes(error.code)) return undefined
    throw error
  } finally {
    await db.unsafe('rollback')
  }
}
