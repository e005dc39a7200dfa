import type { Db } from '../../postgres/db.ts'
import { jsonList } from '../../postgres/properties.ts'
import type { InPlaceFacts } from './refusals.ts'

const catalogs = [
  ...['pg_class', 'pg_type', 'pg_proc', 'pg_constraint', 'pg_attrdef', 'pg_trigger', 'pg_rewrite', 'pg_policy'],
  ...['pg_operator', 'pg_opclass', 'pg_opfamily', 'pg_largeobject_metadata', 'pg_namespace', 'pg_statistic_ext'],
]

const names = (rows: string) =>
  `coalesce((select pg_catalog.json_agg(x.name order by x.name) from (${rows}) x (name)), '[]')`

/** Reads what a restore in place depends on, in that database. */
export async function readInPlaceFacts(db: Db): Promise<InPlaceFacts> {
  const counts = catalogs.map((name) => `(select pg_catalog.count(*) from pg_catalog.${name} where oid >= 16384)`)
  const setting = (name: string) => `pg_catalog.current_setting('${name}')::int`
  const [row] = await db.unsafe<{ facts: InPlaceFacts }[]>(`
    select pg_catalog.json_build_object(
      'encoding', pg_catalog.getdatabaseencoding(),
      'objects', ${counts.join(' + ')},
      'locks', ${setting('max_locks_per_transaction')} * (${setting('max_connections')} + ${setting('max_prepared_transactions')}),
      'locksPerTransaction', ${setting('max_locks_per_transaction')},
      'subscriptions', ${names(`select subname from pg_catalog.pg_subscription
         where (subenabled or subslotname is not null) and subdbid = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())`)},
      'publications', ${names('select pubname from pg_catalog.pg_publication')},
      'fixedExtensions', ${names(`select extname from pg_catalog.pg_extension where oid >= 16384 and not pg_catalog.pg_has_role(session_user, extowner, 'USAGE')`)}
    ) as facts`)
  return row!.facts
}

/** Schemas that gates of killed runs left behind, named like their logins. */
export async function readLeftGates(db: Db, pattern: string): Promise<string[]> {
  const [row] = await db.unsafe<{ left: { name: string }[] }[]>(
    `select ${jsonList(`select nspname as name from pg_catalog.pg_namespace where nspname ~ '${pattern}'
       and pg_catalog.pg_has_role(session_user, nspowner, 'USAGE') order by 1`)} as left`,
  )
  return row!.left.map(({ name }) => name)
}
