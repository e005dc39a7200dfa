import { AppError } from '../errors.ts'
import type { Db } from '../postgres/db.ts'
import { quoteLiteral } from '../sql/quote.ts'
import { someOf } from '../units.ts'

/** Both parts are unquoted. */
export type RelationName = { namespace: string; name: string }

/**
 * Watches what code in a backup does while it is loaded. The login that it runs as owns everything in the new database during the
 * load. Without this check, code of one owner could change what later belongs to another, for example a function of a superuser.
 */
export type Watch = {
  /** Remembers the state of everything that could contain or run code. */
  look(): Promise<void>
  /**
   * Ends the restore if something has changed.
   * @param expected `relations` may have changed; `creates`: new objects may have been created
   * @throws {AppError} `restore`
   */
  compare(expected: { relations: readonly RelationName[]; creates: boolean }): Promise<void>
}

/**
 * @param db our own session in the new database; it stores what it saw in a temporary table
 * @param options `shared`: others are connected, as the database is not new
 */
export async function watchObjects(db: Db, login: string, { shared = false } = {}): Promise<Watch> {
  const objects = objectsIn(
    shared ? looked.filter(({ catalog }) => catalog !== 'pg_database').map(notOfOtherSessions) : looked,
  )
  await db.unsafe(`create temporary table pgbosun_seen (class oid, id oid, part int, relation oid, hash bytea)`)
  return {
    async look() {
      await db.unsafe(`truncate pg_temp.pgbosun_seen; insert into pg_temp.pgbosun_seen ${objects}`)
    },
    async compare({ relations, creates }) {
      const [row] = await db.unsafe<{ changed: string[]; others: string[] }[]>(
        query({ objects, allowed: oidsOf(relations), creates, login: quoteLiteral(login), shared }),
      )
      const what = [...(row?.others ?? []), ...(row?.changed ?? [])]
      if (what.length > 0) throw changed(what)
    },
  }
}

const changed = (what: string[]) =>
  new AppError('restore', `code in this backup changed something else while it was loaded: ${someOf(what, '; ')}`, {
    reason: 'load-failed',
    hint: 'in the database that was backed up, find out what that code is for: it tried to change objects that are not its own',
  })

/** A catalog, the relation that a row belongs to (0 if none), what must not change, and which rows. */
const looked: { catalog: string; relation?: string; part?: string; what: string; where?: string }[] = [
  { catalog: 'pg_proc', what: 'o::text' },
  { catalog: 'pg_type', what: 'o::text' },
  { catalog: 'pg_operator', what: 'o::text' },
  { catalog: 'pg_namespace', what: 'o::text' },
  {
    catalog: 'pg_database',
    what: `pg_catalog.concat_ws(',', o.datacl::text, o.datdba, o.datallowconn, o.datistemplate, o.datconnlimit,
      (select pg_catalog.string_agg(s::text, ',' order by s.setrole) from pg_catalog.pg_db_role_setting s where s.setdatabase = o.oid))`,
    where: 'o.datname = pg_catalog.current_database()',
  },
  { catalog: 'pg_cast', what: 'o::text' },
  { catalog: 'pg_language', what: 'o::text' },
  { catalog: 'pg_foreign_server', what: 'o::text' },
  { catalog: 'pg_largeobject_metadata', what: 'o::text' },
  { catalog: 'pg_event_trigger', what: 'o::text' },
  { catalog: 'pg_default_acl', what: 'o::text' },
  {
    catalog: 'pg_class',
    relation: 'o.oid',
    what: `pg_catalog.concat_ws(',', o.relname, o.relnamespace, o.relowner, o.relkind, o.relacl::text, o.reloptions::text, o.relforcerowsecurity, o.relrowsecurity)`,
    where: `o.relkind in ('r', 'p', 'v', 'm', 'f', 'S', 'c')`,
  },
  {
    catalog: 'pg_attribute',
    relation: 'o.attrelid',
    part: 'o.attnum',
    what: `pg_catalog.concat_ws(',', o.attname, o.atttypid, o.atttypmod, o.attidentity, o.attgenerated, o.attisdropped, o.attacl::text, o.attoptions::text)`,
    where: `o.attnum > 0 and exists (select from pg_catalog.pg_class c where c.oid = o.attrelid and c.relkind in ('r', 'p', 'v', 'm', 'f', 'c'))`,
  },
  { catalog: 'pg_attrdef', relation: 'o.adrelid', what: 'o::text' },
  { catalog: 'pg_rewrite', relation: 'o.ev_class', what: 'o::text' },
  { catalog: 'pg_trigger', relation: 'o.tgrelid', what: 'o::text', where: 'not o.tgisinternal' },
  { catalog: 'pg_policy', relation: 'o.polrelid', what: 'o::text' },
  { catalog: 'pg_constraint', relation: 'o.conrelid', what: 'o.conbin::text', where: `o.contype = 'c'` },
  {
    catalog: 'pg_index',
    relation: 'o.indrelid',
    what: `pg_catalog.concat_ws(',', o.indexprs::text, o.indpred::text)`,
    where: 'o.indexprs is not null or o.indpred is not null',
  },
]

const idOf = (catalog: string) => ({ pg_attribute: 'o.attrelid', pg_index: 'o.indexrelid' })[catalog] ?? 'o.oid'

/** The owner of a database may also change the schema public. */
const firstOf = (catalog: string) => (catalog === 'pg_namespace' ? 2200 : 16384)

/** Schemas of catalogs whose rows belong to no relation. */
const schemaOf: Record<string, string> = {
  pg_proc: 'o.pronamespace',
  pg_type: 'o.typnamespace',
  pg_operator: 'o.oprnamespace',
  pg_namespace: 'o.oid',
}

/** What others make for their own session is nothing that code in the backup could change. */
function notOfOtherSessions(part: (typeof looked)[number]): (typeof looked)[number] {
  const { catalog, relation, where = 'true' } = part
  const schema = schemaOf[catalog]
  if (schema !== undefined) return { ...part, where: `${where} and not pg_catalog.pg_is_other_temp_schema(${schema})` }
  if (relation === undefined) return part
  return {
    ...part,
    where: `${where} and ${relation} not in (select t.oid from pg_catalog.pg_class t where pg_catalog.pg_is_other_temp_schema(t.relnamespace))`,
  }
}

/** All objects created in this database, as rows of the temporary table. */
const objectsIn = (parts: typeof looked) =>
  parts
    .map(
      ({ catalog, relation = '0', part = '0', what, where = 'true' }) =>
        `select 'pg_catalog.${catalog}'::regclass::oid as class, ${idOf(catalog)} as id, ${part}::int as part, ${relation}::oid as relation,
              pg_catalog.sha256(pg_catalog.convert_to(${what}, pg_catalog.getdatabaseencoding())) as hash
         from pg_catalog.${catalog} o where ${idOf(catalog)} >= ${firstOf(catalog)} and (${where})`,
    )
    .join(' union all ')

/** Objects on a relation that run when somebody uses it. */
const attached = `('pg_catalog.pg_attrdef'::regclass, 'pg_catalog.pg_rewrite'::regclass, 'pg_catalog.pg_trigger'::regclass,
  'pg_catalog.pg_policy'::regclass, 'pg_catalog.pg_constraint'::regclass, 'pg_catalog.pg_index'::regclass)`

type Question = { objects: string; allowed: string; creates: boolean; login: string; shared: boolean }

const query = ({ objects, allowed, creates, login, shared }: Question) => `
  with now as materialized (${objects}), allowed as materialized (${allowed}),
  changed as (
    select s.class, s.id, s.part from pg_temp.pgbosun_seen s left join now n using (class, id, part)
     where n.hash is distinct from s.hash and s.relation not in (select oid from allowed)
    union
    select n.class, n.id, n.part from now n left join pg_temp.pgbosun_seen s using (class, id, part)
     where s.id is null and n.relation not in (select oid from allowed) and (not ${creates} or n.class in ${attached}
       and n.relation in (select relation from pg_temp.pgbosun_seen where class = 'pg_catalog.pg_class'::regclass)))
  select coalesce((select pg_catalog.json_agg(d.what order by d.what) from (
           select coalesce(pg_catalog.pg_describe_object(case class when 'pg_catalog.pg_attribute'::regclass then 'pg_catalog.pg_class'::regclass
                    when 'pg_catalog.pg_index'::regclass then 'pg_catalog.pg_class'::regclass
                    when 'pg_catalog.pg_largeobject_metadata'::regclass then 'pg_catalog.pg_largeobject'::regclass else class end, id, part), 'an object was dropped') as what
             from changed limit 50) d), '[]'::json) as changed,
         coalesce((select pg_catalog.json_agg(o.what order by o.what) from (
           select m.rolname || ' was made a member of the login of this restore' as what
             from pg_catalog.pg_auth_members a join pg_catalog.pg_roles m on m.oid = a.member join pg_catalog.pg_roles l on l.oid = a.roleid
            where l.rolname = ${login} and m.rolname <> session_user
           union all
           select coalesce(a.usename, '?') || ' is connected to the new database'
             from pg_catalog.pg_stat_activity a where not ${shared} and a.datname = pg_catalog.current_database() and a.backend_type = 'client backend'
              and a.usename <> ${login} and a.usename <> session_user and not (select u.rolsuper from pg_catalog.pg_roles u where u.oid = a.usesysid)) o),
           '[]'::json) as others`

function oidsOf(relations: readonly RelationName[]): string {
  if (relations.length === 0) return 'select 0::oid as oid where false'
  const names = relations.map(({ namespace, name }) => `(${quoteLiteral(namespace)}, ${quoteLiteral(name)})`)
  return `select c.oid from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
           where (n.nspname, c.relname) in (${names.join(', ')})`
}
