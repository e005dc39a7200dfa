import type { Db } from '../postgres/db.ts'
import { quoteLiteral } from '../sql/quote.ts'
import { unwantedExtensions, withSchema } from './extensions-sql.ts'
import type { CurrentCatalog, CurrentCluster, CurrentDatabase, DesiredRoles, WideKind } from './types.ts'

/**
 * The present state of the declared roles and databases on the server. Only reads; one or two round trips.
 * Password verifiers are read when a password is declared and we may read them.
 */
export async function readCluster(db: Db, desired: DesiredRoles): Promise<CurrentCluster> {
  const withPassword = desired.roles.filter(({ password }) => password !== undefined).map(({ name }) => name)
  const { mayReadVerifiers, ...current } = await readCatalog(db, desired)
  if (withPassword.length === 0) return { ...current, verifiers: new Map() }
  return { ...current, verifiers: mayReadVerifiers ? await readVerifiers(db, withPassword) : undefined }
}

/** {@link readCluster} without the verifiers. One round trip. */
export async function readCatalog(
  db: Db,
  desired: DesiredRoles,
): Promise<CurrentCatalog & { mayReadVerifiers: boolean }> {
  const [row] = await db.unsafe<{ current: Awaited<ReturnType<typeof readCatalog>> }[]>(
    clusterQuery(roleNames(desired), databaseNames(desired)),
  )
  return row!.current
}

async function readVerifiers(db: Db, roles: string[]): Promise<Map<string, string | null>> {
  const rows = await db.unsafe<{ role: string; verifier: string | null }[]>(
    `select rolname as role, rolpassword as verifier from pg_catalog.pg_authid where rolname::text in ${oneOf(roles)} order by 1`,
  )
  return new Map(rows.map(({ role, verifier }) => [role, verifier]))
}

/** The present state of the database that `db` is connected to. Only reads; one round trip. */
export async function readDatabase(db: Db, desired: DesiredRoles, name: string): Promise<CurrentDatabase> {
  const declared = desired.databases.find((database) => database.name === name)
  const results = await db.unsafe<{ current: CurrentDatabase }[][]>(
    // With an empty search_path, names of types are always qualified.
    `set local search_path to ''; ${databaseQuery({
      roles: roleNames(desired),
      everyone: desired.mode === 'strict',
      schemas: declared?.covered ?? [],
      readAll: desired.readAll.length > 0,
      extensions: named(declared?.extensions.filter((one) => one.ensure !== 'absent')),
      unwanted: named(declared?.extensions.filter((one) => one.ensure === 'absent')),
      columns: declared?.grants.flatMap((grant) => grant.columns ?? []) ?? [],
      wideKinds: declared?.grants.flatMap(({ schema, kind }) => (schema === null ? [kind as WideKind] : [])) ?? [],
      wideDefaults: declared?.defaults.some(({ wide }) => wide) ?? false,
    })}`,
  )
  return results.at(-1)![0]!.current
}

const named = (some: { name: string }[] = []) => some.map(({ name }) => name)

function roleNames({ roles, memberships, databases, readAll }: DesiredRoles): string[] {
  const grantees = databases.flatMap(({ grants, defaults, access }) =>
    [...grants, ...defaults, ...access].map(({ grantee }) => grantee),
  )
  const readers = readAll.length > 0 ? ['pg_read_all_data'] : []
  return [
    ...new Set([
      ...roles.map(({ name }) => name),
      ...memberships.flatMap(({ role, member }) => [role, member]),
      ...readers,
      ...grantees,
    ]),
  ]
}

function databaseNames({ databases, settings, connects }: DesiredRoles): string[] {
  const inSettings = settings.flatMap(({ database }) => database ?? [])
  return [
    ...new Set([...databases.map(({ name }) => name), ...inSettings, ...connects.map(({ database }) => database)]),
  ]
}

const oneOf = (names: string[]) =>
  `(select pg_catalog.json_array_elements_text(${quoteLiteral(JSON.stringify(names))}::json))`

const list = (query: string) => `coalesce((select pg_catalog.json_agg(x) from (${query}) x), '[]')`

const session = `(select pg_catalog.json_build_object('name', rolname, 'superuser', rolsuper, 'createRole', rolcreaterole,
  'createDatabase', rolcreatedb) from pg_catalog.pg_roles where rolname = current_user)`

const major = `pg_catalog.current_setting('server_version_num')::int / 10000`

/**
 * The entries of an ACL that is not null, without the owner's own.
 * @param more which of them, as a condition on `a`
 */
const entriesOf = (acl: string, owner: string, more = 'true') => `coalesce((
  select pg_catalog.json_agg(pg_catalog.json_build_object(
      'grantee', case a.grantee when 0 then 'PUBLIC' else pg_catalog.pg_get_userbyid(a.grantee) end,
      'grantor', pg_catalog.pg_get_userbyid(a.grantor), 'privilege', a.privilege_type, 'grantable', a.is_grantable)
    order by case a.grantee when 0 then 'PUBLIC' else pg_catalog.pg_get_userbyid(a.grantee)::text end collate "C", a.privilege_type, a.grantor)
  from pg_catalog.aclexplode(${acl}) a where a.grantee <> ${owner} and (${more})), '[]')`

/** An ACL, where null means the built-in default. */
const aclOf = (acl: string, kind: string, owner: string) =>
  `coalesce(${acl}, pg_catalog.acldefault('${kind}', ${owner}))`

/** From PostgreSQL 16 on, pg_auth_members has its own options; before, an attribute of the member says whether it inherits. */
const clusterQuery = (roles: string[], databases: string[]) => `select pg_catalog.json_build_object(
  'major', ${major}, 'session', ${session},
  'mayReadVerifiers', pg_catalog.has_table_privilege('pg_authid', 'select'),
  'scramIterations', coalesce(pg_catalog.current_setting('scram_iterations', true)::int, 4096),
  'roles', ${list(`
    select rolname as name, rolcanlogin as login, rolsuper as superuser, rolinherit as inherits, rolbypassrls as "bypassRls",
           rolcreaterole as "createRole", rolcreatedb as "createDb", rolreplication as replication, rolconnlimit as "connectionLimit",
           case when rolvaliduntil is null or rolvaliduntil = 'infinity' then pg_catalog.to_json('infinity'::text)
                else pg_catalog.to_json(pg_catalog.round(extract(epoch from rolvaliduntil) * 1000)) end as "validUntil"
      from pg_catalog.pg_roles where rolname::text in ${oneOf(roles)} order by rolname`)},
  'memberships', ${list(`
    select r.rolname as role, u.rolname as member, pg_catalog.pg_get_userbyid(m.grantor) as grantor,
           m.grantor = 10 as "grantedByBootstrap", m.admin_option as admin,
           coalesce((pg_catalog.to_jsonb(m)->>'inherit_option')::boolean, u.rolinherit) as inherit,
           coalesce((pg_catalog.to_jsonb(m)->>'set_option')::boolean, true) as set
      from pg_catalog.pg_auth_members m join pg_catalog.pg_roles r on r.oid = m.roleid join pg_catalog.pg_roles u on u.oid = m.member
     where u.rolname::text in ${oneOf(roles)} or pg_catalog.pg_get_userbyid(m.grantor)::text in ${oneOf(roles)} order by 1, 2, 3`)},
  'settings', ${list(`
    select r.rolname as role, d.datname as database, pg_catalog.split_part(c, '=', 1) as name, pg_catalog.substr(c, pg_catalog.strpos(c, '=') + 1) as value
      from pg_catalog.pg_db_role_setting s left join pg_catalog.pg_roles r on r.oid = s.setrole left join pg_catalog.pg_database d on d.oid = s.setdatabase,
           pg_catalog.unnest(s.setconfig) c
     where r.rolname::text in ${oneOf(roles)} or (s.setrole = 0 and d.datname::text in ${oneOf(databases)})
     order by 1, 2, 3`)},
  'databases', ${list(`
    select datname as name, pg_catalog.pg_get_userbyid(datdba) as owner, datconnlimit as "connectionLimit",
           pg_catalog.pg_encoding_to_char(encoding) as encoding, datcollate as collate,
           case coalesce(pg_catalog.to_jsonb(d)->>'datlocprovider', 'c') when 'c' then 'libc' when 'i' then 'icu' else 'builtin' end as "localeProvider",
           coalesce(pg_catalog.to_jsonb(d)->>'datlocale', pg_catalog.to_jsonb(d)->>'daticulocale') as "icuLocale", ${entriesOf(aclOf('datacl', 'd', 'datdba'), 'datdba')} as acl
      from pg_catalog.pg_database d where datname::text in ${oneOf(databases)} order by datname`)},
  'leftovers', coalesce((select pg_catalog.json_agg(datname order by datname) from pg_catalog.pg_database
     where datname ~ '__create_[0-9a-f]{8}$'), '[]')
) as current`

/**
 * Objects of extensions are left out: their privileges belong to the extension.
 * Up to PostgreSQL 13, roles that read everything need grants in every schema.
 */
const databaseQuery = ({
  roles,
  everyone,
  schemas,
  readAll,
  extensions,
  unwanted,
  columns,
  wideKinds,
  wideDefaults,
}: {
  roles: string[]
  /** Whether grantees that are not named count too. */
  everyone: boolean
  schemas: string[]
  readAll: boolean
  extensions: string[]
  unwanted: string[]
  /** Names of columns with declared privileges. */
  columns: string[]
  wideKinds: WideKind[]
  /** Whether default privileges for the whole database are declared. */
  wideDefaults: boolean
}) => {
  const grantees = oneOf(roles)
  const everywhere = `${readAll} and ${major} < 14 and nspname !~ '^pg_' and nspname <> 'information_schema'`
  // of a schema, everything counts
  const concerned = `${everyone} or obj.kind = 'schema' or a.grantee = 0 or pg_catalog.pg_get_userbyid(a.grantee)::text in ${grantees} or pg_catalog.pg_get_userbyid(a.grantor)::text in ${grantees}`
  const notOfExtension = (catalog: string, oid: string) =>
    `not exists (select from pg_catalog.pg_depend x where x.classid = 'pg_catalog.${catalog}'::regclass and x.objid = ${oid} and x.deptype = 'e')`
  return `with
  ns as materialized (select oid, nspname, nspowner, nspacl from pg_catalog.pg_namespace where nspname::text in ${oneOf(schemas)} or (${everywhere})),
  rel as materialized (select c.*, ns.nspname from pg_catalog.pg_class c join ns on ns.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and ${notOfExtension('pg_class', 'c.oid')}),
  obj as (
    select 'schema' as kind, nspname::text as schema, nspname::text as name, null::text as arguments, null::text as "column",
           nspowner as owner, ${aclOf('nspacl', 'n', 'nspowner')} as acl
      from ns where ${notOfExtension('pg_namespace', 'ns.oid')}
    union all
    select 'table', nspname::text, relname::text, null, null, relowner, ${aclOf('relacl', 'r', 'relowner')}
      from rel where relkind <> 'S'
    union all
    select 'sequence', nspname::text, relname::text, null, null, relowner, ${aclOf('relacl', 's', 'relowner')}
      from rel where relkind = 'S'
    union all
    select 'table', nspname::text, relname::text, null, attname::text, relowner,
           ${aclOf('attacl', 'c', 'relowner')}
      from rel join pg_catalog.pg_attribute a on a.attrelid = rel.oid where (a.attacl is not null${columns.length > 0 ? ` or (rel.relkind <> 'S' and a.attname::text in ${oneOf(columns)})` : ''}) and not a.attisdropped
    union all
    select 'routine', ns.nspname::text, p.proname::text,
           coalesce((select pg_catalog.string_agg(pg_catalog.format_type(t, null), ', ' order by i) from pg_catalog.unnest(p.proargtypes::oid[]) with ordinality as u(t, i)), ''),
           null, p.proowner, ${aclOf('p.proacl', 'f', 'p.proowner')}
      from pg_catalog.pg_proc p join ns on ns.oid = p.pronamespace where ${notOfExtension('pg_proc', 'p.oid')}
    union all
    select 'type', ns.nspname::text, t.typname::text, null, null, t.typowner, ${aclOf('t.typacl', 'T', 't.typowner')}
      from pg_catalog.pg_type t join ns on ns.oid = t.typnamespace left join pg_catalog.pg_class c on c.oid = t.typrelid
     where (t.typtype in ('e', 'd', 'r') or c.relkind = 'c') and ${notOfExtension('pg_type', 't.oid')}
    ${[...new Set(wideKinds)].map((kind) => `union all select '${kind}', null, ${wideObjects[kind]}`).join('\n    ')})
select pg_catalog.json_build_object(
  'major', ${major}, 'session', ${session},
  'owner', (select pg_catalog.pg_get_userbyid(datdba) from pg_catalog.pg_database where datname = pg_catalog.current_database()),
  'publicMayConnect', (select exists (select from pg_catalog.aclexplode(coalesce(datacl, pg_catalog.acldefault('d', datdba))) a
     where a.grantee = 0 and a.privilege_type = 'CONNECT') from pg_catalog.pg_database where datname = pg_catalog.current_database()),
  'schemas', ${list(`
    select nspname as name, pg_catalog.pg_get_userbyid(nspowner) as owner,
           exists (select from pg_catalog.aclexplode(nspacl) a where a.grantee = 0 and a.privilege_type = 'CREATE') as "publicMayCreate"
      from pg_catalog.pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema' order by nspname`)},
  'extensions', ${list(`
    select extname as name, n.nspname as schema, extversion as version
      from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace order by extname`)},
  'extensionsWithSchema', ${withSchema(extensions)},
  'unwantedExtensions', ${unwantedExtensions(unwanted)},
  'objects', ${list(`
    select kind, schema, name, arguments, "column", pg_catalog.pg_get_userbyid(owner) as owner, ${entriesOf('obj.acl', 'obj.owner', concerned)} as acl from obj
     order by kind collate "C", schema collate "C", name collate "C", arguments collate "C", "column" collate "C"`)},
  'defaults', ${list(`
    select pg_catalog.pg_get_userbyid(d.defaclrole) as creator, n.nspname as schema,
           ${defaultKind('d.defaclobjtype')} as kind,
           case a.grantee when 0 then 'PUBLIC' else pg_catalog.pg_get_userbyid(a.grantee) end as grantee,
           a.privilege_type as privilege, a.is_grantable as grantable
      from pg_catalog.pg_default_acl d left join pg_catalog.pg_namespace n on n.oid = d.defaclnamespace, pg_catalog.aclexplode(d.defaclacl) a
     where a.grantee <> d.defaclrole and (d.defaclnamespace = 0 or n.nspname::text in ${oneOf(schemas)})
     order by 1, 2, 3, 4, 5`)},
  'changedDefaults', ${
    wideDefaults
      ? list(`select pg_catalog.pg_get_userbyid(defaclrole) as creator, ${defaultKind('defaclobjtype')} as kind
          from pg_catalog.pg_default_acl where defaclnamespace = 0 order by 1, 2`)
      : `'[]'::json`
  }
) as current`
}

const defaultKind = (
  type: string,
) => `case ${type} when 'r' then 'table' when 'S' then 'sequence' when 'f' then 'routine' when 'T' then 'type'
                when 'n' then 'schema' else 'large object' end`

/** Name, owner and ACL of objects that are in no schema. Those of extensions count too. Untrusted languages cannot be granted. */
const wideObjects: Record<WideKind, string> = {
  language: `lanname::text, null, null, lanowner, ${aclOf('lanacl', 'l', 'lanowner')} from pg_catalog.pg_language where lanpltrusted`,
  'foreign server': `srvname::text, null, null, srvowner, ${aclOf('srvacl', 'S', 'srvowner')} from pg_catalog.pg_foreign_server`,
  'foreign data wrapper': `fdwname::text, null, null, fdwowner, ${aclOf('fdwacl', 'F', 'fdwowner')} from pg_catalog.pg_foreign_data_wrapper`,
  'large object': `oid::text, null, null, lomowner, ${aclOf('lomacl', 'L', 'lomowner')} from pg_catalog.pg_largeobject_metadata`,
}
