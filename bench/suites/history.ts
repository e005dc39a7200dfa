import type { Cluster } from '../cluster.ts'
import type { Migrations } from '../migrations.ts'
import type { Migrator } from '../programs.ts'

/** Throws unless every migration was applied and recorded. */
export async function checkHistory(
  cluster: Cluster,
  database: string,
  { name, history }: Migrator,
  { count, tables }: Migrations,
): Promise<void> {
  const [row] = await cluster.ask<[{ tables: number; recorded: number }]>(
    database,
    `select (select count(*)::int from pg_class where relkind = 'r' and relname like 'item!_%' escape '!') as tables,
            (select count(*)::int from ${history}) as recorded`,
  )
  if (row.tables !== tables || row.recorded !== count)
    throw new Error(`${name}: ${row.tables} of ${tables} tables, ${row.recorded} of ${count} migrations recorded`)
}
