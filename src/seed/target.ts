import { AppError } from '../errors.ts'
import type { Db } from '../postgres/db.ts'
import { quoteIdent, quoteLiteral, quoteName } from '../sql/quote.ts'
import { visibleSql } from '../text.ts'
import type { CsvSeed } from './types.ts'

type Column = {
  name: string
  generated: boolean
  /** GENERATED ALWAYS AS IDENTITY: accepts a value on insert, never on update. */
  alwaysIdentity: boolean
  /** Whether its values are text, not numbers. */
  text: boolean
  /** The sequences that its values come from, as SQL: its own (serial or identity), and those in its default. */
  sequences: string[]
}

type Table = {
  columns: Column[]
  /** The columns of each unique index that identifies rows, the primary key first. */
  uniques: { primary: boolean; columns: string[] }[]
  empty: boolean
  /** Whether the current role may create temporary tables. */
  temporary: boolean
}

/** A sequence, as SQL, with the columns of the file whose values come from it. */
export type SequenceUse = { sequence: string; columns: { name: string; text: boolean }[] }

/** How the rows of one file are written to one table. */
export type SeedTable = {
  /** As SQL. */
  table: string
  /** Columns of the file, in its order. */
  header: string[]
  /** The columns that are written: all but the generated ones. */
  written: string[]
  updated: string[]
  key: string[]
  sequences: SequenceUse[]
  empty: boolean
  temporary: boolean
}

/**
 * Matches the columns of the file with the table, before anything is loaded.
 * @throws {AppError} `seed` when the table or a column does not exist, or the key has no unique index
 */
export async function findTarget(db: Db, seed: CsvSeed, header: string[]): Promise<SeedTable> {
  const { schema, name } = seed.table
  const table = await readTable(db, quoteName(schema, name))
  const fail = (problem: string, hint: string, line?: number): never => {
    throw new AppError('seed', `${seed.name}: ${problem}`, { file: seed.name, ...(line && { line }), hint })
  }
  if (!table) return fail(`there is no table ${schema}.${name}`, 'create it in a migration, or correct `table`')

  const columns = new Map(table.columns.map((column) => [column.name, column]))
  const unknown = header.find((column) => !columns.has(column))
  if (unknown !== undefined)
    return fail(
      `the table ${schema}.${name} has no column ${JSON.stringify(unknown)}`,
      `use its columns: ${[...columns.keys()].join(', ')}`,
      1,
    )

  const key = seed.key ?? primaryKeyIn(table, header)
  const absent = key.find((column) => !header.includes(column))
  if (absent !== undefined)
    return fail(`the key column ${absent} is not in the file`, 'add it to the file, or correct `key`', 1)
  if (key.length === 0 && seed.mode === 'upsert')
    return fail('upsert needs a `key`', 'set `key` to the columns that identify a row')
  if (key.length > 0 && !table.uniques.some((unique) => sameSet(unique.columns, key)))
    return fail(
      `the key (${key.join(', ')}) has no unique index on ${schema}.${name}`,
      visibleSql(
        `add a unique index in a migration: create unique index on ${quoteName(schema, name)} (${key.map(quoteIdent).join(', ')})`,
      ),
    )

  const written = header.filter((column) => !columns.get(column)?.generated)
  return {
    table: quoteName(schema, name),
    header,
    written,
    updated: written.filter((column) => !key.includes(column) && !columns.get(column)?.alwaysIdentity),
    key,
    sequences: sequencesOf(written.map((column) => columns.get(column)!)),
    empty: table.empty,
    temporary: table.temporary,
  }
}

/** Several columns may get their values from one sequence. */
function sequencesOf(columns: Column[]): SequenceUse[] {
  const names = new Set(columns.flatMap(({ sequences }) => sequences))
  return [...names].sort().map((sequence) => ({
    sequence,
    columns: columns.filter(({ sequences }) => sequences.includes(sequence)).map(({ name, text }) => ({ name, text })),
  }))
}

const primaryKeyIn = ({ uniques }: Table, header: string[]) => {
  const columns = uniques.find(({ primary }) => primary)?.columns ?? []
  return columns.every((column) => header.includes(column)) ? columns : []
}

const sameSet = (a: string[], b: string[]) => a.length === b.length && a.every((item) => b.includes(item))

/**
 * The sequences of a column `a` with the type `t`: those of a serial or an identity, which belong to the column, and those that the default
 * of the column, or of its domain, depends on, however it is written and whoever owns them.
 */
const sequencesQuery = `
  select coalesce(pg_catalog.json_agg(distinct pg_catalog.format('%I.%I', sn.nspname, s.relname)), '[]'::json)
    from pg_catalog.pg_depend d
    join pg_catalog.pg_class s on s.relkind = 'S' and s.oid = case when d.deptype in ('a', 'i') then d.objid else d.refobjid end
    join pg_catalog.pg_namespace sn on sn.oid = s.relnamespace
   where d.deptype in ('a', 'i') and d.classid = 'pg_catalog.pg_class'::regclass and d.refclassid = d.classid
         and d.refobjid = a.attrelid and d.refobjsubid = a.attnum
      or d.deptype = 'n' and d.refclassid = 'pg_catalog.pg_class'::regclass and (
         d.classid = 'pg_catalog.pg_attrdef'::regclass
           and d.objid = (select f.oid from pg_catalog.pg_attrdef f where f.adrelid = a.attrelid and f.adnum = a.attnum)
      or d.classid = 'pg_catalog.pg_type'::regclass and d.objid = t.oid and t.typtype = 'd' and not a.atthasdef)`

async function readTable(db: Db, table: string): Promise<Table | undefined> {
  const literal = quoteLiteral(table)
  const [found] = await db.unsafe<Omit<Table, 'empty'>[]>(`
    select (select pg_catalog.json_agg(pg_catalog.json_build_object(
                     'name', a.attname, 'generated', a.attgenerated <> '', 'alwaysIdentity', a.attidentity = 'a',
                     'text', t.typcategory = 'S', 'sequences', case when t.typcategory in ('N', 'S') and t.typname <> 'money' then (${sequencesQuery}) else '[]'::json end)
                     order by a.attnum)
              from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
             where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
           coalesce((select pg_catalog.json_agg(pg_catalog.json_build_object('primary', i.indisprimary, 'columns',
                                     (select pg_catalog.json_agg(k.attname) from pg_catalog.pg_attribute k
                                       where k.attrelid = c.oid and k.attnum = any ((i.indkey::int2[])[0:i.indnkeyatts - 1])))
                                     order by i.indisprimary desc, i.indexrelid)
                       from pg_catalog.pg_index i
                      where i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indimmediate
                        and i.indpred is null and i.indexprs is null), '[]'::json) as uniques,
           pg_catalog.has_database_privilege(pg_catalog.current_database(), 'temporary') as temporary
      from pg_catalog.pg_class c
     where c.oid = pg_catalog.to_regclass(${literal}) and c.relkind in ('r', 'p')`)
  if (!found) return undefined
  const [rows] = await db.unsafe<{ empty: boolean }[]>(`select not exists (select from ${table}) as empty`)
  return { ...found, empty: rows?.empty ?? false }
}
