import { repairHistory } from '../migrate/apply/repair.ts'
import type { Repair, RepairPlan } from '../migrate/plan/repair.ts'
import type { Change } from '../plan.ts'
import type { Journal } from '../run/journal.ts'
import type { Run } from '../run/run.ts'
import { applyState } from '../state/state.ts'
import type { MigrateStep } from './migrate.ts'
import { defaultRole } from './owner.ts'

/** The tool's own history table, as people write it. */
export const historyTableOf = ({ historyTable }: MigrateStep) =>
  historyTable?.native && `${historyTable.native.schema}.${historyTable.native.name}`

const verbs: Record<Repair['action'], string> = {
  realign: 'accept',
  applied: 'record as applied',
  pending: 'record as pending',
  forget: 'forget',
}

/** Without repairs, nothing of the state is changed either. */
export const repairChanges = ({ changes }: MigrateStep, { repairs }: RepairPlan): Change[] =>
  repairs.length === 0
    ? []
    : [
        ...changes.filter(({ object }) => !object.startsWith('migration ')),
        ...repairs.map(({ action, name, wrong }) => ({
          action: verbs[action],
          object: `migration ${name}`,
          reason: wrong,
        })),
      ]

/** Makes the repairs, all or none, under the lock of the tool whose history it is. */
export async function applyRepairStep(run: Run, look: MigrateStep, plan: RepairPlan, journal: Journal): Promise<void> {
  const { target, historyTable, files, state } = look
  if (plan.repairs.length === 0 || !historyTable) return
  const { sql } = run.target!
  if (state.length > 0) {
    await journal.beforeChange()
    await applyState(sql, state)
  }
  const role = await defaultRole(run.context, sql, target)
  await repairHistory({
    ...{ sql, historyTable, files, plan, role },
    toolVersion: run.context.version,
    beforeChange: journal.beforeChange,
    guard: run.guard,
  })
}
