import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { quoteIdent, quoteLiteral } from '../sql/quote.ts'
import type { Db } from './db.ts'
import { withoutEventTriggers } from './event-triggers.ts'
import { databaseObject } from './lock-keys.ts'
import { isConnectionLost } from './lost.ts'
import { makeVerifier } from './scram.ts'
import { silentSql } from './silence.ts'

/** What a session user may do that a role may not, and whether it can create a login that may do only what the role may. */
export type Rights = {
  sessionUser: string
  superuser: boolean
  /**
   * In words: `is a superuser`, `is a member of crm_owner`. Empty if SET ROLE takes away nothing that matters. The right to create
   * databases does not count: it gives no access to anything, and a scratch database needs it.
   */
  more: string[]
  mayCreateRole: boolean
  /** Whether it may grant membership in the role. */
  mayGrantRole: boolean
  /** Privileges that a session needs in this database and the role lacks: `connect`, `temporary`. */
  lacks: string[]
}

/** Rows `what`: the attributes that make a role dangerous, in words. @param but alias of a role whose attributes do not count */
export function attributesOf(role: string, but?: string): string {
  const attribute = (name: string, what: string) =>
    `case when ${role}.${name}${but === undefined ? '' : ` and not ${but}.${name}`} then ${quoteLiteral(what)} end`
  return `select u.what from pg_catalog.unnest(array[
    ${attribute('rolsuper', 'is a superuser')}, ${attribute('rolcreaterole', 'may create roles')},
    ${attribute('rolreplication', 'may replicate')}, ${attribute('rolbypassrls', 'bypasses row security')}]::text[]) u (what) where u.what is not null`
}

/** Compares the session user with a role, in the database of the session. Undefined if there is no such role. */
export async function readRights(db: Db, role: string): Promise<Rights | undefined> {
  const [row] = await db.unsafe<{ rights: Rights }[]>(`
    select pg_catalog.json_build_object(
      'sessionUser', s.rolname, 'superuser', s.rolsuper,
      'more', case when s.oid = o.oid or o.rolsuper then '[]'::json else (
        select coalesce(pg_catalog.json_agg(w.what), '[]'::json) from (
          ${attributesOf('s', 'o')}
          union all
          (select 'is a member of ' || m.rolname from pg_catalog.pg_roles m
            where not s.rolsuper and m.oid not in (s.oid, o.oid)
              and pg_catalog.pg_has_role(s.oid, m.oid, 'MEMBER') and not pg_catalog.pg_has_role(o.oid, m.oid, 'MEMBER')
            order by m.rolname limit 4)
          union all
          (select 'owns the database ' || d.datname from pg_catalog.pg_database d
            where not s.rolsuper and d.datdba = s.oid and d.datname <> pg_catalog.current_database() order by d.datname limit 2)) w) end,
      'mayCreateRole', s.rolsuper or s.rolcreaterole,
      'mayGrantRole', s.rolsuper or case when pg_catalog.current_setting('server_version_num')::int >= 160000
        then pg_catalog.pg_has_role(s.oid, o.oid, 'MEMBER WITH ADMIN OPTION') else s.rolcreaterole and not o.rolsuper end,
      'lacks', (select coalesce(pg_catalog.json_agg(p), '[]'::json) from pg_catalog.unnest(array['connect', 'temporary']) p
        where not pg_catalog.has_database_privilege(o.oid, (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()), p))
    ) as rights
      from pg_catalog.pg_roles s, pg_catalog.pg_roles o where s.rolname = session_user and o.rolname = ${quoteLiteral(role)}`)
  return row?.rights
}

/** A login that exists for one run. Nobody else knows its password. */
export type Login = { user: string; password: string }

/** Start of the names of all logins for a database: the CRC-32 of the database's name, as in its lock. The rest is random. */
export const loginPrefix = (database: string) =>
  `pgbosun_${(databaseObject(database) >>> 0).toString(16).padStart(8, '0')}_`

/** Few iterations are enough: the password is 256 random bits. */
const iterations = 4_096

/**
 * Creates a login that may do exactly what a role may, on a session of the database it is for, in one transaction. Without a role, it may do
 * nothing. The server logs that it is created, but not its verifier, as far as our user may decide that.
 *
 * @param options `user`: its name; `validMs`: how long it can log in; `more`: further statements, given the name
 */
export async function createLogin(
  db: Db,
  {
    database,
    user = `${loginPrefix(database)}${randomBytes(4).toString('hex')}`,
    role,
    rights,
    validMs,
    startsAsRole = false,
    more = () => [],
  }: {
    database: string
    user?: string
    role?: string
    rights: Pick<Rights, 'sessionUser' | 'superuser' | 'lacks'>
    validMs: number
    /** Its sessions start with the role set, for programs that do not know about the role. */
    startsAsRole?: boolean
    more?: (user: string) => string[]
  },
): Promise<Login> {
  const password = randomBytes(32).toString('base64url')
  const verifier = makeVerifier(password, { salt: randomBytes(16), iterations })
  const silent = silentSql(rights)
  const answer = await db.unsafe<Partial<Clock>[]>(
    `${silent.before} select (pg_catalog.clock_timestamp() + ${Math.ceil(validMs)} * interval '1 millisecond')::text as until,
            pg_catalog.current_setting('server_version_num')::int / 10000 as major`,
  )
  const clock = (answer.flat() as Partial<Clock>[]).find((row): row is Clock => row.until !== undefined)
  if (!clock) throw new Error('the server did not answer')
  const name = quoteIdent(user)
  const us = quoteIdent(rights.sessionUser)
  const create = [
    'begin',
    `create role ${name} login inherit valid until ${quoteLiteral(clock.until)}${
      role === undefined ? '' : ` in role ${quoteIdent(role)}`
    }${rights.superuser || clock.major >= 16 ? '' : ` role ${us}`}`,
    // Needed to end its sessions and to take over what it may have created. From 16 on, the creator of a role only has ADMIN on it.
    ...(rights.superuser || clock.major < 16 ? [] : [`grant ${name} to ${us} with inherit true, set true`]),
    ...rights.lacks.map((privilege) => `grant ${privilege} on database ${quoteIdent(database)} to ${name}`),
    ...(startsAsRole && role !== undefined ? [`alter role ${name} set role = ${quoteLiteral(role)}`] : []),
    ...more(user),
    silent.within,
  ]
  // Sent at once. The first one makes silent what the server logs when it reads the second one, and when it is done with it.
  const messages = [
    create.join('; '),
    `alter role ${name} password ${quoteLiteral(verifier)}`,
    `commit; ${silent.after}`,
  ]
  try {
    await Promise.all(messages.map((message) => db.unsafe(message)))
  } catch (error) {
    if (!isConnectionLost(error)) await db.unsafe(`rollback; ${silent.after}`)
    throw error
  }
  return { user, password }
}

type Clock = { until: string; major: number }

const graceMs = 3_000

/**
 * Removes a login completely, on a session of the database that it worked in: ends its sessions, gives what it created to the role,
 * and drops the procedure with its name in schema pgbosun. No event trigger runs: it might belong to an application, and we have more rights.
 *
 * @throws whatever the server answers, where the login has something in this database, and we may not go without its event triggers
 */
export async function dropLogin(db: Db, user: string): Promise<void> {
  await endSessions(db, user)
  const [found] = await db.unsafe<Found[]>(
    `select (select pg_catalog.pg_get_userbyid(m.roleid) from pg_catalog.pg_auth_members m where m.member = r.oid order by m.roleid limit 1) as role,
            exists (select from pg_catalog.pg_proc p where p.proname = r.rolname and p.pronamespace = pg_catalog.to_regnamespace('pgbosun')) as procedure,
            exists (select from pg_catalog.pg_shdepend s where s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass and s.refobjid = r.oid
              and s.dbid = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())) as inside,
            pg_catalog.to_json(array(select pg_catalog.quote_ident(t.spcname) from pg_catalog.pg_tablespace t, pg_catalog.aclexplode(t.spcacl) a where a.grantee = r.oid)) as tablespaces,
            pg_catalog.to_json(array(select pg_catalog.quote_ident(d.datname) from pg_catalog.pg_database d, pg_catalog.aclexplode(d.datacl) a where a.grantee = r.oid)) as databases
       from pg_catalog.pg_roles r where r.rolname = ${quoteLiteral(user)}`,
  )
  if (!found) return
  const name = quoteIdent(user)
  // These fire no event trigger, whatever there is: what they are about belongs to no database.
  const shared = [
    ...[...new Set(found.tablespaces)].map((one) => `revoke all on tablespace ${one} from ${name}`),
    ...[...new Set(found.databases)].map((one) => `revoke all on database ${one} from ${name}`),
    `drop role ${name}`,
  ]
  if (!found.procedure && !found.inside) return void (await db.unsafe(shared.join('; ')))
  await withoutEventTriggers(db, [
    ...(found.procedure ? [`drop procedure pgbosun.${name}`] : []),
    ...(found.role === null ? [] : [`reassign owned by ${name} to ${quoteIdent(found.role)}`]),
    `drop owned by ${name}`,
    `drop role ${name}`,
  ])
}

type Found = {
  role: string | null
  procedure: boolean
  /** Whether it owns something in this database, or has privileges on it. */
  inside: boolean
  /** Quoted names of what it has privileges on. */
  tablespaces: string[]
  databases: string[]
}

/** Ends the sessions of a user, and waits up to 3 s until they are gone. */
export async function endSessions(db: Db, user: string): Promise<void> {
  const startedAt = performance.now()
  for (let pauseMs = 2; ; pauseMs = Math.min(100, pauseMs * 2)) {
    const [row] = await db.unsafe<{ left: number }[]>(
      `select pg_catalog.count(pg_catalog.pg_terminate_backend(pid))::int as left from pg_catalog.pg_stat_activity where usename = ${quoteLiteral(user)}`,
    )
    if (!row?.left || performance.now() - startedAt > graceMs) return
    await sleep(pauseMs)
  }
}
