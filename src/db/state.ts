import { AppError } from '../errors.ts'
import type { Change } from '../plan.ts'
import { type Db, quoteIdent, quoteLiteral } from './sql.ts'

/** The version of the state tables that this program writes. */
export const stateVersion = 1

/** What readers may see. The audit trail is not among it. */
const readable = ['migrations', 'seeds', 'state']

const tables: Record<string, string> = {
  state: `create table pgbosun.state (version int not null);
    create unique index state_one_row on pgbosun.state ((true));
    insert into pgbosun.state (version) values (${stateVersion})`,
  migrations: `create table pgbosun.migrations (
      seq int primary key, previous int references pgbosun.migrations, version bigint not null unique,
      name text not null, sha256 text not null,
      status text not null check (status in ('applied', 'started', 'faked', 'adopted')),
      applied_at timestamptz not null default pg_catalog.clock_timestamp(), duration_ms int,
      applied_by text not null default session_user, tool_version text not null, progress jsonb)`,
  migration_details: `create table pgbosun.migration_details (
      seq int primary key, previous int references pgbosun.migration_details,
      history text not null, id text not null, name text not null, sha256 text not null,
      status text not null check (status in ('applied', 'started', 'faked', 'adopted', 'undone')),
      applied_at timestamptz not null default pg_catalog.clock_timestamp(), duration_ms int,
      applied_by text not null default session_user, tool_version text not null, progress jsonb);
    alter table pgbosun.migrations add column if not exists progress jsonb`,
  seeds: `create table pgbosun.seeds (
      name text primary key, checksum text not null, rows bigint,
      applied_at timestamptz not null default pg_catalog.clock_timestamp(), tool_version text not null)`,
  events: `create table pgbosun.events (
      id bigint generated always as identity primary key, run_id uuid not null,
      at timestamptz not null default pg_catalog.clock_timestamp(), actor text not null default session_user, command text not null,
      phase text not null check (phase in ('started', 'finished')), exit_code int, detail jsonb)`,
}

/** `public`: whether PUBLIC has any privilege. */
type Owned = { owner: string; public: boolean }

/** What is there of schema `pgbosun`, and what the roles concerned may do with it. */
export type CurrentState = {
  sessionUser: string
  superuser: boolean
  /** Who should own everything: the database's owner if the session user may SET ROLE to it, else the session user. */
  wantedOwner: string
  schema: (Owned & { mayActAs: boolean; usable: boolean }) | null
  /** `writable`: by the session user. */
  tables: (Owned & { name: string; writable: boolean })[]
  /** Of the roles asked for, those that exist, with what they can do already. */
  readers: { name: string; usage: boolean; tables: string[] }[]
}

/** A change with the SQL that makes it and the role it is made as; `null` is the session user. */
export type StateChange = Change & { sql: string; role: string | null }

/** Whether everything is there. Enough to know where nobody is to be granted anything, and a tenth of {@link readState}. */
export async function hasWholeState(db: Db): Promise<boolean> {
  const names = Object.keys(tables).map(quoteLiteral).join(', ')
  const [row] = await db.unsafe<{ whole: boolean }[]>(
    `select pg_catalog.count(*) = ${Object.keys(tables).length} as whole from pg_catalog.pg_class
      where relnamespace = pg_catalog.to_regnamespace('pgbosun') and relkind = 'r' and relname in (${names})`,
  )
  return row?.whole ?? false
}

/** Reads what {@link planState} needs, in one round trip, from the catalog only. */
export async function readState(db: Db, readers: string[]): Promise<CurrentState> {
  const may = `case when pg_catalog.current_setting('server_version_num')::int >= 160000 then 'SET' else 'MEMBER' end`
  const readerNames = readers.length > 0 ? readers.map(quoteLiteral).join(', ') : 'null'
  const [row] = await db.unsafe<{ current: CurrentState }[]>(`
    with schema as (select oid, nspowner, nspacl from pg_catalog.pg_namespace where nspname = 'pgbosun'),
    tables as (
      select c.oid, c.relname, c.relowner, c.relacl from pg_catalog.pg_class c join schema s on s.oid = c.relnamespace
       where c.relkind = 'r')
    select pg_catalog.json_build_object(
      'sessionUser', session_user,
      'superuser', (select rolsuper from pg_catalog.pg_roles where rolname = session_user),
      'wantedOwner', (select case when pg_catalog.pg_has_role(session_user, datdba, ${may}) then pg_catalog.pg_get_userbyid(datdba) else session_user end
                        from pg_catalog.pg_database where datname = pg_catalog.current_database()),
      'schema', (select pg_catalog.json_build_object(
                   'owner', pg_catalog.pg_get_userbyid(nspowner), 'mayActAs', pg_catalog.pg_has_role(session_user, nspowner, ${may}),
                   'usable', pg_catalog.has_schema_privilege(session_user, oid, 'usage'),
                   'public', exists (select from pg_catalog.aclexplode(nspacl) where grantee = 0)) from schema),
      'tables', (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
                   'name', relname, 'owner', pg_catalog.pg_get_userbyid(relowner),
                   'writable', pg_catalog.has_table_privilege(session_user, oid, 'select') and pg_catalog.has_table_privilege(session_user, oid, 'insert')
                           and pg_catalog.has_table_privilege(session_user, oid, 'update') and pg_catalog.has_table_privilege(session_user, oid, 'delete'),
                   'public', exists (select from pg_catalog.aclexplode(relacl) where grantee = 0)) order by relname), '[]') from tables),
      'readers', (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
                    'name', rolname,
                    'usage', coalesce((select pg_catalog.has_schema_privilege(r.oid, s.oid, 'usage') from schema s), false),
                    'tables', (select coalesce(pg_catalog.json_agg(relname order by relname), '[]') from tables t
                                where pg_catalog.has_table_privilege(r.oid, t.oid, 'select'))) order by rolname), '[]')
                    from pg_catalog.pg_roles r where rolname in (${readerNames}))) as current`)
  if (!row) throw new Error('the server did not answer')
  return row.current
}

/**
 * What is missing of schema `pgbosun`: the schema, tables, the right owner, the session user's and the readers' privileges.
 * A state that is complete gives no changes. Only a superuser hands existing objects over to another owner.
 */
export function planState(current: CurrentState): StateChange[] {
  const { schema, superuser, sessionUser, wantedOwner } = current
  const owner = schema && !superuser ? schema.owner : wantedOwner
  const role = owner === sessionUser || (schema && !schema.mayActAs) ? null : owner
  return [...planObjects(current, owner, role), ...planOwnAccess(current, owner, role), ...planReaders(current, role)]
}

/** Makes the changes of {@link planState}, all or none. */
export async function applyState(db: Db, changes: StateChange[]): Promise<void> {
  if (changes.length === 0) return
  const statements = changes.map(
    ({ sql, role }) => `set local role ${role === null ? 'none' : quoteIdent(role)};\n${sql};`,
  )
  await db.unsafe(`${statements.join('\n')}\nset local role none`)
}

/**
 * Makes schema `pgbosun` what it should be, in one transaction.
 *
 * @param readers roles that may read it; those that do not exist are passed over
 * @returns what was changed
 * @throws {AppError} `history` when a newer program wrote it
 */
export async function createState(db: Db, { readers }: { readers: string[] }): Promise<StateChange[]> {
  const current = await readState(db, readers)
  const { schema } = current
  if (current.tables.some(({ name }) => name === 'state')) {
    await refuseNewerState(db, schema?.mayActAs && !schema.usable ? schema.owner : undefined)
  }
  const changes = planState(current)
  await applyState(db, changes)
  return changes
}

/**
 * Ends a run that would write into the state of a newer program; reading it is fine.
 *
 * @param role the owner of the state, where the session user has no privileges yet
 * @throws {AppError} `history`
 */
export async function refuseNewerState(db: Db, role?: string): Promise<void> {
  const prefix = role === undefined ? '' : `set local role ${quoteIdent(role)}; `
  const answer = await db.unsafe<{ version: number }[]>(`${prefix}select version from pgbosun.state`)
  const [row] = answer.flat()
  if (row && row.version > stateVersion) {
    throw new AppError(
      'history',
      `a newer pgbosun wrote the state: it has version ${row.version}, this one knows ${stateVersion}`,
      { hint: 'use the newer pgbosun for this database' },
    )
  }
}

function planObjects(
  { schema, tables: present, superuser }: CurrentState,
  owner: string,
  role: string | null,
): StateChange[] {
  const changes: StateChange[] = []
  const check = (object: string, current: Owned) => {
    if (superuser && current.owner !== owner) changes.push(handOver(object, current.owner, owner))
    if (current.public) changes.push(fromPublic(object, 'PUBLIC has privileges', role))
  }
  if (schema) check('schema pgbosun', schema)
  else
    changes.push({
      action: 'create',
      object: 'schema pgbosun',
      reason: 'keeps the history',
      sql: 'create schema pgbosun',
      role,
    })

  const found = new Map(present.map((table) => [table.name, table]))
  for (const [name, sql] of Object.entries(tables)) {
    const table = found.get(name)
    const object = `table pgbosun.${name}`
    if (table) check(object, table)
    // Default privileges may give something to PUBLIC at the moment of creation.
    else
      changes.push(
        { action: 'create', object, reason: 'does not exist', sql, role },
        fromPublic(object, 'nothing is for PUBLIC', role),
      )
  }
  return changes
}

const handOver = (object: string, from: string, to: string): StateChange => ({
  action: 'alter',
  object,
  reason: `belongs to ${from} instead of ${to}`,
  sql: `alter ${object} owner to ${quoteIdent(to)}`,
  role: null,
})

const fromPublic = (object: string, reason: string, role: string | null): StateChange => ({
  action: 'revoke',
  object,
  reason,
  sql: `revoke all on ${object} from public`,
  role,
})

/** Rows are written as the session user, which need not inherit from the owner. */
function planOwnAccess(current: CurrentState, owner: string, role: string | null): StateChange[] {
  const { schema, tables: present, sessionUser, superuser } = current
  if (superuser || owner === sessionUser) return []
  const writable = new Set(present.filter((table) => table.writable).map(({ name }) => name))
  if (schema?.usable && Object.keys(tables).every((name) => writable.has(name))) return []
  const to = quoteIdent(sessionUser)
  const sql = `grant usage on schema pgbosun to ${to}; grant select, insert, update, delete on all tables in schema pgbosun to ${to}`
  return [{ action: 'grant', object: 'schema pgbosun', reason: `${sessionUser} writes the history`, sql, role }]
}

function planReaders({ readers }: CurrentState, role: string | null): StateChange[] {
  return readers.flatMap(({ name, usage, tables: seen }) => {
    const lacking = readable.filter((table) => !seen.includes(table))
    if (usage && lacking.length === 0) return []
    const to = quoteIdent(name)
    const statements = [
      ...(usage ? [] : [`grant usage on schema pgbosun to ${to}`]),
      ...(lacking.length > 0
        ? [`grant select on ${lacking.map((table) => `pgbosun.${table}`).join(', ')} to ${to}`]
        : []),
    ]
    return [
      {
        action: 'grant',
        object: 'schema pgbosun',
        reason: `${name} may read the history`,
        sql: statements.join('; '),
        role,
      },
    ]
  })
}
