import { quoteIdent, quoteLiteral } from '../sql/quote.ts'
import type { Db } from './db.ts'

/**
 * The search_path of all our sessions, as a start-up parameter, which overrides those of the role and the database. With any other, a
 * function or an operator of an application could replace one that our own SQL calls, and run with our rights.
 */
export const pinnedPath = 'pg_catalog, pg_temp'

/** Sets our search_path until the end of the transaction. */
export const pinPath = `set local search_path = ${pinnedPath};`

/** A statement, with its semicolon, that sets the search_path that would apply without us. */
export const setPath = (path: readonly string[], local: 'local ' | '') =>
  `set ${local}search_path to ${path.length > 0 ? path.map(quoteIdent).join(', ') : "''"};`

/**
 * The names in a search_path as SHOW gives it: `"$user", public`.
 * Like the server, folds unquoted names to lower case. `$user` stays as it is.
 */
export function parsePath(text: string): string[] {
  return [...text.matchAll(/"((?:[^"]|"")*)"|([^\s,"]+)/g)]
    .map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain?.toLowerCase() ?? '')
    .filter((name) => name !== '')
}

/**
 * The search_path that ALTER ROLE … SET gives a role, in this database or everywhere; undefined if there is none. A session only gets
 * it at its start, so one that switches to the role later does not have it.
 */
export async function readRolePath(db: Db, role: string): Promise<string[] | undefined> {
  const [row] = await db.unsafe<{ path: string }[]>(
    `select pg_catalog.substr(entry, 13) as path from pg_catalog.pg_db_role_setting, pg_catalog.unnest(setconfig) entry
      where setrole = (select oid from pg_catalog.pg_roles where rolname = ${quoteLiteral(role)}) and entry like 'search\\_path=%'
        and setdatabase in (0, (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()))
      order by setdatabase desc limit 1`,
  )
  return row && parsePath(row.path)
}

/** Who runs the user's files, and with which search_path. */
export type RunsAs = {
  /** Undefined: the session user. */
  role: string | undefined
  path: readonly string[]
  /** Other settings from the URL. */
  urlSettings?: Readonly<Record<string, string>>
}

/**
 * The schemas in which unqualified names are looked up, in order: those of the path that exist and may be used. While the path is not
 * ours, only one qualified function is called.
 */
export async function visibleSchemas(db: Db, { role, path }: RunsAs): Promise<string[]> {
  const as = role === undefined ? '' : `set local role ${quoteIdent(role)};`
  const answer = await db.unsafe<{ schemas?: string[] | string }[]>(
    `${as} ${setPath(path, 'local ')} select pg_catalog.array_to_json(pg_catalog.current_schemas(false)) as schemas`,
  )
  const found = (answer.flat() as { schemas?: string[] }[]).find(({ schemas }) => schemas !== undefined)
  return found?.schemas ?? []
}
