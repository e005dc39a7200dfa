import type { Manifest } from '../archive/manifest.ts'
import { bytesOf, parseBytes, shown } from '../postgres/bytes.ts'
import type { Db } from '../postgres/db.ts'
import { planningRunsCode } from '../postgres/dumped.ts'
import { databaseProperties, jsonList } from '../postgres/properties.ts'
import { isPart, neededRoles, neededSuperusers } from './needed-roles.ts'
import { inSavepoint } from './savepoint.ts'
import { clockDifference } from './skew.ts'

/** The part of the manifest about the server and the database. */
export type Inspected = Pick<
  Manifest,
  'database' | 'roles' | 'superusers' | 'tablespaces' | 'collations' | 'extensions' | 'lsn'
> & {
  /** `server_version`: `15.18 (Debian 15.18-0+deb12u1)`. */
  serverVersion: string
}

/**
 * How far the server's clock is ahead of ours, in ms. The error is at most half the duration of the query, and a difference no larger than
 * that is none: the order of two backups must not depend on how long a query took.
 * @param now our clock
 */
export async function readClockDifference(db: Db, now: () => Date): Promise<number> {
  const askedAt = now().getTime()
  const [row] = await db.unsafe<{ ms: string }[]>(
    `select pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000 as ms`,
  )
  return clockDifference(Number(row!.ms), askedAt, now().getTime())
}

/** Exports the snapshot of the transaction that `db` is in, so that pg_dump sees the same rows. */
export async function exportSnapshot(db: Db): Promise<string> {
  const [row] = await db.unsafe<{ snapshot: string }[]>('select pg_catalog.pg_export_snapshot() as snapshot')
  return row!.snapshot
}

/**
 * A relation that the snapshot of `db` has, but the database no longer: the functions for privileges look at what is there now, and know
 * nothing of what is gone. Undefined if there is none.
 */
export async function readDropped(db: Db): Promise<string | undefined> {
  const [row] = await db.unsafe<{ name: string }[]>(
    `select ${bytesOf("pg_catalog.to_json(pg_catalog.format('%I.%I', n.nspname, c.relname))")} as name
       from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and c.relpersistence <> 't' and n.nspname !~ '^pg_'
        and pg_catalog.has_table_privilege(c.oid, 'select') is null order by n.nspname, c.relname limit 1`,
  )
  return row && shown(parseBytes<string>(row.name))
}

/** Reads the properties of the database that `db` is connected to. Every role may run this. Names may be broken: see postgres/bytes.ts. */
export async function inspectDatabase(db: Db): Promise<Inspected> {
  const [row] = await db.unsafe<{ inspected: string }[]>(query)
  return parseBytes<Inspected>(row!.inspected)
}

/** The timeline of a primary; null for a standby, and where the server does not tell, as some hosted ones. */
export async function readTimeline(db: Db): Promise<number | null> {
  const found = await inSavepoint<{ timeline: number | null }>(
    db,
    `select case when not pg_catalog.pg_is_in_recovery()
            then ('x' || pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8))::bit(32)::int end as timeline`,
  )
  return found instanceof Error ? null : (found[0]?.timeline ?? null)
}

/**
 * The newest applied migration, without `.sql`; null if there is no history; null with a problem if it cannot be read. Anybody may have
 * created an object with that name. Only a table like ours is read, so that nobody else's code runs.
 */
export async function readMigration(db: Db): Promise<{ migration: string | null; problem?: string }> {
  const [found] = await db.unsafe<{ plain: boolean }[]>(
    `select c.relkind = 'r' and c.oid not in (${planningRunsCode}) and not exists (
              select from pg_catalog.pg_attribute a
               where a.attrelid = c.oid and a.attname in ('name', 'status', 'version') and a.atttypid >= 16384) as plain
       from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'pgbosun' and c.relname = 'migrations'`,
  )
  if (!found) return { migration: null }
  if (!found.plain) return { migration: null, problem: 'pgbosun.migrations is not the table that pgbosun created' }
  const newest = await inSavepoint<{ name: string }>(
    db,
    `select name from only pgbosun.migrations where status <> 'started' order by version desc limit 1`,
  )
  if (newest instanceof Error) return { migration: null, problem: newest.message }
  return { migration: newest[0]?.name.replace(/\.sql$/, '') ?? null }
}

const names = (rows: string) => `coalesce((select pg_catalog.json_agg(x.name order by x.name) from (${rows}) x), '[]')`

/** Those that a column, an index or anything else uses. */
const collations = `
  select pg_catalog.format('%I.%I', n.nspname, l.collname) as name, l.collversion as version
    from pg_catalog.pg_collation l join pg_catalog.pg_namespace n on n.oid = l.collnamespace
   where l.collversion is not null and l.oid in (select refobjid from pg_catalog.pg_depend where refclassid = 'pg_catalog.pg_collation'::regclass)
   order by 1`

/** Sequences and what belongs to extensions have none in a dump. */
const tablespaces = `
  select s.spcname as name from pg_catalog.pg_tablespace s where s.spcname <> 'pg_default' and (s.oid = d.dattablespace or s.oid in (
    select c.reltablespace from pg_catalog.pg_class c where c.relkind in ('r', 'p', 'm', 'i', 'I') and c.relpersistence <> 't' and c.oid >= 16384
       and not ${isPart("'pg_catalog.pg_class'::regclass", 'c.oid')}))`

const query = `select ${bytesOf(`pg_catalog.json_build_object(
  'serverVersion', pg_catalog.current_setting('server_version'),
  'lsn', (case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn() else pg_catalog.pg_current_wal_lsn() end)::text,
  'database', ${databaseProperties},
  'roles', ${names(neededRoles)}, 'superusers', ${names(neededSuperusers)},
  'tablespaces', ${names(tablespaces)}, 'collations', ${jsonList(collations)},
  'extensions', ${jsonList(`select extname as name, extversion as version from pg_catalog.pg_extension order by 1`)}
)`)} as inspected from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()`
