import { AppError } from '../../errors.ts'
import type { Format } from '../../formats/format.ts'
import type { Db } from '../../postgres/db.ts'
import { historyHidden, readNative } from './history.ts'
import { openHistoryTable } from './history-table.ts'
import type { SeenMigration } from './is-applied.ts'

/**
 * Reads the history for `migrate wait-for`: without the files, and with no other privilege than SELECT on the history table. Empty if
 * there is no history yet.
 *
 * @param where as for {@link openHistoryTable}
 * @throws {AppError} `refused` if the user may not read the history; `history` if the table is not that of the format
 */
export async function readHistoryBrief(
  db: Db,
  format: Format,
  where: { table: string | undefined; schemas: readonly string[]; role: string | undefined },
): Promise<SeenMigration[]> {
  if (!format.native) return ownVersions(db)
  const historyTable = await openHistoryTable(db, format, where)
  if (!historyTable.native?.exists) return []
  const rows = await readNative(db, historyTable, where.role)
  return rows.flatMap(({ id, name, kind, ok }) =>
    id === null || kind === 'repeatable' ? [] : [{ id, name, done: ok, baseline: kind === 'baseline' }],
  )
}

/** Checks privileges in the catalog, because naming a table in a schema without USAGE is an error. */
async function ownVersions(db: Db): Promise<SeenMigration[]> {
  const [found] = await db.unsafe<{ readable: boolean; hidden: boolean; user: string }[]>(
    `select pg_catalog.has_schema_privilege(n.oid, 'usage') and pg_catalog.has_table_privilege(c.oid, 'select') as readable,
            pg_catalog.row_security_active(c.oid) as hidden, session_user as user
       from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'pgbosun' and c.relname = 'migrations'`,
  )
  if (!found) return []
  if (!found.readable) {
    throw new AppError('refused', `${found.user} may not read the history in pgbosun.migrations`, {
      hint: 'give the user a preset, or name it under `state.readers`, and run `pgbosun up`',
      sqlstate: '42501',
    })
  }
  if (found.hidden) {
    throw historyHidden('pgbosun.migrations')
  }
  return db.unsafe<SeenMigration[]>(
    `select version::text as id, name, status <> 'started' as done, false as baseline from pgbosun.migrations order by version`,
  )
}
