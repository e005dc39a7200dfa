import { describe } from '../config/connection.ts'
import type { Secrets } from '../roles/plan-roles.ts'
import type { Context, Result } from '../run/context.ts'
import type { Journal } from '../run/journal.ts'
import type { Run } from '../run/run.ts'
import { createStory, jsonSteps, type Story } from '../run/story.ts'
import { counted, seconds } from '../units.ts'
import { refuseUnhealthy } from './check.ts'
import { nothingToMigrate, refusePlan } from './migrate.ts'
import { migrateAll, planAll } from './migrate-all.ts'
import { stepNames } from './plan.ts'
import { type Declared, ensure, grant, readDeclared, refuseDrift } from './roles.ts'
import { applySeedStep, planSeedStep, seedFiles } from './seed.ts'
import { hasCommand, type MigrateTarget } from './target.ts'
import { mainTarget, migrateTargets } from './targets.ts'
import { withStory } from './with-story.ts'

/**
 * All of `up`; also the first part of `serve`.
 * @param onReady called with the passwords that the server has now
 */
export async function runUp(context: Context, onReady?: (secrets: Secrets) => void): Promise<Result> {
  const startedAt = performance.now()
  const targets = await migrateTargets(context, { running: true })
  const seeds = await seedFiles(context)
  const declared = await readDeclared(context)
  const story = createStory(stepNames, context.out)

  await withStory(context, story, { locks: 'everything', mayBeMissing: true }, async (run, journal) => {
    await waited(run, story, startedAt)
    // Report problems with the files before roles are changed.
    if (declared) await refuseFiles(run, story, targets)
    await story.step('ensure', async (show) => {
      if (declared) await ensure(run, declared, show, journal)
    })
    await run.releaseCluster()
    await migrateAndSeed(run, story, journal, { targets, seeds, declared })
    await story.step('check', () => refuseUnhealthy(run, mainTarget(targets)))
  })

  onReady?.(declared?.secrets ?? new Map())
  const count = story.changes().length
  const what = count === 0 ? 'nothing to do' : counted(count, 'change')
  context.out.print(`ready, ${what} (${seconds(performance.now() - startedAt)})`)
  return { fields: { steps: jsonSteps(story.steps) } }
}

async function waited({ context, target, cluster }: Run, story: Story, startedAt: number): Promise<void> {
  const { serverVersion } = cluster
  const version = `PostgreSQL ${Math.floor(serverVersion / 10_000)}.${serverVersion % 10_000}`
  const what = target ? 'accepts work' : 'accepts work; the database will be created'
  const quiet = `${describe(context.connection())} ${what} (${version})`
  await story.step('wait', async () => undefined, quiet, startedAt)
}

async function refuseFiles(run: Run, story: Story, targets: MigrateTarget[]): Promise<void> {
  try {
    for (const { plan } of await planAll(run, targets, { looking: true })) refusePlan(plan)
    for (const target of targets.filter(hasCommand)) {
      const { refuseCommandFiles } = await import('./program/migrate.ts')
      await refuseCommandFiles(run, target)
    }
  } catch (error) {
    story.fail('migrate')
    throw error
  }
}

type Inputs = {
  targets: MigrateTarget[]
  seeds: Awaited<ReturnType<typeof seedFiles>>
  declared: Declared | undefined
}

async function migrateAndSeed(
  run: Run,
  story: Story,
  journal: Journal,
  { targets, seeds, declared }: Inputs,
): Promise<void> {
  await story.step(
    'migrate',
    (show) => migrateAll(run, { targets, show, journal, seeds: seeds.length > 0 }),
    nothingToMigrate(targets),
  )
  await story.step('grant', async (show) => {
    if (!declared) return
    await grant(run, declared, show, journal)
    if (story.changes().length > 0) await refuseDrift(run, declared)
  })
  await story.step('seed', async (show) => {
    const steps = await planSeedStep(run, seeds)
    show(steps.map(({ change }) => change))
    if (steps.length > 0) await applySeedStep(run, steps, journal)
  })
}
