import type { Change } from '../../plan.ts'
import { readDatabase } from '../../roles/current.ts'
import { planGrants } from '../../roles/plan-grants.ts'
import { lossesOf, unaccepted } from '../../roles/strict.ts'
import type { DesiredRoles } from '../../roles/types.ts'
import type { Run } from '../../run/run.ts'

/**
 * With `manage.privileges: strict`, looks into every database before anything is changed.
 *
 * @throws {AppError} `roles` when somebody whom the file does not name would lose something, unless that is accepted
 */
export async function refuseLosses(run: Run, accepted: boolean, desired: DesiredRoles): Promise<void> {
  if (desired.mode !== 'strict' || accepted) return
  for (const { name } of desired.databases)
    await run.inDatabase(name, async (session) => {
      if (!session) return
      const current = await readDatabase(run.reads(session), desired, name)
      refuseUnaccepted(accepted, lossesOf(desired, planGrants(desired, name, current)))
    })
}

/** The same for one database, whose plan is known. */
export function refuseUnaccepted(accepted: boolean, losses: Map<string, Change[]>): void {
  if (losses.size > 0 && !accepted) throw unaccepted(losses)
}
