// pure
/** The catalogs of objects with an owner, with the columns for it and, where there is one, for the privileges. */
export const ownerColumns: Readonly<Record<string, readonly [owner: string, acl?: string]>> = {
  pg_class: ['relowner', 'relacl'],
  pg_collation: ['collowner'],
  pg_conversion: ['conowner'],
  pg_event_trigger: ['evtowner'],
  pg_foreign_data_wrapper: ['fdwowner', 'fdwacl'],
  pg_foreign_server: ['srvowner', 'srvacl'],
  pg_language: ['lanowner', 'lanacl'],
  pg_largeobject_metadata: ['lomowner', 'lomacl'],
  pg_namespace: ['nspowner', 'nspacl'],
  pg_opclass: ['opcowner'],
  pg_operator: ['oprowner'],
  pg_opfamily: ['opfowner'],
  pg_proc: ['proowner', 'proacl'],
  pg_publication: ['pubowner'],
  pg_statistic_ext: ['stxowner'],
  pg_ts_config: ['cfgowner'],
  pg_ts_dict: ['dictowner'],
  pg_type: ['typowner', 'typacl'],
}

const classOf = (catalog: string) => `'pg_catalog.${catalog}'::regclass`

/** Whether the object is dumped as a part of another one: an extension, a table with its row type. */
export const isPart = (classid: string, objid: string) => `exists (select from pg_catalog.pg_depend e
  where e.classid = ${classid} and e.objid = ${objid} and e.objsubid = 0 and e.deptype in ('e', 'i'))`

/** Whether the object lies in a schema for temporary ones, of a session that is open now. */
const isTemporary = (
  classid: string,
  objid: string,
) => `exists (select from pg_catalog.pg_depend t join pg_catalog.pg_namespace n on n.oid = t.refobjid
  where t.classid = ${classid} and t.objid = ${objid} and t.refclassid = ${classOf('pg_namespace')} and n.nspname ~ '^pg_temp_')`

/** Those that come with the server are not dumped. A client may choose the number of a large object; `public` is dumped if it has another owner than in a new database. */
const isOwn: Record<string, string> = {
  pg_class: `o.oid >= 16384 and o.relkind not in ('i', 'I', 't') and o.relpersistence <> 't'`,
  pg_largeobject_metadata: 'true',
  pg_namespace: `(o.oid >= 16384 and o.nspname !~ '^pg_'
    or o.oid = 2200 and pg_catalog.current_setting('server_version_num')::int >= 150000)`,
}

/** Objects that the bootstrap superuser owns. Unlike those of all other roles, they are not in pg_shdepend. */
const bootstrapOwned = Object.entries(ownerColumns).map(
  ([
    catalog,
    [owner],
  ]) => `exists (select from pg_catalog.${catalog} o where o.${owner} = 10 and ${isOwn[catalog] ?? 'o.oid >= 16384'}
    and not ${isPart(classOf(catalog), 'o.oid')} and not ${isTemporary(classOf(catalog), 'o.oid')})`,
)

/** Privileges on everything, by object. Those of a column are noted at its table. */
const privileges = [
  ...Object.entries(ownerColumns).flatMap(([catalog, [owner, acl]]) =>
    acl === undefined
      ? []
      : [
          `select ${classOf(catalog)} as classid, oid as objid, 0 as objsubid, ${owner} as owner, ${acl} as acl from pg_catalog.${catalog}`,
        ],
  ),
  `select ${classOf('pg_class')}, attrelid, attnum, relowner, attacl from pg_catalog.pg_attribute join pg_catalog.pg_class c on c.oid = attrelid
    where attacl is not null`,
].join('\n union all ')

const hasFirst = (classid: string, objid: string, objsubid: string) => `exists (select from pg_catalog.pg_init_privs i
  where i.classoid = ${classid} and i.objoid = ${objid} and i.objsubid = ${objsubid})`

/** The roles whose privileges differ from those that initdb or an extension gave them: only the differences are dumped. */
const changed = `select x.grantee from (${privileges}) p
  join pg_catalog.pg_init_privs i on i.classoid = p.classid and i.objoid = p.objid and i.objsubid = p.objsubid,
  pg_catalog.unnest(p.acl || i.initprivs) item, pg_catalog.aclexplode(array[item]) x
 where (item = any (p.acl)) is distinct from (item = any (i.initprivs))`

/** Whether the bootstrap superuser was granted something by another owner. */
const bootstrapGranted = `exists (select from (${privileges}) p, pg_catalog.aclexplode(p.acl) x
  where p.owner <> 10 and x.grantee = 10 and not ${hasFirst('p.classid', 'p.objid', 'p.objsubid')}
    and not ${isTemporary('p.classid', 'p.objid')})`

const database = '(select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())'

/** Roles other than the bootstrap superuser that own something, were granted something, or are named in a policy or a user mapping. */
const noted = `select s.refobjid from pg_catalog.pg_shdepend s
  where s.refclassid = ${classOf('pg_authid')} and s.dbid = ${database} and not ${isTemporary('s.classid', 's.objid')} and (
    s.deptype = 'o' and s.classid <> ${classOf('pg_extension')} and not ${isPart('s.classid', 's.objid')}
    or s.deptype = 'a' and not ${hasFirst('s.classid', 's.objid', 's.objsubid')}
    or s.deptype = 'r')`

/** Only a superuser dumps subscriptions. */
const subscriptionOwners = `select subowner from pg_catalog.pg_subscription
  where subdbid = ${database} and (select rolsuper from pg_catalog.pg_roles where rolname = current_user)`

/**
 * The roles that a dump of the database `d`, which this session is in, names: a restore needs them. Roles of what only an extension made
 * are not among them, and neither are those of the temporary objects of other sessions.
 */
export const neededRoles = `
  select r.rolname as name from pg_catalog.pg_roles r where r.rolname !~ '^pg_' and (
    r.oid = d.datdba
    or r.oid in (select a.grantee from pg_catalog.aclexplode(d.datacl) a)
    or r.oid in (select s.setrole from pg_catalog.pg_db_role_setting s where s.setdatabase = ${database})
    or r.oid in (${noted})
    or r.oid in (${changed})
    or r.oid in (${subscriptionOwners})
    or r.oid = 10 and (${bootstrapOwned.join('\n or ')}
      or ${bootstrapGranted}
      or exists (select from pg_catalog.pg_default_acl where defaclrole = 10 or exists (
           select from pg_catalog.aclexplode(defaclacl) x where x.grantee = 10))
      or exists (select from pg_catalog.pg_user_mappings where umuser = 10)
      or exists (select from pg_catalog.pg_policy where 10 = any (polroles))))`

/** Publications of whole schemas, from 15 on. */
const ofSchemas = `select p.refobjid from pg_catalog.pg_depend p
  where p.classid = pg_catalog.to_regclass('pg_catalog.pg_publication_namespace') and p.refclassid = ${classOf('pg_publication')}`

/** Owners of what only a superuser may own. */
export const neededSuperusers = `
  select r.rolname as name from pg_catalog.pg_roles r where r.oid in (
    select evtowner from pg_catalog.pg_event_trigger o where not ${isPart(classOf('pg_event_trigger'), 'o.oid')}
    union all
    select fdwowner from pg_catalog.pg_foreign_data_wrapper o where not ${isPart(classOf('pg_foreign_data_wrapper'), 'o.oid')}
    union all
    select pubowner from pg_catalog.pg_publication o where o.puballtables or o.oid in (${ofSchemas})
    union all
    select o.subowner from (${subscriptionOwners}) o where pg_catalog.current_setting('server_version_num')::int < 160000)`
