import type { Db } from '../postgres/db.ts'
import { quoteLiteral } from '../sql/quote.ts'
import { print } from './same-object.ts'
import type { GrantableKind, OwnedObject } from './types.ts'

/** An object that a role cannot use, or can use less than the users whose sessions will start as that role can today. */
export type UnusableObject = {
  kind: GrantableKind
  schema: string
  name: string
  /** The types of a routine's arguments, as SQL; null for anything else. */
  arguments: string | null
  owner: string
  /** Whether it belongs to one of the users, or to a role whose rights they have. */
  ofUsers: boolean
  /** Privileges that one of the users has today and the role does not have. */
  lost: string[]
  /** Whether the role has no privilege on it at all, not even on one of its columns. */
  closed: boolean
}

/** The answer to an {@link OwnershipQuestion} for one database. */
export type Ownership = { unusable: UnusableObject[]; owned: OwnedObject[] }

export type OwnershipQuestion = {
  /** The role that the sessions of the users will start as, and the roles it is or will be a member of. They need not exist. */
  roles: string[]
  /** The users of the database today. They need not exist. */
  users: string[]
  /** The roles that they are declared to be members of: they can still SET ROLE to those. */
  memberOf: string[]
  /** The roles whose objects shall get another owner. */
  from: string[]
  /** The new owner. */
  to: string
  /** The new owner, and the roles it is or will be a member of. */
  toRoles: string[]
  /** The users that are declared to have the rights of the new owner. */
  heirs: string[]
}

/**
 * Reads who owns what in the database that `db` is connected to, and who could use it. One round trip, or a second one where something
 * belongs to others than the roles.
 */
export async function readOwnership(db: Db, question: OwnershipQuestion): Promise<Ownership> {
  // Mostly it is all theirs. Then the long query has no rows, but the server needs five times as long to plan it.
  if (question.from.length === 0 && !(await hasOthers(db, question.roles))) return { unusable: [], owned: [] }
  const [row] = await db.unsafe<{ ownership: Ownership }[]>(ownershipQuery(question))
  return row!.ownership
}

/** Whether anything that the long query would judge belongs to a role that is not one of these. */
async function hasOthers(db: Db, roles: string[]): Promise<boolean> {
  const [row] = await db.unsafe<{ others: boolean }[]>(othersQuery(roles))
  return row!.others
}

const oneOf = (names: string[]) =>
  `(select pg_catalog.json_array_elements_text(${quoteLiteral(JSON.stringify(names))}::json))`

const list = (query: string) => `coalesce((select pg_catalog.json_agg(x) from (${query}) x), '[]')`

/** The roles whose rights these roles have without SET ROLE, including PUBLIC (0). */
const rightsOf = (names: string[]) => `select 0::oid as oid union
    select r.oid from pg_catalog.pg_roles r where r.rolname::text in ${oneOf(names)}
        or exists (select from pg_catalog.pg_roles s where s.rolname::text in ${oneOf(names)} and pg_catalog.pg_has_role(s.oid, r.oid, 'usage'))`

const notOfExtension = (catalog: string, oid: string) =>
  `not exists (select from pg_catalog.pg_depend x where x.classid = 'pg_catalog.${catalog}'::regclass and x.objid = ${oid} and x.deptype = 'e')`

const schemas = `ns as materialized (select oid, nspname, nspowner, nspacl from pg_catalog.pg_namespace
    where nspname !~ '^pg_' and nspname not in ('information_schema', 'pgbosun'))`

/** The kinds of relations that have privileges of their own. */
const relations = `('r', 'p', 'v', 'm', 'f', 'S')`

/** Finds at least every object that {@link ownershipQuery} has as `usable` and whose owner is not in its `future`. */
const othersQuery = (roles: string[]) => `with ${schemas},
  theirs as materialized (select oid from pg_catalog.pg_roles where rolname::text in ${oneOf(roles)}),
  objects as (
    select 'pg_catalog.pg_namespace'::regclass::oid as classid, oid as objid, nspowner as owner from ns
    union all select 'pg_catalog.pg_class'::regclass, oid, relowner from pg_catalog.pg_class
      where relkind in ${relations} and relnamespace in (select oid from ns)
    union all select 'pg_catalog.pg_proc'::regclass, oid, proowner from pg_catalog.pg_proc where pronamespace in (select oid from ns)
    union all select 'pg_catalog.pg_type'::regclass, oid, typowner from pg_catalog.pg_type
      where (typtype in ('e', 'd', 'r') or typtype = 'c' and typrelid in (select oid from pg_catalog.pg_class where relkind = 'c'))
        and typnamespace in (select oid from ns))
select exists (select from objects o where owner not in (select oid from theirs)
  and not exists (select from pg_catalog.pg_depend x where x.classid = o.classid and x.objid = o.objid and x.deptype = 'e')) as others`

/**
 * Owners are read from the catalogs themselves: pg_shdepend has no rows for the superuser that initdb created, who in Docker often owns
 * everything. Objects created by initdb have an oid below 16384 (FirstNormalObjectId).
 */
const ownershipQuery = (question: OwnershipQuestion) => `with
  future as materialized (${rightsOf(question.roles)}),
  present as materialized (select oid from (${rightsOf(question.users)}) p
    where oid not in (select oid from pg_catalog.pg_roles where rolname::text in ${oneOf(question.memberOf)})),
  ${schemas},
  usable as (
    select 'schema' as kind, nspname as schema, nspname as name, null::text as arguments, nspowner as owner, null::oid as relation,
           coalesce(nspacl, pg_catalog.acldefault('n', nspowner)) as acl, array['USAGE'] as needs
      from ns where ${notOfExtension('pg_namespace', 'ns.oid')}
    union all
    select case c.relkind when 'S' then 'sequence' else 'table' end, ns.nspname, c.relname, null, c.relowner, c.oid,
           coalesce(c.relacl, pg_catalog.acldefault((case c.relkind when 'S' then 's' else 'r' end)::"char", c.relowner)),
           case c.relkind when 'S' then array['USAGE'] when 'v' then array['SELECT'] when 'm' then array['SELECT']
                else array['SELECT', 'INSERT', 'UPDATE', 'DELETE'] end
      from pg_catalog.pg_class c join ns on ns.oid = c.relnamespace
     where c.relkind in ${relations} and ${notOfExtension('pg_class', 'c.oid')}
    union all
    select 'routine', ns.nspname, p.proname,
           coalesce((select pg_catalog.string_agg(pg_catalog.format_type(t, null), ', ' order by i) from pg_catalog.unnest(p.proargtypes::oid[]) with ordinality as u(t, i)), ''),
           p.proowner, null, coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner)), array['EXECUTE']
      from pg_catalog.pg_proc p join ns on ns.oid = p.pronamespace where ${notOfExtension('pg_proc', 'p.oid')}
    union all
    select 'type', ns.nspname, t.typname, null, t.typowner, null, coalesce(t.typacl, pg_catalog.acldefault('T', t.typowner)), array['USAGE']
      from pg_catalog.pg_type t join ns on ns.oid = t.typnamespace left join pg_catalog.pg_class c on c.oid = t.typrelid
     where (t.typtype in ('e', 'd', 'r') or c.relkind = 'c') and ${notOfExtension('pg_type', 't.oid')}),
  judged as (
    select u.*, u.owner in (select oid from present) as of_users,
           array(select need from pg_catalog.unnest(u.needs) need where not exists (
                   select from pg_catalog.aclexplode(u.acl) a where a.privilege_type = need and a.grantee in (select oid from future))) as lacks
      from usable u where u.owner not in (select oid from future)),
  unusable as (
    select kind, schema, name, arguments, pg_catalog.pg_get_userbyid(owner) as owner, of_users as "ofUsers",
           array(select need from pg_catalog.unnest(lacks) need where of_users or exists (
                   select from pg_catalog.aclexplode(acl) a where a.privilege_type = need and a.grantee in (select oid from present))) as lost,
           lacks = needs and not exists (select from pg_catalog.pg_attribute c, pg_catalog.aclexplode(c.attacl) a
                   where c.attrelid = relation and c.attacl is not null and not c.attisdropped and a.grantee in (select oid from future)) as closed
      from judged where lacks <> '{}')${question.from.length === 0 ? '' : `, ${objectsOf(question)}`}
select pg_catalog.json_build_object(
  'unusable', ${list(`select kind, schema, name, arguments, owner, "ofUsers", pg_catalog.to_json(lost) as lost, closed from unusable
     where lost <> '{}' or closed order by schema collate "C", kind collate "C", name collate "C", arguments collate "C"`)},
  'owned', ${
    question.from.length === 0
      ? `'[]'::json`
      : list(`select o.classid::bigint as classid, o.objid::bigint as oid, ${print('o.classid', 'o.objid')} as print, i.type, n.nspname as schema, i.identity, pg_catalog.pg_get_userbyid(o.owner) as owner, o.bound,
       o.definer or (o.classid = 'pg_catalog.pg_class'::regclass and o.objid in (select objid from reading union all select objid from calling)) as definer
      from ours o left join pg_catalog.pg_namespace n on n.oid = o.namespace, pg_catalog.pg_identify_object(o.classid, o.objid, 0) i
     order by n.nspname collate "C" nulls last, i.type collate "C", i.identity collate "C"`)
  }
) as ownership`

/** The objects that get another owner, as `ours`. Most databases have none, and then the server need not even plan this. */
const objectsOf = ({ from, to, toRoles, heirs }: OwnershipQuestion) => `
  receiving as materialized (${rightsOf(toRoles)}),
  -- Roles that gain nothing by it.
  trusted as materialized (select oid from pg_catalog.pg_roles r where rolsuper or rolname::text in ${oneOf([to, ...heirs])}
        or exists (select from pg_catalog.pg_roles o where o.rolname = ${quoteLiteral(to)} and pg_catalog.pg_has_role(r.oid, o.oid, 'usage'))),
  given as materialized (select oid from pg_catalog.pg_roles where rolname::text in ${oneOf(from)} and rolname <> ${quoteLiteral(to)}),
  owned as (
    select 'pg_catalog.pg_class'::regclass::oid as classid, oid as objid, relowner as owner, relnamespace as namespace, false as bound, false as definer
      from pg_catalog.pg_class c where relkind in ('r', 'p', 'v', 'm', 'f', 'S') and relpersistence <> 't' and not (relkind = 'S' and exists (
             select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid
                and d.deptype in ('a', 'i') and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjsubid > 0))
    union all select 'pg_catalog.pg_namespace'::regclass, oid, nspowner, oid, false, false from pg_catalog.pg_namespace
    -- The owner of a function that an event trigger calls gains the rights of every superuser who changes a schema.
    union all select 'pg_catalog.pg_proc'::regclass, p.oid, proowner, pronamespace,
        exists (select from pg_catalog.pg_event_trigger e where e.evtfoid = p.oid)
          or (p.prokind <> 'a' and not l.lanpltrusted and (select rolsuper from pg_catalog.pg_roles where oid = p.proowner)),
        prosecdef from pg_catalog.pg_proc p join pg_catalog.pg_language l on l.oid = p.prolang where p.oid >= 16384 and not exists (
             select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid and d.deptype = 'i')
    union all select 'pg_catalog.pg_type'::regclass, oid, typowner, typnamespace, false, false from pg_catalog.pg_type t where not exists (
             select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_type'::regclass and d.objid = t.oid and d.deptype = 'i')
    union all select 'pg_catalog.pg_operator'::regclass, oid, oprowner, oprnamespace, false, false from pg_catalog.pg_operator
    union all select 'pg_catalog.pg_opclass'::regclass, oid, opcowner, opcnamespace, false, false from pg_catalog.pg_opclass
    union all select 'pg_catalog.pg_opfamily'::regclass, oid, opfowner, opfnamespace, false, false from pg_catalog.pg_opfamily
    union all select 'pg_catalog.pg_collation'::regclass, oid, collowner, collnamespace, false, false from pg_catalog.pg_collation
    union all select 'pg_catalog.pg_conversion'::regclass, oid, conowner, connamespace, false, false from pg_catalog.pg_conversion
    union all select 'pg_catalog.pg_ts_dict'::regclass, oid, dictowner, dictnamespace, false, false from pg_catalog.pg_ts_dict
    union all select 'pg_catalog.pg_ts_config'::regclass, oid, cfgowner, cfgnamespace, false, false from pg_catalog.pg_ts_config
    union all select 'pg_catalog.pg_statistic_ext'::regclass, oid, stxowner, stxnamespace, false, false from pg_catalog.pg_statistic_ext
    union all select 'pg_catalog.pg_largeobject'::regclass, oid, lomowner, null, false, false from pg_catalog.pg_largeobject_metadata
    union all select 'pg_catalog.pg_publication'::regclass, oid, pubowner, null, puballtables, false from pg_catalog.pg_publication
    union all select 'pg_catalog.pg_foreign_server'::regclass, oid, srvowner, null, false,
        exists (select from pg_catalog.pg_user_mappings m where m.srvid = s.oid) from pg_catalog.pg_foreign_server s
    union all select 'pg_catalog.pg_foreign_data_wrapper'::regclass, oid, fdwowner, null, true, false from pg_catalog.pg_foreign_data_wrapper
    union all select 'pg_catalog.pg_event_trigger'::regclass, oid, evtowner, null, true, false from pg_catalog.pg_event_trigger
    union all select 'pg_catalog.pg_subscription'::regclass, oid, subowner, null, true, false from pg_catalog.pg_subscription
      where subdbid = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())),
  ours as materialized (
    select o.* from owned o where o.owner in (select oid from given) and o.objid >= 16384
       and (o.namespace is null or o.namespace in (select oid from ns))
       and not exists (select from pg_catalog.pg_depend x where x.classid = o.classid and x.objid = o.objid and x.deptype = 'e')),
  -- Views, and rules of tables, act with the rights of their owner. This finds those that read objects whose owner does not change with them,
  -- or objects on which their present owner lacks a privilege.
  reading as (
    select distinct o.objid from ours o join pg_catalog.pg_class v on v.oid = o.objid and o.classid = 'pg_catalog.pg_class'::regclass
      join pg_catalog.pg_rewrite r on r.ev_class = v.oid
      join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = r.oid and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid <> v.oid
      join pg_catalog.pg_class t on t.oid = d.refobjid
     where not (v.relkind = 'v' and coalesce(v.reloptions && array['security_invoker=true', 'security_invoker=on', 'security_invoker=1', 'security_invoker=yes'], false))
       and t.relnamespace not in (select oid from pg_catalog.pg_namespace where nspname in ('pg_catalog', 'information_schema'))
       and case when t.relowner in (select oid from given) or t.relowner in (select oid from receiving)
                then not pg_catalog.pg_has_role(o.owner, t.relowner, 'usage') and exists (
                       select from pg_catalog.unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) need
                        where (need = 'SELECT' or r.ev_type <> '1' or exists (
                                select from pg_catalog.aclexplode(v.relacl) a where a.privilege_type = need and a.grantee <> v.relowner))
                          and not pg_catalog.has_table_privilege(o.owner, t.oid, need))
                else true end),
  -- Autovacuum, ANALYZE and REFRESH call functions of indexes, statistics and materialized views with the rights of the table's owner.
  calling as (
    select distinct u.relation as objid from (
      select i.indrelid as relation, 'pg_catalog.pg_class'::regclass::oid as classid, i.indexrelid as objid from pg_catalog.pg_index i
        where i.indexrelid >= 16384 and (i.indexprs is not null or i.indpred is not null)
      union all select s.stxrelid, 'pg_catalog.pg_statistic_ext'::regclass, s.oid from pg_catalog.pg_statistic_ext s
      union all select r.ev_class, 'pg_catalog.pg_rewrite'::regclass, r.oid from pg_catalog.pg_rewrite r
        join pg_catalog.pg_class m on m.oid = r.ev_class and m.relkind = 'm') u
      join ours o on o.classid = 'pg_catalog.pg_class'::regclass and o.objid = u.relation and not (select rolsuper from pg_catalog.pg_roles where oid = o.owner)
      join pg_catalog.pg_depend d on d.classid = u.classid and d.objid = u.objid
      left join pg_catalog.pg_operator p on d.refclassid = 'pg_catalog.pg_operator'::regclass and p.oid = d.refobjid
      join pg_catalog.pg_proc f on f.oid = case d.refclassid when 'pg_catalog.pg_proc'::regclass then d.refobjid else p.oprcode end
     where f.proowner not in (select oid from trusted))`
