import { AppError } from '../errors.ts'
import type { Db } from '../postgres/db.ts'
import { isServerError } from '../postgres/server-error.ts'
import { quoteLiteral } from '../sql/quote.ts'
import { counted } from '../units.ts'
import type { SeedTable } from './match.ts'
import { list, sameKey, stage } from './row-sql.ts'
import { renderCondition } from './scope.ts'
import type { RowsSeed } from './types.ts'

/** A share allows at least so many rows: of a small table it is less than one. */
const fewRows = 3

/**
 * Deletes the rows in the scope that the temporary table lacks; returns how many.
 * @throws {AppError} `seed` when they are more than the seed allows, before anything was deleted
 */
export async function deleteMissing(
  tx: Db,
  seed: RowsSeed,
  { table, key, scope }: SeedTable,
  accepted: boolean,
): Promise<number> {
  const inScope = scope ? renderCondition(scope, 'r') : 'true'
  const isMissing = `not exists (select from ${stage} s where ${sameKey(key)})`
  const [found] = await tx.unsafe<{ total: number; missing: number }[]>(`
    select pg_catalog.count(*)::float8 as total, pg_catalog.count(*) filter (where s.${list(key.slice(0, 1))} is null)::float8 as missing
      from (select ${list(key, 'r')} from ${table} r where ${inScope}) r left join ${stage} s on ${sameKey(key)}`)
  const { total = 0, missing = 0 } = found ?? {}
  if (missing === 0) return 0
  if (!accepted && missing > mostDeletes(seed, total)) throw tooMany(seed, missing, total)
  const { count } = await tx.unsafe(`delete from ${table} r where ${inScope} and ${isMissing}`)
  return count
}

function mostDeletes({ maxDeletes }: RowsSeed, total: number): number {
  if ('rows' in maxDeletes) return maxDeletes.rows
  return maxDeletes.percent === 0 ? 0 : Math.max(fewRows, Math.floor((total * maxDeletes.percent) / 100))
}

function tooMany({ name: file, table, maxDeletes, scope }: RowsSeed, missing: number, total: number) {
  const limit = 'rows' in maxDeletes ? counted(maxDeletes.rows, 'row') : `${maxDeletes.percent} %`
  return new AppError(
    'seed',
    `${file}: ${counted(missing, 'row')} of ${total} in ${table.schema}.${table.name}${scope === undefined ? '' : ', as far as in scope,'} would be deleted, but \`maxDeletes\` is ${limit}`,
    {
      file,
      hint: 'if the file is right: `pgbosun seed --accept-deletes`, or raise `maxDeletes`',
    },
  )
}

/** The same rows have the same texts whatever the session is set to. */
const fixedSettings = `set local timezone = 'UTC'; set local datestyle = 'ISO, MDY'; set local intervalstyle = 'postgres';
  set local extra_float_digits = 1; set local bytea_output = 'hex'; set local lc_monetary = 'C';`

/** The values that `sync` is responsible for: the columns of its file, in the rows of its scope. */
type Part = Pick<SeedTable, 'table' | 'header' | 'scope'>

/** A number that another content of the table is all but certain to change. The transaction's settings are not kept. */
export async function fingerprint(tx: Db, { table, header, scope }: Part): Promise<string> {
  const where = scope ? `where ${renderCondition(scope, 'r')}` : ''
  const answer = await tx.unsafe<{ print?: string }[]>(`${fixedSettings}
    select pg_catalog.count(*)::text || '-' ||
           coalesce(pg_catalog.sum(pg_catalog.hashtextextended(row(${list(header, 'r')})::text, 0)::numeric), 0)::text as print
      from ${table} r ${where}`)
  return (answer.flat() as { print?: string }[]).find(({ print }) => print !== undefined)?.print ?? ''
}

/**
 * The {@link fingerprint} of a table outside any load. Writes nothing; no code of the application runs, because the table is locked
 * while it is known to be one, and its scope only compares.
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
    return isTable && (await fingerprint(db, part))
  } catch (error) {
    // Whoever loads the seed may read the table, and then compares.
    if (isServerError(error) && ['42501', '42P01'].includes(error.code)) return undefined
    throw error
  } finally {
    await db.unsafe('rollback')
  }
}
