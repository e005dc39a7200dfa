import type { Db } from '../postgres/db.ts'
import { quoteLiteral } from '../sql/quote.ts'
import { type Detected, detectFormat, type HistoryFact } from './detect.ts'
import { inspectFolders, namesOf } from './peek.ts'

/**
 * Finds the format of one or several folders and a database, for `migrate.format: auto`.
 *
 * @param db undefined if the database does not exist yet
 * @param where `table`: `migrate.table`; `schemas`: the search_path of the migrations
 * @throws {AppError} `usage` when it is not certain
 */
export async function findFormat(db: Db | undefined, dirs: readonly string[], where: Where): Promise<Detected> {
  return detectFormat(namesOf(dirs), inspectFolders(dirs), db ? await findHistories(db, where) : [])
}

type Where = { table: string | undefined; schemas: readonly string[] }

/** The history tables of known tools. Our own only counts if it has rows: the empty table always exists. */
export async function findHistories(db: Db, where: Where): Promise<HistoryFact[]> {
  const [row] = await db.unsafe<{ histories: HistoryFact[] }[]>(historiesQuery(where))
  const found = row?.histories ?? []
  if (!found.some(({ format }) => format === 'pgbosun')) return found
  return (await usesOwnHistory(db, found.length)) ? found : found.filter(({ format }) => format !== 'pgbosun')
}

/** If the role may not read our history, it counts only if it is the only one: the role is then told that it may not read it. */
async function usesOwnHistory(db: Db, histories: number): Promise<boolean> {
  const [may] = await db.unsafe<{ read: boolean }[]>(
    `select pg_catalog.has_schema_privilege(n.oid, 'usage') and pg_catalog.has_table_privilege(c.oid, 'select') as read
       from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'pgbosun' and c.relname = 'migrations'`,
  )
  if (!may?.read) return histories === 1
  const [own] = await db.unsafe<{ used: boolean }[]>('select exists (select from pgbosun.migrations) as used')
  return own?.used ?? false
}

/** A history table: its usual name, its schema if that is fixed, and columns that distinguish it from other tables of that name. */
type Signature = { format: HistoryFact['format']; table: string; schema?: string; columns: string[]; exact?: true }

const signatures: Signature[] = [
  { format: 'pgbosun', table: 'migrations', schema: 'pgbosun', columns: ['seq integer', 'sha256 text'] },
  { format: 'sqlx', table: '_sqlx_migrations', columns: ['version bigint', 'success boolean', 'checksum bytea'] },
  { format: 'dbmate', table: 'schema_migrations', columns: ['version character varying'], exact: true },
  { format: 'golang-migrate', table: 'schema_migrations', columns: ['version bigint', 'dirty boolean'] },
  { format: 'goose', table: 'goose_db_version', columns: ['version_id bigint', 'is_applied boolean'] },
  {
    format: 'flyway',
    table: 'flyway_schema_history',
    columns: ['installed_rank integer', 'script character varying', 'checksum integer'],
  },
  {
    format: 'node-pg-migrate',
    table: 'pgmigrations',
    schema: 'public',
    columns: ['name character varying', 'run_on timestamp without time zone'],
  },
  {
    format: 'graphile-migrate',
    table: 'migrations',
    schema: 'graphile_migrate',
    columns: ['hash text', 'previous_hash text', 'filename text'],
  },
  { format: 'alembic', table: 'alembic_version', columns: ['version_num character varying'] },
  {
    format: 'liquibase',
    table: 'databasechangelog',
    columns: ['author character varying', 'md5sum character varying'],
  },
  { format: 'sqitch', table: 'changes', schema: 'sqitch', columns: ['change_id text', 'script_hash text'] },
  {
    format: 'atlas',
    table: 'atlas_schema_revisions',
    columns: ['version character varying', 'hash character varying'],
  },
  {
    format: 'atlas',
    table: 'atlas_schema_revisions',
    schema: 'atlas_schema_revisions',
    columns: ['version character varying', 'hash character varying'],
  },
]

/**
 * A query with one row `histories`: a sorted JSON array of {@link HistoryFact}. Rails and dbmate use identical tables; Rails has a
 * second table in the same schema, or, in old databases, no primary key.
 *
 * @param table `migrate.table`: only that table counts, of whichever tool, in addition to our own history
 */
const historiesQuery = ({ table, schemas }: Where) =>
  `select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('format', case when s.format = 'dbmate' and (
        not exists (select from pg_catalog.pg_index i where i.indrelid = c.oid and i.indisprimary)
        or exists (select from pg_catalog.pg_class r where r.relnamespace = n.oid and r.relname = 'ar_internal_metadata')
      ) then 'rails' else s.format end, 'schema', n.nspname, 'table', c.relname) order by s.format, n.nspname, c.relname), '[]') as histories
    from (values ${signatures.map(row).join(', ')}) s (format, name, place, columns, exact)
    join pg_catalog.pg_class c on c.relkind in ('r', 'p')
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    cross join lateral (select coalesce(pg_catalog.array_agg(a.attname || ' ' || pg_catalog.format_type(a.atttypid, null)), '{}') as columns, pg_catalog.count(*) as total
      from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) t
    where (${table === undefined ? usual(schemas) : `${chosen(table, schemas)} or s.format = 'pgbosun' and ${usual(schemas)}`})
      and s.columns <@ t.columns and (t.total = 1 or not s.exact)`

/** Only Alembic finds its table anywhere in the search_path; the others use the first schema: see openBook. */
const among = (schemas: readonly string[]) =>
  schemas.length === 0
    ? 'false'
    : `n.nspname in (${schemas.map(quoteLiteral).join(', ')}) and (n.nspname = ${quoteLiteral(schemas[0]!)} or s.format = 'alembic')`

const usual = (schemas: readonly string[]) =>
  `c.relname = s.name and (n.nspname = s.place or s.place is null and ${among(schemas)})`

function chosen(table: string, schemas: readonly string[]): string {
  const [first = '', second] = table.split('.')
  return second === undefined
    ? `c.relname = ${quoteLiteral(first)} and ${among(schemas)}`
    : `c.relname = ${quoteLiteral(second)} and n.nspname = ${quoteLiteral(first)}`
}

const row = ({ format, table, schema, columns, exact }: Signature) =>
  `('${format}', '${table}', ${schema === undefined ? 'null' : `'${schema}'`}, array[${columns
    .map((column) => `'${column}'`)
    .join(', ')}]::text[], ${exact ?? false})`
