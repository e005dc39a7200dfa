import { withReport } from '../errors.ts'
import type { Applied } from '../formats/types.ts'
import { isDone } from '../migrate/plan/verify.ts'
import type { Problem } from '../migrate/types.ts'
import { asAppError } from '../run/failure.ts'
import type { Run } from '../run/run.ts'
import { findUnsendable, type MigrateStep } from './migrate.ts'
import { planAll } from './migrate-all.ts'
import type { MigrateTarget } from './target.ts'
import { mainTarget } from './targets.ts'

/** What is applied and pending in one database, and where files and history do not match. */
export type State = MigrateStep & { applied: Applied[]; problems: Problem[] }

/** Reads each database, without changing anything. Those that another program migrates are left out. */
export async function readStates(run: Run, targets: MigrateTarget[]): Promise<State[]> {
  const steps = await planAll(run, targets, { looking: true })
  return steps.map((step) => ({
    ...step,
    applied: step.history.applied.filter(isDone),
    problems: [...step.plan.problems, ...findUnsendable(step.plan.steps)],
  }))
}

/** Throws an error of {@link readStates} with the fields of the JSON document, all empty. */
export function withoutStates(error: unknown): never {
  throw withReport(asAppError(error), { current_version: null, applied: [], pending: [], problems: [] })
}

/**
 * The fields of the JSON document: those of the target database at top level; with several databases, all of them under `databases`.
 * @param more further fields of one database
 */
export function statesFields(states: State[], more: (target: MigrateTarget) => Record<string, unknown> = () => ({})) {
  const main = mainTarget(states.map(({ target }) => target))
  const state = states.find(({ target }) => target === main)
  return {
    ...statusFields(state),
    ...(main && more(main)),
    ...(states.length > 1 && {
      databases: states.map((one) => ({
        database: one.target.database ?? null,
        ...statusFields(one),
        ...more(one.target),
      })),
    }),
  }
}

const statusFields = (state: State | undefined) => ({
  format: state?.format.name ?? null,
  current_version: state?.plan.currentVersion ?? null,
  applied: state?.applied.map(({ name }) => name) ?? [],
  pending: state?.plan.steps.map(({ name }) => name) ?? [],
  problems: state?.problems.map(({ code, name, detail }) => ({ code, name, detail })) ?? [],
})
