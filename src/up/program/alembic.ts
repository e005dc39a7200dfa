import { AppError } from '../../errors.ts'
import { asStrange, guardTable } from '../../migrate/history/plain.ts'
import type { Db } from '../../postgres/db.ts'
import { quoteIdent, quoteLiteral, quoteName } from '../../sql/quote.ts'
import { shellLine } from '../../text.ts'
import { someOf } from '../../units.ts'

/** A table in which Alembic keeps the current revision of the database: one row for each head, and no history. */
export type AlembicTable = {
  /** `public.alembic_version`. */
  name: string
  owner: string
  /** Revisions, sorted. */
  heads: string[]
}

type Found = { schema: string; table: string; owner: string; readable: boolean }

/**
 * The version tables of Alembic: the one that the search_path finds, else those of all schemas.
 *
 * @param where `table`: `name` or `schema.name` if it is not `alembic_version`; `schemas`: of the search_path, first to last;
 *   `role`: reads the table if the session user may not
 * @see https://github.com/sqlalchemy/alembic — ddl/impl.py, runtime/migration.py
 */
export async function readAlembic(
  db: Db,
  {
    table = 'alembic_version',
    schemas,
    role,
  }: { table?: string | undefined; schemas: readonly string[]; role?: string | undefined },
): Promise<AlembicTable[]> {
  const [head = '', second] = table.split('.')
  const [schema, name] = second === undefined ? [undefined, head] : [head, second]
  const rows = await db.unsafe<Found[]>(
    `select n.nspname as schema, c.relname as table, pg_catalog.pg_get_userbyid(c.relowner) as owner, pg_catalog.has_schema_privilege(n.oid, 'usage') and pg_catalog.has_table_privilege(c.oid, 'select') as readable
       from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p') and c.relpersistence <> 't' and c.relname = ${quoteLiteral(name)}
        ${schema === undefined ? '' : `and n.nspname = ${quoteLiteral(schema)}`}
        and exists (select from pg_catalog.pg_attribute a
                     where a.attrelid = c.oid and a.attname = 'version_num' and a.attnum > 0 and not a.attisdropped)
      order by n.nspname`,
  )
  const first = schemas.find((name) => rows.some((row) => row.schema === name))
  const visible = rows.filter((row) => row.schema === first)
  const tables: AlembicTable[] = []
  for (const row of visible.length > 0 ? visible : rows) tables.push(await readHeads(db, row, role))
  return tables
}

async function readHeads(
  db: Db,
  { schema, table, owner, readable }: Found,
  role: string | undefined,
): Promise<AlembicTable> {
  const asRole = readable || role === undefined ? '' : `set local role ${quoteIdent(role)}; `
  const name = quoteName(schema, table)
  const answer = await db
    .unsafe<{ heads?: string[] }[]>(
      `${asRole}${guardTable({ schema, name: table, table: name }, 'read')}
       select coalesce(pg_catalog.json_agg(version_num::text order by version_num::text), '[]') as heads from ${name}`,
    )
    .catch((error: unknown) => {
      throw asStrange(error)
    })
  const heads = (answer.flat() as { heads?: string[] }[]).find((row) => row.heads)?.heads ?? []
  return { name: `${schema}.${table}`, owner, heads }
}

/**
 * The command line that lists the heads of Alembic's files, for a command that upgrades to them; listing needs no database. Undefined for
 * every other command, because where it leads is not known.
 */
export function headsCommand(command: string[]): string[] | undefined {
  const at = command.indexOf('upgrade')
  const before = command.slice(0, Math.max(at, 0))
  const [target, ...more] = command.slice(at + 1)
  const isAlembic = before.some((word) => /^(.*\/)?alembic$/.test(word))
  if (!isAlembic || more.length > 0 || (target !== 'head' && target !== 'heads')) return undefined
  return [...before, 'heads', '--resolve-dependencies']
}

/** The revisions in the output of `alembic heads`, sorted. A line reads `27c6a30d7c24 (shoppingcart) (head)`. */
export const parseHeads = (output: string): string[] =>
  [...output.matchAll(/^(\S+)(?: .*)?\((?:effective )?head\)[ \t]*$/gm)].map(([, revision = '']) => revision).sort()

/** `aaa1`, `aaa1 and bbb1`, `no revision`. */
export const renderHeads = (heads: string[]) => (heads.length === 0 ? 'no revision' : someOf(heads, ' and '))

/**
 * Exit 21: a history with several heads has no order, and `head` is ambiguous.
 * @param where `the files`, or the name of the table
 */
export const severalHeads = (where: string, heads: string[]): AppError =>
  new AppError(
    'history',
    `${where} ${where === 'the files' ? 'have' : 'has'} ${heads.length} heads: ${someOf(heads)}`,
    {
      hint: `join the branches: \`alembic merge -m "merge heads" ${shellLine(heads)}\``,
    },
  )
