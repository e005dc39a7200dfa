import { describe } from '../../config/connection.ts'
import type { Secrets } from '../../roles/plan-roles.ts'
import { type Journal, withStory } from '../../run/journal.ts'
import type { Run } from '../../run/run.ts'
import { createStory, jsonSteps, type Story, seconds } from '../../run/story.ts'
import { refuseUnhealthy } from '../../up/check.ts'
import { nothingToMigrate, refusePlan } from '../../up/migrate.ts'
import { migrateAll, planAll } from '../../up/migrate-all.ts'
import { type Declared, ensure, grant, readDeclared, refuseDrift } from '../../up/roles.ts'
import { applySeedStep, planSeedStep, seedFiles } from '../../up/seed.ts'
import { hasCommand, type MigrateTarget, mainTarget, migrateTargets } from '../../up/targets.ts'
import { lockFlags } from '../args.ts'
import { runBehind } from '../child.ts'
import type { Command, Context, Result } from '../command.ts'
import { planUp, stepNames } from './plan.ts'

/** `up`: from empty to ready. */
export const up: Command = {
  name: 'up',
  summary: 'Wait for the database, then make it ready: databases, roles, migrations, privileges, seeds, check.',
  rest: true,
  flags: {
    'dry-run': { type: 'boolean', help: 'Show what would be done, and stop (the same as `plan`).' },
    ...lockFlags,
  },
  exits: {
    unreachable: 'not ready within wait.timeout, or the connection was lost for good',
    locked: 'another runner or a table was in the way for too long',
    refused: 'credentials, TLS, an undeclared missing database or a missing privilege',
    migration: 'a migration failed; what was applied before it stays',
    history: 'migration files and history do not fit together',
    lint: 'a migration has its own BEGIN or COMMIT, or breaks a rule that migrate.lint sets to error',
    roles: 'roles or privileges did not converge',
    seed: 'a seed failed',
    unhealthy: 'the check at the end found an error',
  },
  async run(context) {
    if (context.flags['dry-run'] === true) return planUp(context)
    const result = await runUp(context)
    return context.rest.length > 0 ? { ...result, after: () => runBehind(context) } : result
  },
}

/**
 * The whole story; also the first part of `serve`.
 * @param onReady hears which passwords the server has now
 */
export async function runUp(context: Context, onReady?: (secrets: Secrets) => void): Promise<Result> {
  const startedAt = performance.now()
  const targets = await migrateTargets(context, { running: true })
  const seeds = await seedFiles(context)
  const declared = await readDeclared(context)
  const story = createStory(stepNames, context.out)

  await withStory(context, story, { locks: 'everything', mayBeMissing: true }, async (run, journal) => {
    await waited(run, story, startedAt)
    // What is wrong with the files is said before roles are changed.
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
  context.out.print(
    `${count === 0 ? 'ready, nothing to do' : `ready, ${count} ${count === 1 ? 'change' : 'changes'}`} (${seconds(performance.now() - startedAt)})`,
  )
  return { fields: { steps: jsonSteps(story.steps) } }
}

async function waited({ context, target, cluster }: Run, story: Story, startedAt: number): Promise<void> {
  const { serverVersion } = cluster
  const version = `PostgreSQL ${Math.floor(serverVersion / 10_000)}.${serverVersion % 10_000}`
  const what = target ? 'accepts work' : 'accepts work, the database will be created'
  const quiet = `${describe(context.connection())} ${what} (${version})`
  await story.step('wait', async () => undefined, quiet, startedAt)
}

async function refuseFiles(run: Run, story: Story, targets: MigrateTarget[]): Promise<void> {
  try {
    for (const { plan } of await planAll(run, targets, { looking: true })) refusePlan(plan)
    for (const target of targets.filter(hasCommand)) {
      const { refuseCommandFiles } = await import('../../up/program/migrate.ts')
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
