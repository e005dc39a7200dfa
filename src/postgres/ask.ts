import { quoteIdent, quoteLiteral } from '../sql/quote.ts'
import { visibleSql } from '../text.ts'
import { type Ask, askTwice } from './ask-twice.ts'
import type { Db } from './db.ts'
import { extensionFor, quotedNames } from './hints.ts'
import { setPath } from './search-path.ts'
import type { ServerError } from './server-error.ts'

/** A hint made from what the server knows but its message leaves out; undefined if the code has none, or nothing was found. */
export async function askFor(db: Db, error: ServerError, path?: readonly string[]): Promise<string | undefined> {
  const extension = extensionFor(error)
  const ask = (query: string) => textOf(db, query, path)
  const own = await askOwnObject(ask, error)
  if (own !== undefined) return own
  return extension === undefined ? asks[error.code]?.(ask, error) : askExtension(ask, extension)
}

const asks: Record<string, (ask: Ask, error: ServerError) => Promise<string | undefined>> = {
  '42701': askTwice,
  '42710': async (ask, error) => (await askEnum(ask, error)) ?? askTwice(ask, error),
  '42723': askTwice,
  '42P06': askTwice,
  '42P07': askTwice,
  '42P01': askTable,
  '42703': askColumns,
  '42501': askOwner,
}

/** Names are sent as literals, in the simple protocol. */
async function textOf(db: Db, query: string, path: readonly string[] | undefined): Promise<string | undefined> {
  const answer = await db.unsafe<{ text?: string | null }[]>(`${path ? setPath(path, 'local ') : ''} ${query}`)
  return (answer.flat() as { text?: string | null }[])[0]?.text ?? undefined
}

/** The last part of a possibly qualified name in a message. */
const lastPart = (name: string) => name.replace(/^.*\./, '')

/**
 * Files that go through all tables or constraints of the database also find ours, which belong to somebody else. If an object of
 * another schema has the same name, that one is meant, unless the server names the schema.
 */
async function askOwnObject(ask: Ask, error: ServerError) {
  const owned = ownedName(error)
  // Quotation marks may contain anything, even a value: only a name after the kind of an object counts.
  const named = error.message.matchAll(/\b(?:relation|table|index|constraint|sequence|trigger|policy) "([^"]+)"/g)
  const names = [...[...named].map(([, name = '']) => name), owned ?? ''].map(lastPart).filter((name) => name !== '')
  const isNamed = error.schema_name === 'pgbosun' || owned === 'pgbosun' || /\bpgbosun\./.test(error.message)
  if (doesNotExist.has(error.code) || (names.length === 0 && !isNamed)) return undefined
  const among = `in (${(names.length > 0 ? names : ['']).map(quoteLiteral).join(', ')})`
  const objects = `select relname as name, relnamespace as place from pg_catalog.pg_class
      union all select conname, connamespace from pg_catalog.pg_constraint`
  const found =
    await ask(`select pg_catalog.quote_ident(pg_catalog.min(name::text)) as text from (${objects}) o where name ${among}
      having pg_catalog.bool_and(place = (select oid from pg_catalog.pg_namespace where nspname = 'pgbosun'))`)
  if (found === undefined && !isNamed) return undefined
  const what = found === undefined ? 'it' : `pgbosun.${visibleSql(found)}`
  return `${what} belongs to pgbosun: exclude its schema from what the file goes through, as in \`where schemaname <> 'pgbosun'\``
}

const doesNotExist = new Set(['42P01', '42703', '42704', '42883', '3F000'])

async function askEnum(ask: Ask, error: ServerError) {
  const [name] = quotedNames(error)
  if (name === undefined) return undefined
  const values =
    await ask(`select pg_catalog.string_agg(pg_catalog.quote_literal(e.enumlabel), ', ' order by e.enumsortorder) as text
       from pg_catalog.pg_type t join pg_catalog.pg_enum e on e.enumtypid = t.oid
      where t.oid = pg_catalog.to_regtype(${quoteLiteral(quoteIdent(name))})`)
  return (
    values &&
    `the type ${name} exists with the values ${values}: leave the statement out, or add what is missing with \`alter type ${visibleSql(quoteIdent(name))} add value\``
  )
}

async function askTable(ask: Ask, error: ServerError) {
  const [name] = quotedNames(error)
  if (name === undefined) return undefined
  const found =
    await ask(`select pg_catalog.string_agg(pg_catalog.format('%I.%I', n.nspname, c.relname), ', ' order by 1) as text
       from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where pg_catalog.lower(c.relname) = pg_catalog.lower(${quoteLiteral(lastPart(name))}) and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
        and n.nspname !~ '^pg_' and n.nspname <> 'pgbosun'`)
  return found && `there is ${visibleSql(found)}: use that name`
}

async function askColumns(ask: Ask, error: ServerError) {
  const [, table] = quotedNames(error)
  if (table === undefined) return undefined
  const columns =
    await ask(`select pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' order by a.attnum) as text
       from pg_catalog.pg_attribute a
      where a.attrelid = pg_catalog.to_regclass(${quoteLiteral(quoteIdent(table))}) and a.attnum > 0 and not a.attisdropped`)
  return columns && `${table} has the columns ${visibleSql(columns)}`
}

/** `must be owner of table t`, `permission denied for table t`. */
const ownedName = ({ code, message }: ServerError) =>
  code === '42501'
    ? /(?:for|of) (?:table|relation|sequence|view|schema|type|function|materialized view) "?([^"]+?)"?$/.exec(
        message,
      )?.[1]
    : undefined

async function askOwner(ask: Ask, error: ServerError) {
  const name = ownedName(error)
  if (name === undefined) return undefined
  const literal = quoteLiteral(lastPart(name))
  const owner = await ask(
    /schema/.test(error.message)
      ? `select pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(nspowner)) as text from pg_catalog.pg_namespace where nspname = ${literal}`
      : `select pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(relowner)) as text from pg_catalog.pg_class
          where relname = ${literal} order by pg_catalog.pg_table_is_visible(oid) desc limit 1`,
  )
  return (
    owner &&
    `${name} belongs to ${visibleSql(owner)}: run this as that role (\`migrate.role\`), or have it grant the missing privilege`
  )
}

async function askExtension(ask: Ask, extension: string) {
  const schema = await ask(`select pg_catalog.quote_ident(n.nspname) as text
       from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace where e.extname = ${quoteLiteral(extension)}`)
  return (
    schema &&
    `the extension ${extension} is installed in the schema ${visibleSql(schema)}: write \`${visibleSql(schema)}.\` before the name, or set search_path`
  )
}
