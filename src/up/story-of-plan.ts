import type { Item } from '../plan.ts'
import type { Run } from '../run/run.ts'
import type { Story } from '../run/story.ts'
import type { Seed } from '../seed/types.ts'
import { plural } from '../units.ts'
import { refuseUnhealthy } from './check.ts'
import { importOf, wholeImportOf } from './import-of.ts'
import { migrateAll } from './migrate-all.ts'
import type { Declared } from './roles/declared.ts'
import { plannedDrift } from './roles/read-drift.ts'
import { planSeedStep, type seedFiles, seedItem, warnOfSeeds } from './seed.ts'
import { recordsOf } from './steps.ts'
import type { MigrateTarget } from './target.ts'
import { mainTarget } from './targets.ts'

/** What is read before connecting, to plan from. */
export type PlanInputs = {
  targets: MigrateTarget[]
  seeds: Seed[]
  declared: Declared | undefined
}

/** A plan with all that a review compares: the changes by step, and what existed when it was made. */
export type Planned = {
  items: Map<string, Item[]>
  things: Set<string>
  /** After which step nothing is known yet; undefined: all of it is planned as far as it can be. */
  unknown?: string
}

/** Plans every step after `wait`, and tells it in the story. Changes nothing. */
export async function planSteps(run: Run, story: Story, { targets, seeds, declared }: PlanInputs): Promise<Planned> {
  const items = new Map<string, Item[]>()
  const note = (step: string, some: readonly Item[]) => items.set(step, [...(items.get(step) ?? []), ...some])
  const imports = importOf(run.context) !== undefined
  const drift = await plannedDrift(run, declared)
  note('ensure', evaluated(drift.reviewable.ensure))
  await story.step('ensure', async (show) => show(drift.ensure))
  if (wholeImportOf(run.context)) {
    const { planOfWhole } = await import('./whole/step.ts')
    const changes = await planOfWhole(run, story)
    note('import', changes)
    if (changes.length > 0) {
      for (const step of ['migrate', 'grant', 'seed', 'check']) story.defer(step, 'after the import')
      return { items, things: new Set(evaluated(drift.reviewable.things)), unknown: 'after the import' }
    }
  }
  await story.step('migrate', (show) =>
    migrateAll(run, {
      targets,
      show: (changes, options) => {
        note('migrate', options?.items?.() ?? changes)
        show(changes, options)
      },
      journal: undefined,
      records: recordsOf({ seeds: seeds.length > 0, imports }),
    }),
  )
  note('grant', evaluated(drift.reviewable.grant))
  const after = pendingBefore(run, story, drift.absent)
  if (imports) {
    const { planOfImport } = await import('./import.ts')
    note('import', await planOfImport(run, story, after))
  }
  if (after && declared) story.defer('grant', after)
  else await story.step('grant', async (show) => show(drift.grant))
  note('seed', await planSeeds(run, story, seeds, after))
  if (story.changes().length > 0) story.defer('check', 'after the changes above')
  else await story.step('check', () => refuseUnhealthy(run, mainTarget(targets)))
  return { items, things: new Set(evaluated(drift.reviewable.things)) }
}

const evaluated = <T>(lists: (() => T[])[]): T[] => lists.flatMap((list) => list())

/** Why later steps cannot be planned yet. */
function pendingBefore({ target }: Run, story: Story, absent: string[]): string | undefined {
  const migrations = story.steps.find(({ name }) => name === 'migrate')!.changes.length
  if (migrations > 0) return `after ${migrations} pending ${plural(migrations, 'change')} of migrate`
  if (!target || absent.length > 0) return 'after the database is created'
  return undefined
}

async function planSeeds(
  run: Run,
  story: Story,
  seeds: Awaited<ReturnType<typeof seedFiles>>,
  after: string | undefined,
): Promise<Item[]> {
  const steps = await planSeedStep(run, seeds, { early: after !== undefined })
  if (steps.length > 0 && run.target) await warnOfSeeds(run, run.target)
  if (after && steps.length > 0) story.defer('seed', after)
  else await story.step('seed', async (show) => show(steps.map(({ change }) => change)))
  return steps.map(seedItem)
}
