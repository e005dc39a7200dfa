import type { Db } from '../postgres/db.ts'

/** What was read of the server itself. What this role may not see is undefined, or counted as hidden. */
export type ServerFacts = {
  /** Sessions of clients, and how many there may be without reserved ones. */
  connections: number
  connectionLimit: number
  /** The database whose oldest transaction id, or multixact id, is the oldest, and how many were used since. */
  oldestIds: { database: string; age: number; freezeMaxAge: number } | undefined
  slots: SlotFacts[]
  /** The largest size that WAL has without slots. */
  maxWalBytes: number
  /** The oldest open transaction that may be seen, without those of pgbosun. */
  transaction: OpenTransaction | undefined
  /** Sessions whose transactions may not be seen. */
  hidden: number
  /** By database, of those that were asked for and may be connected to. */
  sizes: Record<string, number>
  /** Of the roles that were asked for, those whose password does not hold for ever, the first to expire first. */
  expiring: { role: string; until: string }[]
  /** How far the server's clock is ahead of ours. */
  clockSkewMs: number
}

export type SlotFacts = {
  name: string
  active: boolean
  /** Undefined where the slot keeps nothing yet. */
  retainedBytes: number | undefined
  /** How much may still be written before the server gives the slot up; undefined without `max_slot_wal_keep_size`. */
  safeBytes: number | undefined
  lost: boolean
  /** Known since PostgreSQL 17. */
  inactiveSince: string | undefined
}

export type OpenTransaction = {
  /** RFC 3339. */
  since: string
  database: string
  user: string
  /** Of a session; undefined for a prepared transaction. */
  pid?: number | undefined
  /** Of a prepared transaction. */
  gid?: string | undefined
}

type Row = Omit<ServerFacts, 'clockSkewMs' | 'transaction' | 'sizes' | 'slots' | 'oldestIds' | 'expiring'> & {
  expiring: ServerFacts['expiring'] | null
  nowMs: number
  oldestIds: ServerFacts['oldestIds'] | null
  slots: { [key in keyof SlotFacts]: SlotFacts[key] | null }[] | null
  transaction: OpenTransaction | null
  prepared: OpenTransaction | null
  sizes: Record<string, number> | null
}

const setting = (name: string) => `pg_catalog.current_setting('${name}', true)::pg_catalog.int8`
const instant = (column: string) => `pg_catalog.to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`

/** A standby writes no WAL: it is where it has replayed to. */
const position = `case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn() else pg_catalog.pg_current_wal_lsn() end`

const query = `
select (extract(epoch from pg_catalog.clock_timestamp()) * 1000)::pg_catalog.float8 as "nowMs",
  (select pg_catalog.count(*)::pg_catalog.int4 from pg_catalog.pg_stat_activity
    where coalesce(backend_type = 'client backend', usesysid is not null)) as connections,
  (${setting('max_connections')} - coalesce(${setting('superuser_reserved_connections')}, 0)
    - coalesce(${setting('reserved_connections')}, 0))::pg_catalog.float8 as "connectionLimit",
  (select pg_catalog.jsonb_build_object('database', datname, 'age', age, 'freezeMaxAge', limit_) from (
    select datname, pg_catalog.age(datfrozenxid)::pg_catalog.int8 as age, ${setting('autovacuum_freeze_max_age')} as limit_ from pg_catalog.pg_database
    union all
    select datname, pg_catalog.mxid_age(datminmxid)::pg_catalog.int8, ${setting('autovacuum_multixact_freeze_max_age')} from pg_catalog.pg_database
    order by age desc, datname limit 1) oldest) as "oldestIds",
  (select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('name', s.slot_name, 'active', s.active, 'lost', coalesce(s.wal_status = 'lost', false),
      'retainedBytes', pg_catalog.pg_wal_lsn_diff(${position}, s.restart_lsn), 'safeBytes', s.safe_wal_size,
      'inactiveSince', pg_catalog.to_jsonb(s) ->> 'inactive_since') order by s.slot_name)
    from pg_catalog.pg_replication_slots s) as slots,
  pg_catalog.pg_size_bytes(pg_catalog.current_setting('max_wal_size'))::pg_catalog.float8 as "maxWalBytes",
  (select pg_catalog.jsonb_build_object('since', ${instant('xact_start')}, 'database', datname, 'user', usename, 'pid', pid)
    from pg_catalog.pg_stat_activity
    where xact_start is not null and backend_type = 'client backend' and pid <> pg_catalog.pg_backend_pid()
      and application_name not like 'pgbosun%'
    order by xact_start, pid limit 1) as transaction,
  (select pg_catalog.jsonb_build_object('since', ${instant('prepared')}, 'database', database, 'user', owner, 'gid', gid)
    from pg_catalog.pg_prepared_xacts order by prepared, gid limit 1) as prepared,
  (select pg_catalog.count(*)::pg_catalog.int4 from pg_catalog.pg_stat_activity where backend_type is null and usesysid is not null) as hidden,
  (select pg_catalog.jsonb_object_agg(datname, pg_catalog.pg_database_size(oid)) from pg_catalog.pg_database
    where datname in (select pg_catalog.jsonb_array_elements_text($1::pg_catalog.text::pg_catalog.jsonb)) and pg_catalog.has_database_privilege(oid, 'connect')) as sizes,
  (select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('role', rolname, 'until', ${instant('rolvaliduntil')}) order by rolvaliduntil, rolname)
    from pg_catalog.pg_roles where rolcanlogin and pg_catalog.isfinite(rolvaliduntil)
      and rolname in (select pg_catalog.jsonb_array_elements_text($2::pg_catalog.text::pg_catalog.jsonb))) as expiring`

/**
 * Reads, in one statement, what `check` and `serve` judge of the server. No right is needed: what a role may not see is unknown.
 * @param databases whose sizes to ask for, which reads the size of each of their files
 * @param roles whose passwords may expire
 */
export async function readServerFacts(
  db: Db,
  databases: readonly string[],
  roles: readonly string[] = [],
): Promise<ServerFacts> {
  const askedAt = Date.now()
  const [row] = await db.unsafe<Row[]>(query, [JSON.stringify(databases), JSON.stringify(roles)])
  const { nowMs, oldestIds, slots, transaction, prepared, sizes, expiring, ...rest } = row!
  return {
    ...rest,
    oldestIds: oldestIds ?? undefined,
    slots: (slots ?? []).map(slotOf),
    transaction: olderOf(transaction ?? undefined, prepared ?? undefined),
    sizes: sizes ?? {},
    expiring: expiring ?? [],
    clockSkewMs: nowMs - (askedAt + Date.now()) / 2,
  }
}

const slotOf = (row: NonNullable<Row['slots']>[number]): SlotFacts => ({
  name: row.name ?? '',
  active: row.active === true,
  lost: row.lost === true,
  retainedBytes: row.retainedBytes ?? undefined,
  safeBytes: row.safeBytes ?? undefined,
  inactiveSince: row.inactiveSince == null ? undefined : new Date(row.inactiveSince).toISOString(),
})

const olderOf = (one: OpenTransaction | undefined, other: OpenTransaction | undefined) =>
  one && other ? (one.since <= other.since ? one : other) : (one ?? other)
