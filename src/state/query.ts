// pure
import { setRolePrivilege } from '../postgres/rights.ts'
import { quoteLiteral } from '../sql/quote.ts'
import { type Column, checksOfVersion1, type StateTableName, stateTables } from './tables.ts'

/** Schema pgbosun or one of its tables: its owner, and who else may do more with it than read. */
export type StateObject = {
  owner: string
  /**
   * A login, other than the session user and superusers, that can act as the owner. Null if there is none, or if the session user or a
   * superuser is the owner.
   */
  lentTo: string | null
  /** Whether the session user may read it. */
  mayRead: boolean
  /** Grantees that may do more than read, or `PUBLIC` if it has any privilege. */
  writers: string[]
}

/** What exists of schema `pgbosun`, and what the roles concerned may do with it. */
export type CurrentState = {
  sessionUser: string
  /**
   * Role that can grant the session user CREATE on the database, if it lacks that: the owner, if it may act as the owner. Null if none
   * is needed, or there is none.
   */
  createThrough: string | null
  schema: StateObject | null
  tables: (StateObject & { name: StateTableName })[]
  /** Objects on the tables that are not ours and could run code when a row is written or read, with the statement that removes each. */
  strange: { what: string; remedy: string }[]
  /** Of the given roles, those that exist, with what they may already do. */
  readers: { name: string; usage: boolean; tables: string[] }[]
  /** Undefined if there is no state. */
  version: number | undefined
}

const list = (rows: string) => `coalesce((select pg_catalog.json_agg(x) from (${rows}) x), '[]'::json)`
const names = (rows: string) =>
  `coalesce((select pg_catalog.json_agg(x.name order by x.name) from (${rows}) x), '[]'::json)`

const object = (owner: string, acl: string, mayRead: string, reading: string[]) => `
  'owner', pg_catalog.pg_get_userbyid(${owner}), 'mayRead', ${mayRead},
  'lentTo', case when ${owner} = (select oid from me) or (select rolsuper from roles where oid = ${owner}) then null else (
    select pg_catalog.min(m.rolname) from roles m
     where m.rolcanlogin and not m.rolsuper and m.oid <> (select oid from me) and pg_catalog.pg_has_role(m.oid, ${owner}, 'MEMBER')) end,
  'writers', ${names(`
    select distinct case a.grantee when 0 then 'PUBLIC' else pg_catalog.pg_get_userbyid(a.grantee)::text end as name
      from pg_catalog.aclexplode(${acl}) a
     where a.grantee <> ${owner} and (a.grantee = 0 or a.privilege_type not in (${reading.map(quoteLiteral).join(', ')}))`)}`

/** Defaults as pg_get_expr writes them for functions of pg_catalog. A function in another schema would be shown with its schema. */
const shownAs = { now: ['clock_timestamp', '()'].join(''), user: 'SESSION_USER' }

/**
 * `table/column/what` for every column that has it, as an array: the server reads one constant faster than rows. Neither our names nor the
 * values contain a slash, so that no other column can be spelled the same.
 */
function expected(what: (column: Column) => string | undefined): string {
  const known = Object.entries(stateTables).flatMap(([table, { columns }]) =>
    columns.flatMap((column) => {
      const value = what(column)
      return value === undefined ? [] : [`"${table}/${column[0]}/${value}"`]
    }),
  )
  return `${quoteLiteral(`{${known.join(',')}}`)}::text[]`
}

const types = expected(([, type]) => type)
const defaults = expected(([, , fallback]) => fallback && shownAs[fallback])

/**
 * One row `current`: a {@link CurrentState} without its version, from the catalog only, with pg_catalog first in the search_path.
 * Expressions are compared as the server writes them, where anything outside pg_catalog shows its schema.
 */
export const stateQuery = (readers: readonly string[]) => `
  with roles as materialized (select oid, rolname, rolsuper, rolcanlogin from pg_catalog.pg_roles),
  me as (select oid, rolname from roles where rolname = session_user),
  ns as (select oid, nspowner, nspacl from pg_catalog.pg_namespace where nspname = 'pgbosun'),
  rel as (
    select c.oid, c.relname::text as relname, c.relowner, c.relacl, c.relkind, c.relforcerowsecurity from pg_catalog.pg_class c join ns on ns.oid = c.relnamespace
     where c.relname in (${Object.keys(stateTables).map(quoteLiteral).join(', ')}) and c.relkind not in ('i', 'I', 't')),
  strange (what, remedy) as (
    select 'the ' || case relkind when 'v' then 'view' when 'm' then 'materialised view' when 'f' then 'foreign table' else 'relation' end || ' pgbosun.' || relname,
           'find out what it is for, and move it out of schema pgbosun'
      from rel where relkind <> 'r'
    union all
    select pg_catalog.format('the trigger %s on pgbosun.%s', t.tgname, relname), pg_catalog.format('drop trigger %I on pgbosun.%s', t.tgname, relname)
      from pg_catalog.pg_trigger t join rel on rel.oid = t.tgrelid where not t.tgisinternal
    union all
    select pg_catalog.format('the rule %s on pgbosun.%s', r.rulename, relname), pg_catalog.format('drop rule %I on pgbosun.%s', r.rulename, relname)
      from pg_catalog.pg_rewrite r join rel on rel.oid = r.ev_class where relkind = 'r'
    union all
    select pg_catalog.format('the policy %s on pgbosun.%s', p.polname, relname), pg_catalog.format('drop policy %I on pgbosun.%s', p.polname, relname)
      from pg_catalog.pg_policy p join rel on rel.oid = p.polrelid
    union all
    select pg_catalog.format('the forced row security of pgbosun.%s', relname), pg_catalog.format('alter table pgbosun.%s no force row level security', relname)
      from rel where relforcerowsecurity
    union all
    select pg_catalog.format('the row security of pgbosun.%s, which hides its rows from %s,', relname, session_user), pg_catalog.format('alter table pgbosun.%s disable row level security', relname)
      from rel where relkind = 'r' and not relforcerowsecurity and pg_catalog.row_security_active(oid)
    union all
    select pg_catalog.format('the column %s of pgbosun.%s', a.attname, relname), pg_catalog.format('alter table pgbosun.%s drop column %I', relname, a.attname)
      from pg_catalog.pg_attribute a join rel on rel.oid = a.attrelid
     where relkind = 'r' and a.attnum > 0 and not a.attisdropped
       and relname || '/' || a.attname::text || '/' || pg_catalog.format_type(a.atttypid, null) <> all (${types})
    union all
    select pg_catalog.format('the default of %s in pgbosun.%s', a.attname, relname), pg_catalog.format('alter table pgbosun.%s alter column %I drop default', relname, a.attname)
      from pg_catalog.pg_attrdef d join rel on rel.oid = d.adrelid join pg_catalog.pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
     where a.attgenerated <> ''
        or coalesce(relname || '/' || a.attname::text || '/' || pg_catalog.pg_get_expr(d.adbin, d.adrelid) <> all (${defaults}), true)
    union all
    select pg_catalog.format('the constraint %s on pgbosun.%s', c.conname, relname), pg_catalog.format('alter table pgbosun.%s drop constraint %I', relname, c.conname)
      from pg_catalog.pg_constraint c join rel on rel.oid = c.conrelid
     where c.contype not in ('p', 'u', 'n') and not (c.contype = 'f' and c.confrelid = c.conrelid)
       and not (c.contype = 'c' and pg_catalog.pg_get_constraintdef(c.oid) in (${checksOfVersion1.map(quoteLiteral).join(', ')}))
    union all
    select pg_catalog.format('the foreign key %s of %s to pgbosun.%s', c.conname, c.conrelid::regclass, relname),
           pg_catalog.format('alter table %s drop constraint %I', c.conrelid::regclass, c.conname)
      from pg_catalog.pg_constraint c join rel on rel.oid = c.confrelid where c.contype = 'f' and c.conrelid <> c.confrelid
    union all
    select pg_catalog.format('the index %s on pgbosun.%s', i.indexrelid::regclass, relname), pg_catalog.format('drop index %s', i.indexrelid::regclass)
      from pg_catalog.pg_index i join rel on rel.oid = i.indrelid
     where i.indpred is not null or (i.indexprs is not null and not (relname = 'state' and pg_catalog.pg_get_expr(i.indexprs, i.indrelid) = 'true'))
        or exists (select from pg_catalog.unnest(i.indclass::oid[]) o join pg_catalog.pg_opclass p on p.oid = o
                    where p.opcnamespace <> 'pg_catalog'::regnamespace)
    union all
    select pg_catalog.format('the statistics object %s on pgbosun.%s', s.stxname, relname), pg_catalog.format('drop statistics %s.%I', s.stxnamespace::regnamespace, s.stxname)
      from pg_catalog.pg_statistic_ext s join rel on rel.oid = s.stxrelid
    union all
    select pg_catalog.format('the table %s, which inherits from pgbosun.%s,', h.inhrelid::regclass, relname), pg_catalog.format('alter table %s no inherit pgbosun.%s', h.inhrelid::regclass, relname)
      from pg_catalog.pg_inherits h join rel on rel.oid = h.inhparent
    union all
    select pg_catalog.format('the parent %s of pgbosun.%s', h.inhparent::regclass, relname), pg_catalog.format('alter table pgbosun.%s no inherit %s', relname, h.inhparent::regclass)
      from pg_catalog.pg_inherits h join rel on rel.oid = h.inhrelid)
  select pg_catalog.json_build_object(
    'sessionUser', (select rolname from me),
    'createThrough', (select case when not pg_catalog.has_database_privilege((select oid from me), d.oid, 'create')
        and pg_catalog.pg_has_role((select oid from me), d.datdba, ${setRolePrivilege})
        then pg_catalog.pg_get_userbyid(d.datdba) end
      from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()),
    'schema', (select pg_catalog.json_build_object(${object('nspowner', 'nspacl', `pg_catalog.has_schema_privilege((select oid from me), oid, 'usage')`, ['USAGE'])}) from ns),
    'tables', coalesce((select pg_catalog.json_agg(pg_catalog.json_build_object('name', relname, ${object(
      'relowner',
      'relacl',
      `pg_catalog.has_schema_privilege((select oid from me), (select oid from ns), 'usage') and pg_catalog.has_table_privilege((select oid from me), oid, 'select')`,
      ['SELECT'],
    )}) order by relname) from rel where relkind = 'r'), '[]'::json),
    'strange', ${list('select what, remedy from strange order by what, remedy')},
    'readers', ${list(`
      select r.rolname as name, coalesce((select pg_catalog.has_schema_privilege(r.oid, ns.oid, 'usage') from ns), false) as usage,
             ${names(`select relname as name from rel where relkind = 'r' and pg_catalog.has_table_privilege(r.oid, rel.oid, 'select')`)} as tables
        from roles r where r.rolname in (${['', ...readers].map(quoteLiteral).join(', ')}) order by r.rolname`)}) as current`
