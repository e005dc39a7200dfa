import { AppError } from '../errors.ts'
import type { Db } from '../postgres/db.ts'
import { pinPath, type RunsAs, setPath } from '../postgres/search-path.ts'
import { quoteIdent, quoteLiteral } from '../sql/quote.ts'
import { setSettings } from '../sql/settings.ts'
import { copyFile, findRecord, readHeader } from './csv.ts'
import type { CsvRecord } from './records.ts'
import { becomeRole } from './role.ts'
import { findTarget, type SeedTable } from './target.ts'
import type { CsvSeed } from './types.ts'

/** The temporary tables: one for all rows of the file, one for those that have to be written. */
export const stage = 'pg_temp.pgbosun_stage'
const delta = 'pg_temp.pgbosun_delta'

/**
 * Loads a CSV file, in a transaction that already acts as the role of `place`; returns how many rows were written.
 * Into an empty table the file is copied directly. Otherwise the rows go to a temporary table first, and only those that are new or
 * differ are written: rows that exist already cause neither a write nor a lock, and use up no value of a sequence.
 */
export async function loadRows(tx: Db, seed: CsvSeed, place: RunsAs): Promise<number> {
  const target = await findTarget(tx, seed, await readHeader(seed.path, seed.name))
  // The settings of the URL also decide how dates are read.
  if (place.urlSettings) await tx.unsafe(setSettings(place.urlSettings, 'local '))
  const direct = (target.empty || target.key.length === 0) && target.written.length === target.header.length
  const rows = direct ? await copyDirectly(tx, seed, target) : await copyAndCompare(tx, seed, target, place)
  if (rows > 0) await advanceSequences(tx, target)
  return rows
}

async function copyDirectly(tx: Db, seed: CsvSeed, target: SeedTable): Promise<number> {
  const rows = await copyFile(tx, seed.path, target.table, target.header)
  await refuseNullKey(tx, seed, target, target.table)
  return rows
}

async function copyAndCompare(tx: Db, seed: CsvSeed, target: SeedTable, place: RunsAs): Promise<number> {
  await createStage(tx, target, place.role)
  // Enough for the hash table of a million rows; with the default of 4 MB the server would use the disk.
  await tx.unsafe("set local work_mem = '64MB'")
  await copyFile(tx, seed.path, stage, target.header)
  await refuseNullKey(tx, seed, target, stage)
  await refuseRepeatedKey(tx, seed, target)

  // Compare keys as the application does: the `=` of a type such as citext is found in the schema of its extension.
  await tx.unsafe(setPath(place.path, 'local '))
  const { count } = await tx.unsafe(`insert into ${delta} ${differencesOf(target, seed.mode)}`)
  if (count > 0 && target.key.length > 0 && target.updated.length > 0) await tx.unsafe(updateOf(target))
  await tx.unsafe(pinPath)
  if (count > 0) await tx.unsafe(insertOf(target))
  return count
}

/** Creates the tables as the role that writes the rows; if that role lacks TEMPORARY on this database, as the session user, who then grants it access. */
export async function createStage(
  tx: Db,
  { table, header, temporary }: SeedTable,
  role: string | undefined,
): Promise<void> {
  const create = `
    create temporary table pgbosun_stage on commit drop as select ${list(header)} from ${table} with no data;
    create temporary table pgbosun_delta on commit drop as select true as pgbosun_new, ${list(header)} from ${table} with no data;`
  if (temporary || role === undefined) await tx.unsafe(create)
  else {
    await tx.unsafe(`set local role none; ${create} grant all on ${stage}, ${delta} to ${quoteIdent(role)}`)
    await becomeRole(tx, role)
  }
}

/** Compares rows as they are stored (`*<>`): NULL equals NULL, and types without `=`, such as json, can be compared too. */
function differencesOf({ table, header, key, updated }: SeedTable, mode: CsvSeed['mode']): string {
  if (key.length === 0) return `select true, ${list(header)} from ${stage}`
  const isNew = `r.${quoteIdent(key[0] ?? '')} is null`
  const differs = `row(${list(updated, 'r')})::record operator(pg_catalog.*<>) row(${list(updated, 's')})::record`
  return `
    select ${isNew}, ${list(header, 's')} from ${stage} s left join ${table} r on ${sameKey(key)}
     where ${isNew} ${mode === 'upsert' && updated.length > 0 ? `or ${differs}` : ''}`
}

const updateOf = ({ table, key, updated }: SeedTable) => `
  update ${table} as r set ${updated.map((column) => `${quoteIdent(column)} = s.${quoteIdent(column)}`).join(', ')}
    from ${delta} s where ${sameKey(key)} and not s.pgbosun_new`

const insertOf = ({ table, written }: SeedTable) => `
  insert into ${table} (${list(written)}) overriding system value
  select ${list(written)} from ${delta} where pgbosun_new`

export const list = (columns: string[], alias?: string) =>
  columns.map((column) => `${alias === undefined ? '' : `${alias}.`}${quoteIdent(column)}`).join(', ')

export const sameKey = (key: string[]) =>
  key.map((column) => `r.${quoteIdent(column)} = s.${quoteIdent(column)}`).join(' and ')

async function refuseNullKey(tx: Db, seed: CsvSeed, { key, header }: SeedTable, table: string): Promise<void> {
  if (key.length === 0) return
  const isNull = key.map((column) => `${quoteIdent(column)} is null`).join(' or ')
  const [found] = await tx.unsafe(`select from ${table} where ${isNull} limit 1`)
  if (!found) return
  const places = key.map((column) => header.indexOf(column))
  const isEmpty = ({ number, fields }: CsvRecord) => number > 0 && places.some((place) => fields[place]?.empty)
  const line = (await findRecord(seed.path, isEmpty))?.line
  throw badKey(seed, line, `the key (${key.join(', ')}) is empty`, 'give every row a key; write "" for an empty text')
}

async function refuseRepeatedKey(tx: Db, seed: CsvSeed, { key }: SeedTable): Promise<void> {
  if (key.length === 0) return
  // Sorting is several times faster than grouping here.
  const [sum] = await tx.unsafe<{ repeated: boolean }[]>(
    `select pg_catalog.count(*) <> pg_catalog.count(distinct ${key.length === 1 ? list(key) : `(${list(key)})`}) as repeated from ${stage}`,
  )
  if (!sum?.repeated) return
  const row = await findRepeated(tx, key.map(quoteIdent))
  throw await repeatedKey(seed, key.join(', '), row)
}

/** Numbers of rows of the file, from 1. */
export type Repeated = { number: number; earlier: number; values: string }

/**
 * The first row of the temporary table whose values were in an earlier one; its rows are in the order of the file.
 * @param values as SQL
 */
export async function findRepeated(tx: Db, values: string[], where = 'true'): Promise<Repeated | undefined> {
  const names = values.map((_, i) => `k${i}`).join(', ')
  const [row] = await tx.unsafe<Repeated[]>(`
    select number::float8 as number, earlier::float8 as earlier, pg_catalog.concat_ws(', ', ${names}) as values
      from (select *, pg_catalog.lag(number) over (partition by ${names} order by number) as earlier
              from (select pg_catalog.row_number() over (order by ctid) as number, ${where} as counts, ${values.map((value, i) => `${value} as k${i}`).join(', ')}
                      from ${stage}) numbered
             where counts and (${values.map((_, i) => `k${i} is not null`).join(' and ')})) repeated
     where earlier is not null order by number limit 1`)
  return row
}

/** The error for a key that is in the file twice, with both lines. @param columns for people */
export async function repeatedKey(seed: CsvSeed, columns: string, row: Repeated | undefined): Promise<AppError> {
  const lineOf = async (row: number | undefined) => (await findRecord(seed.path, ({ number }) => number === row))?.line
  const [line, earlier] = [await lineOf(row?.number), await lineOf(row?.earlier)]
  return badKey(
    seed,
    line,
    `the key (${columns}) = (${row?.values}) appears for the second time, after line ${earlier}`,
    'remove one of the rows',
  )
}

function badKey({ name: file }: CsvSeed, line: number | undefined, problem: string, hint: string) {
  return new AppError('seed', `${file}${line === undefined ? '' : `, line ${line}`}: ${problem}`, {
    file,
    ...(line !== undefined && { line }),
    hint,
  })
}

/**
 * Inserting explicit values does not advance a sequence: the application's next row would get a number that exists already. If a default
 * computes its value from the number, the sequence may be advanced further than needed, which only skips numbers.
 */
async function advanceSequences(tx: Db, { table, sequences }: SeedTable): Promise<void> {
  for (const { sequence, columns } of sequences) {
    const furthest = (aggregate: 'max' | 'min') =>
      columns.map((column) => furthestIn(table, column, aggregate)).join(', ')
    await tx.unsafe(`
      select pg_catalog.setval(${quoteLiteral(sequence)}, newest)
        from (select case when q.seqincrement > 0 then greatest(${furthest('max')}) else least(${furthest('min')}) end as newest, q.seqincrement
                from pg_catalog.pg_sequence q where q.seqrelid = pg_catalog.to_regclass(${quoteLiteral(sequence)})) t, ${sequence} s
       where case when seqincrement > 0 then (newest, true) > (s.last_value, s.is_called)
                  else newest < s.last_value or newest = s.last_value and not s.is_called end`)
  }
}

/**
 * The furthest number in a column that the sequence `q` can reach, as SQL. With an index on the column it is fast however many rows there
 * are. In a text such as `INV-0042` the last number counts.
 */
function furthestIn(table: string, { name, text }: { name: string; text: boolean }, aggregate: 'max' | 'min'): string {
  const column = `r.${quoteIdent(name)}`
  const [number, rows] = text
    ? ['n', `, lateral (select (pg_catalog.regexp_match(${column}::text, '(\\d{1,18})\\D*$'))[1]::numeric) x (n)`]
    : [column, '']
  const found = `select pg_catalog.${aggregate}(${number}) from ${table} r${rows} where ${number} between q.seqmin and q.seqmax`
  return `pg_catalog.ceil((${found})::numeric)::bigint`
}
