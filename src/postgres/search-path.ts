import { quoteIdent, quoteLiteral } from '../sql/quote.ts'
import type { Db } from './db.ts'

/**
 * The search_path of every session of ours, as a start-up parameter: it beats those of the role and of the database. With any other,
 * a function or an operator that an application made could take the place of one that our own SQL calls, and run with our rights.
 */
export const pinnedPath = 'pg_catalog, pg_temp'

/** Makes the session look where ours do, to the end of the transaction. */
export const pinPath = `set local search_path = ${pinnedPath};`

/** A statement, with its semicolon, that makes unqualified names lead where they would without us. */
export const setPath = (path: readonly string[], local: 'local ' | '') =>
  `set ${local}search_path to ${path.length > 0 ? path.map(quoteIdent).join(', ') : "''"};`

/**
 * The names in a search_path as SHOW gives it: `"$user", public`.
 * Like the server, folds what is not quoted to small letters; `$user` stays a name of its own.
 */
export function parsePath(text: string): string[] {
  return [...text.matchAll(/"((?:[^"]|"")*)"|([^\s,"]+)/g)]
    .map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain?.toLowerCase() ?? '')
    .filter((name) => name !== '')
}

/**
 * The search_path that ALTER ROLE … SET gives a role, in this database or everywhere; undefined without one. A session only gets it
 * at its start, so one that becomes the role later does not have it.
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

/** Who runs files that are not ours, and where their unqualified names lead. */
export type Place = {
  /** Undefined is the session user. */
  role: string | undefined
  path: readonly string[]
  /** What the URL sets for them besides. */
  urlSettings?: Readonly<Record<string, string>>
}

/**
 * The schemas in which unqualified names are looked for, in order: those of the path that exist and may be used. Nothing but one
 * qualified function is called while the path is not ours.
 */
export async function visibleSchemas(db: Db, { role, path }: Place): Promise<string[]> {
  const as = role === undefined ? '' : `set local role ${quoteIdent(role)};`
  const answer = await db.unsafe<{ schemas?: string[] | string }[]>(
    `${as} ${setPath(path, 'local ')} select pg_catalog.array_to_json(pg_catalog.current_schemas(false)) as schemas`,
  )
  const found = (answer.flat() as { schemas?: string[] }[]).find(({ schemas }) => schemas !== undefined)
  return found?.schemas ?? []
}
