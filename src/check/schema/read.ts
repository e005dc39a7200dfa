import type { Db } from '../../postgres/db.ts'
import { quoteLiteral } from '../../sql/quote.ts'
import { objectsSql } from './objects.ts'
import { otherFacts } from './otherfacts.ts'
import { defaultPrivileges, privilegeFacts } from './privileges.ts'
import { columnFacts, partFacts, relationFacts } from './relations.ts'
import { routineFacts } from './routines.ts'
import { catalog } from './sql.ts'
import { typeFacts } from './typefacts.ts'
import type { DatabaseSchema, LeftOut, ObjectKind, SchemaObject } from './types.ts'

export type SchemaOptions = {
  /** In addition to what is always left out: schema `pgbosun`, the system's schemas, and everything that belongs to an extension. */
  leaveOut?: LeftOut[]
  /** Whether to read owners and privileges too. Default: no, because a scratch database has other owners. */
  privileges?: boolean
}

/**
 * Reads the schema of a database, in one round trip and one snapshot. Any role that may connect can do it.
 *
 * The settings that decide how definitions are written last only for this round trip, so the session keeps its own.
 * Do not call it inside a transaction, which would keep them until its end.
 */
export async function readSchema(
  { sql, serverVersion }: { sql: Db; serverVersion: number },
  { leaveOut = [], privileges = false }: SchemaOptions = {},
): Promise<DatabaseSchema> {
  const results: unknown = await sql.unsafe(`${settings};\n${query(serverVersion, leaveOut, privileges)}`)
  const rows = (results as Row[][]).at(-1)
  if (rows === undefined) throw new Error('the catalog query returned no result')
  return { serverVersion, objects: objectsFrom(rows) }
}

type Row = {
  kind: ObjectKind
  name: string
  partOf: string | null
  what: string | null
  value: string | null
  column: string | null
}

/** With an empty search_path every name is qualified; the other settings decide how constants in defaults and bounds are written. */
const settings = Object.entries({
  search_path: "''",
  quote_all_identifiers: 'off',
  standard_conforming_strings: 'on',
  timezone: "'UTC'",
  datestyle: "'ISO, MDY'",
  intervalstyle: "'postgres'",
  extra_float_digits: '1',
  bytea_output: "'hex'",
  lc_monetary: "'C'",
})
  .map(([name, value]) => `set local ${name} = ${value}`)
  .join('; ')

const unionAll = '\n  union all'

function query(serverVersion: number, leaveOut: LeftOut[], privileges: boolean): string {
  const leftOut = quoteLiteral(JSON.stringify(leaveOut))
  const objects = [objectsSql, ...(privileges ? [defaultPrivileges] : [])]
  const facts = [
    ...[relationFacts, columnFacts(serverVersion), partFacts, typeFacts, routineFacts, otherFacts(serverVersion)],
    ...(privileges ? [privilegeFacts] : []),
  ]
  return `
with left_out as materialized (
  select l ->> 'schema' as schema, l ->> 'name' as name from pg_catalog.json_array_elements(${leftOut}::pg_catalog.json) l),
ns as materialized (
  select n.* from pg_catalog.pg_namespace n
   where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'pgbosun')
     and not exists (select from left_out l where l.schema = n.nspname and l.name is null)
     and not exists (select from pg_catalog.pg_depend d where d.classid = ${catalog('pg_namespace')} and d.objid = n.oid and d.deptype = 'e')),
objects as materialized (
  select o.* from (${objects.join(unionAll)}) o
   where not exists (select from pg_catalog.pg_depend d where d.classid = o.class and d.objid = o.id and d.deptype = 'e')
     and (o.id >= 16384 or o.kind in ('schema', 'extension'))),
facts as materialized (${facts.join(unionAll)}),
comments as (
  select o.class, o.id, 'comment' as what, d.description as value
    from objects o join pg_catalog.pg_description d on d.classoid = o.class and d.objoid = o.id and d.objsubid = 0
  union all
  select f.class, f.id, 'comment on ' || f.what, d.description
    from facts f join pg_catalog.pg_description d on d.classoid = f.part_class and d.objoid = f.part_id and d.objsubid = f.part_sub)
select o.kind, o.name, o.part_of as "partOf", f.what, f.value, case when f.nth is not null then pg_catalog.substr(f.what, 8) end as "column"
  from objects o left join (
    select class, id, what, value, nth from facts where value is not null union all select class, id, what, value, null from comments) f
    on f.class = o.class and f.id = o.id
 order by o.kind collate pg_catalog."C", o.name collate pg_catalog."C", f.nth nulls last, f.what collate pg_catalog."C"`
}

/** Combines the rows about each object, which follow each other. */
function objectsFrom(rows: Row[]): SchemaObject[] {
  const objects: SchemaObject[] = []
  for (const { kind, name, partOf, what, value, column } of rows) {
    let object = objects.at(-1)
    if (object?.kind !== kind || object.name !== name) {
      object = { kind, name, partOf, facts: {}, columns: [] }
      objects.push(object)
    }
    if (what !== null && value !== null) object.facts[what] = value
    if (column !== null && kind === 'table') object.columns.push(column)
  }
  return objects
}
