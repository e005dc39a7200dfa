import { withSteps } from '../../run/journal.ts'
import { type Run, withRun } from '../../run/run.ts'
import { createStory, jsonSteps, type Story } from '../../run/story.ts'
import { adviceOnBackupUser } from '../../up/backup-user.ts'
import { refuseUnhealthy } from '../../up/check.ts'
import { migrateAll } from '../../up/migrate-all.ts'
import { plannedDrift, readDeclared } from '../../up/roles.ts'
import { planSeedStep, seedFiles, warnOfSeeds } from '../../up/seed.ts'
import { mainTarget, migrateTargets } from '../../up/targets.ts'
import type { Command, Context, Result } from '../command.ts'

/** The steps of `up`, in order. */
export const stepNames = ['wait', 'ensure', 'migrate', 'grant', 'seed', 'check']

/** `plan`: the same planners as `up`, without lock or writes. */
export const plan: Command = {
  name: 'plan',
  summary: 'Show everything that `up` would change. Takes no lock and writes nothing.',
  flags: { 'exit-code': { type: 'boolean', help: 'Exit 3 when something is pending.' } },
  exits: {
    pending: 'with --exit-code: something is pending',
    unreachable: 'not ready within wait.timeout',
    refused: 'credentials, TLS or an undeclared missing database',
    migration: 'a pending file ends in an open comment or quote, or holds what only psql knows',
    history: 'migration files and history do not fit together',
    lint: 'a pending file breaks a lint rule set to error, or has its own BEGIN or COMMIT',
    unhealthy: 'nothing is pending, and the check found an error',
  },
  async run(context) {
    const result = await planUp(context)
    const pending = (result.fields.steps as { changes: unknown[] }[]).some(({ changes }) => changes.length > 0)
    return { ...result, exitCode: pending && context.flags['exit-code'] === true ? 3 : 0 }
  },
}

/** The plan as a result; also `up --dry-run`. */
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
  if (migrations > 0) return `after ${migrations} pending ${migrations === 1 ? 'change' : 'changes'} of migrate`
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
