import type { Db } from '../postgres/db.ts'
import type { Context } from '../run/context.ts'
import { lookAt } from './migrate.ts'
import { mainTarget, migrateTargets } from './targets.ts'

/** Names of the migrations that were applied to the target database. */
export async function appliedNames(context: Context, db: Db): Promise<string[]> {
  const target = mainTarget(await migrateTargets(context))
  if (!target || target.command) return []
  return (await lookAt(context, target, db)).history.applied.map(({ name }) => name)
}
