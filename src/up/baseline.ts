import type { Migration } from '../formats/types.ts'
import { markBaseline } from '../migrate/apply/baseline.ts'
import type { StepResult } from '../migrate/types.ts'
import type { Change } from '../plan.ts'
import type { Journal } from '../run/journal.ts'
import type { Run } from '../run/run.ts'
import { applyState } from '../state/state.ts'
import type { MigrateStep } from './migrate.ts'
import { defaultRole } from './owner.ts'

/** What a baseline records. */
export function baselineChanges({ changes }: MigrateStep, recorded: Migration[], asMark: boolean): Change[] {
  if (recorded.length === 0) return []
  const reason = asMark ? 'replaces everything up to it' : 'recorded only, not run'
  return [
    ...changes.filter(({ object }) => !object.startsWith('migration ')),
    ...recorded.map(({ name }) => ({ action: 'record', object: `migration ${name}`, reason })),
  ]
}

/** Writes the tool's own mark that stands for everything up to a version, under that tool's lock. */
export async function applyBaselineMark(
  run: Run,
  step: MigrateStep,
  file: Migration,
  journal: Journal,
): Promise<StepResult[]> {
  const { sql } = run.target!
  const { state, historyTable, target } = step
  if (state.length > 0) {
    await journal.beforeChange()
    await applyState(sql, state)
  }
  const role = await defaultRole(run.context, sql, target)
  const startedAt = performance.now()
  await markBaseline({
    sql,
    historyTable: historyTable!,
    role,
    file,
    beforeChange: journal.beforeChange,
    guard: run.guard,
  })
  return [{ name: file.name, status: 'applied', durationMs: Math.round(performance.now() - startedAt) }]
}
