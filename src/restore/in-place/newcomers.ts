import { AppError } from '../../errors.ts'
import type { Db } from '../../postgres/db.ts'

/** What has an `oid` and belongs to one database. */
const catalogs = [
  ...['pg_namespace', 'pg_class', 'pg_type', 'pg_proc', 'pg_operator', 'pg_collation', 'pg_conversion', 'pg_opclass'],
  ...['pg_opfamily', 'pg_ts_config', 'pg_ts_dict', 'pg_ts_parser', 'pg_ts_template', 'pg_statistic_ext', 'pg_cast'],
  ...['pg_extension', 'pg_foreign_data_wrapper', 'pg_foreign_server', 'pg_publication', 'pg_event_trigger'],
  ...['pg_language', 'pg_transform', 'pg_am', 'pg_default_acl'],
]

const madeIn = (catalog: string, where = '') =>
  `select 'pg_catalog.${catalog}'::pg_catalog.regclass::oid as classid, oid, xmin::text::pg_catalog.numeric as x from pg_catalog.${catalog} where oid >= 16384${where}`

/** Only superusers may see by which transaction a subscription was made. */
const subscriptions = madeIn(
  'pg_subscription',
  ' and subdbid = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())',
)

/** Everything that was made in the database, and by which transaction. The address of a large object names another catalogue than its own. */
const made = [
  ...catalogs.map((catalog) => madeIn(catalog)),
  `select 'pg_catalog.pg_largeobject'::pg_catalog.regclass::oid, oid, xmin::text::pg_catalog.numeric from pg_catalog.pg_largeobject_metadata`,
]

/**
 * The instant from which on {@link newcomersSince} looks: before anything is taken away.
 * https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT
 */
export async function readInstant(db: Db): Promise<string> {
  const [row] = await db.unsafe<{ instant: string }[]>('select pg_catalog.pg_current_snapshot()::text as instant')
  return row!.instant
}

/**
 * What others have made in the database meanwhile would stay beside the backup, in a database that is said to be what was backed up.
 * A row of the catalogue is somebody else's, and new, if its transaction is committed and was not at that instant. Temporary objects are
 * gone with their session.
 *
 * @param db in the transaction of the restore, with our own rights
 * @returns why the restore is refused; undefined when there is nothing
 */
export async function newcomersSince(db: Db, name: string, instant: string): Promise<AppError | undefined> {
  const [may] = await db.unsafe<{ all: boolean }[]>(
    "select pg_catalog.has_table_privilege('pg_catalog.pg_subscription', 'select') as all",
  )
  const rows = await db.unsafe<{ what: string }[]>(newcomers(instant, may?.all ? [...made, subscriptions] : made))
  if (rows.length === 0) return undefined
  const [first, ...more] = rows.map(({ what }) => what)
  return new AppError(
    'restore',
    `while ${name} was being restored, something else made ${first}${more.length > 0 ? ` and ${more.length} more` : ''} in it, which the backup does not have`,
    { hint: 'stop the application and other tools that change its schema, then run it again' },
  )
}

/** `xmin` is the lower half of a transaction's number; one that seems to be in the future is of the epoch before. */
const newcomers = (
  instant: string,
  from: string[],
) => `with now as (select pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::pg_catalog.numeric as xid),
  made as (${from.join('\n  union all ')}),
  whole as (select m.classid, m.oid, pg_catalog.trunc(now.xid / 4294967296) * 4294967296 + m.x
                   - case when m.x > now.xid % 4294967296 then 4294967296 else 0 end as xid from made m, now)
  select pg_catalog.concat_ws(' ', o.type, o.identity) as what
    from whole w, pg_catalog.pg_identify_object(w.classid, w.oid, 0) o
   where w.xid > 2 and coalesce(o.schema, o.name, '') !~ '^pg_(toast_)?temp' and not pg_catalog.pg_visible_in_snapshot(w.xid::text::pg_catalog.xid8, '${instant}')
     and pg_catalog.pg_xact_status(w.xid::text::pg_catalog.xid8) = 'committed'
   order by o.type = 'table' desc, o.type = 'schema' desc, o.type, o.identity`
