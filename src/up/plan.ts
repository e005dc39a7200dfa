import type { Context, Result } from '../run/context.ts'
import { withSteps } from '../run/journal.ts'
import { type Run, withRun } from '../run/run.ts'
import { createStory, jsonSteps, type Story } from '../run/story.ts'
import { plural } from '../units.ts'
import { adviceOnBackupUser } from './backup-user.ts'
import { refuseUnhealthy } from './check.ts'
import { migrateAll } from './migrate-all.ts'
import { plannedDrift, readDeclared } from './roles.ts'
import { planSeedStep, seedFiles, warnOfSeeds } from './seed.ts'
import { stepNames } from './steps.ts'
import { mainTarget, migrateTargets } from './targets.ts'

/** The result of `plan` and of `up --dry-run`. */
export async function planUp(context: Context): Promise<Result> {
  const targets = await migrateTargets(context, { running: true })
  const seeds = await seedFiles(context)
  const declared = await readDeclared(context)
  const story = createStory(stepNames, context.out, { planning: true })
  const startedAt = performance.now()

  await withRun(context, { locks: 'none', mayBeMissing: true }, async (run) => {
    story.reset()
    await story.step('wait', async () => undefined, undefined, startedAt)
    for (const line of await adviceOnBackupUser(context, run.cluster.sql)) context.out.warn(line)
    const drift = await plannedDrift(run, declared)
    await story.step('ensure', async (show) => show(drift.ensure))
    await story.step('migrate', (show) =>
      migrateAll(run, { targets, show, journal: undefined, seeds: seeds.length > 0 }),
    )
    const after = pendingBefore(run, story, drift.absent)
    if (after && declared) story.defer('grant', after)
    else await story.step('grant', async (show) => show(drift.grant))
    await planSeeds(run, story, seeds, after)
    if (story.changes().length > 0) story.defer('check', 'after the changes above')
    else await story.step('check', () => refuseUnhealthy(run, mainTarget(targets)))
  }).catch((error: unknown) => {
    throw withSteps(error, story)
  })
  return { fields: { steps: jsonSteps(story.steps) } }
}

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
): Promise<void> {
  const steps = await planSeedStep(run, seeds)
  if (steps.length > 0 && run.target) await warnOfSeeds(run, run.target)
  if (after && steps.length > 0) story.defer('seed', after)
  else await story.step('seed', async (show) => show(steps.map(({ change }) => change)))
}
