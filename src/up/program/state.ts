import type { Run } from '../../run/run.ts'
import { defaultRole } from '../owner.ts'
import { schemasOf } from '../place.ts'
import type { MigrateTarget } from '../target.ts'
import { readAlembic, renderHeads } from './alembic.ts'

/**
 * The revision to which the program of `migrate.command` has brought the target database: `aaa1`, from Alembic's table. Undefined when
 * there is no such table, or no revision in it.
 */
export async function revisionOf(run: Run, target: MigrateTarget): Promise<string | undefined> {
  if (!target.command || !run.target) return undefined
  const role = await defaultRole(run.context, run.target.sql, target)
  const schemas = await schemasOf(run.context, run.target.sql, target, role)
  const tables = await readAlembic(run.target.sql, { table: target.table, schemas, role })
  const heads = tables.flatMap((table) => table.heads)
  return heads.length > 0 ? renderHeads(heads) : undefined
}
