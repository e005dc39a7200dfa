import type { Manifest } from '../../archive/manifest.ts'
import type { Db } from '../../postgres/db.ts'
import { databaseProperties, jsonList } from '../../postgres/properties.ts'
import { quoteLiteral } from '../../sql/quote.ts'
import type { Label } from './properties.ts'
import type { SwapFacts } from './refusals.ts'

/** The database that is about to be replaced. Without one, there are no properties. */
export type Replaceable = {
  facts: SwapFacts
  properties: Manifest['database'] | undefined
  labels: Label[]
  /** The instant by the clock of the server, RFC 3339 in UTC. */
  now: string
}

/**
 * The rows of pg_stat_activity that stand in the way of renaming a database, with `may_end`: background workers have no user, and the
 * server ends autovacuum by itself.
 */
export const sessionsIn = (databases: string) => `
  select a.pid, a.usename as "user", (u.rolsuper or not r.rolsuper and (pg_catalog.pg_has_role(u.oid, r.oid, 'USAGE')
           or pg_catalog.pg_has_role(u.oid, 'pg_signal_backend', 'USAGE'))) as may_end
    from pg_catalog.pg_stat_activity a join pg_catalog.pg_roles r on r.oid = a.usesysid
    join pg_catalog.pg_roles u on u.rolname = session_user
   where a.datid in (${databases}) and a.pid <> pg_catalog.pg_backend_pid()`

/** Walsenders that stream to a physical standby: one for logical decoding is connected to a database, and a base backup is no standby. */
const standbys = `
  select coalesce(r.application_name, 'pid ' || r.pid) || coalesce(' at ' || r.client_addr::text, '') as name
    from pg_catalog.pg_stat_replication r
   where r.state is distinct from 'backup' and r.application_name is distinct from 'pg_receivewal'
     and not exists (select from pg_catalog.pg_stat_activity a where a.pid = r.pid and a.datid <> 0)
   order by 1`

const names = (rows: string) => `coalesce((select pg_catalog.json_agg(x.name) from (${rows}) x (name)), '[]')`

/** Reads, in any database of the server, what a swap of the database `name` depends on. */
export async function readReplaceable(db: Db, name: string, lockDatabase: string): Promise<Replaceable> {
  const [row] = await db.unsafe<{ found: Replaceable & { facts: { sessions: Session[] } } }[]>(`
    select pg_catalog.json_build_object('facts', pg_catalog.json_build_object(
        'exists', d.oid is not null, 'user', session_user, 'superuser', u.rolsuper, 'mayCreateDatabases', u.rolcreatedb,
        'owner', coalesce(pg_catalog.pg_get_userbyid(d.datdba), ''),
        'mayActAsOwner', coalesce(pg_catalog.pg_has_role(u.oid, d.datdba, 'USAGE'), false),
        'slots', ${names(`select slot_name from pg_catalog.pg_replication_slots s where s.database = d.datname and not s.temporary order by 1`)},
        'subscriptions', ${names(`select subname from pg_catalog.pg_subscription s where s.subdbid = d.oid and s.subenabled order by 1`)},
        'prepared', ${names(`select gid from pg_catalog.pg_prepared_xacts p where p.database = d.datname order by 1`)},
        'sessions', ${jsonList(`${sessionsIn('d.oid')} order by 1`)},
        'standbys', ${names(standbys)},
        'template', coalesce(d.datistemplate, false), 'allowsConnections', coalesce(d.datallowconn, true)),
      'now', pg_catalog.to_char(pg_catalog.clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
      'properties', case when d.oid is not null then ${databaseProperties} end,
      'labels', ${jsonList(`select l.provider, l.label from pg_catalog.pg_shseclabel l
        where l.objoid = d.oid and l.classoid = 'pg_catalog.pg_database'::regclass order by 1`)}) as found
      from pg_catalog.pg_roles u left join pg_catalog.pg_database d on d.datname = ${quoteLiteral(name)}
     where u.rolname = session_user`)
  if (!row) throw new Error('the server did not answer')
  const { facts, properties, labels, now } = row.found
  const { sessions, ...rest } = facts as unknown as Omit<SwapFacts, 'sessions' | 'fixedSettings'> & {
    sessions: Session[]
  }
  return {
    facts: {
      ...rest,
      name,
      holdsLocks: name === lockDatabase,
      sessions: sessions.length,
      fixedSettings: rest.superuser || !properties ? [] : await readFixedSettings(db, name),
      stubborn: sessions.filter(({ may_end }) => !may_end).map(({ pid, user }) => ({ pid, user })),
    },
    properties: properties ?? undefined,
    labels,
    now,
  }
}

/**
 * What a user who is no superuser may not set: for others, without CREATEROLE (from 16 on, ADMIN on that role), or what only superusers set,
 * as they do all that the server does not know.
 */
async function readFixedSettings(db: Db, name: string): Promise<SwapFacts['fixedSettings']> {
  const [server] = await db.unsafe<{ version: number }[]>(
    "select pg_catalog.current_setting('server_version_num')::int as version",
  )
  const { version } = server!
  const admin = version >= 160_000 ? "pg_catalog.pg_has_role(u.oid, r.oid, 'MEMBER WITH ADMIN OPTION')" : 'true'
  const may = version >= 150_000 ? "pg_catalog.has_parameter_privilege(u.oid, c.name, 'SET')" : 'false'
  const [row] = await db.unsafe<{ found: SwapFacts['fixedSettings'] }[]>(`
    select ${jsonList(`
      select r.rolname as role, c.name from pg_catalog.pg_database d join pg_catalog.pg_db_role_setting s on s.setdatabase = d.oid
        join pg_catalog.pg_roles u on u.rolname = session_user left join pg_catalog.pg_roles r on r.oid = s.setrole,
        pg_catalog.unnest(s.setconfig) x (setting), pg_catalog.split_part(x.setting, '=', 1) c (name)
       where d.datname = ${quoteLiteral(name)} and (
             r.oid <> u.oid and not (u.rolcreaterole and not r.rolsuper and ${admin})
             or not ${may} and not exists (
               select from pg_catalog.pg_settings p where pg_catalog.lower(p.name) = pg_catalog.lower(c.name) and p.context in ('user', 'backend')))
       order by 1 nulls first, 2`)} as found`)
  return row!.found
}

type Session = { pid: number; user: string; may_end: boolean }

/** The publications of the database that `db` is connected to. */
export async function readPublications(db: Db): Promise<string[]> {
  const rows = await db.unsafe<{ name: string }[]>(`select pubname as name from pg_catalog.pg_publication order by 1`)
  return rows.map(({ name }) => name)
}
