import { describe } from '../config/connection.ts'
import type { Secrets } from '../roles/plan-roles.ts'
import type { Context, Result } from '../run/context.ts'
import type { Journal } from '../run/journal.ts'
import type { Run } from '../run/run.ts'
import { nextTurn } from '../run/sessions.ts'
import { createStory, jsonSteps, type Story } from '../run/story.ts'
import type { Seed } from '../seed/types.ts'
import { counted, seconds } from '../units.ts'
import { askAboutHealth, refuseUnhealthy } from './check.ts'
import { type FirstBackup, firstBackupFields, withFirstBackups } from './first-backups.ts'
import { importOf, importPlace, wholeImportOf } from './import-of.ts'
import { askAboutMigrations, nothingToMigrate } from './migrate.ts'
import { migrateAll, refuseAll } from './migrate-all.ts'
import { type Gate, openGate, type Review } from './reviewed/types.ts'
import { type Declared, readDeclared } from './roles/declared.ts'
import { ensure, grant } from './roles/ensure.ts'
import { askAboutRoles } from './roles/plans.ts'
import { refuseDrift } from './roles/read-drift.ts'
import { applySeedStep, askAboutSeeds, planSeedStep, seedFiles, seedItem } from './seed.ts'
import { recordsOf, stepNames } from './steps.ts'
import { hasCommand, type MigrateTarget } from './target.ts'
import { mainTarget, migrateTargets } from './targets.ts'
import { withStory } from './with-story.ts'

/** `onReady`: called with the passwords that the server has now. `review`: only what was reviewed is applied, or nothing. */
export type UpOptions = { onReady?: (secrets: Secrets) => void; review?: Review }

/** All of `up`; also the first part of `serve`. */
export const runUp = (context: Context, options: UpOptions = {}): Promise<Result> =>
  withFirstBackups((backups) => upWith(context, backups, options))

async function upWith(context: Context, backups: FirstBackup[], { onReady, review }: UpOptions): Promise<Result> {
  const startedAt = performance.now()
  const story = createStory(stepNames({ imports: importPlace(context) }), context.out)
  let inputs: Inputs = { targets: [], seeds: [], declared: undefined }
  const meanwhile = async () => {
    inputs = await readInputs(context, review !== undefined)
  }

  await withStory(context, story, { locks: 'everything', mayBeMissing: true, meanwhile }, async (run, journal) => {
    const { targets, declared } = inputs
    askAhead(run, inputs)
    // what was asked goes out before what is printed
    await nextTurn()
    await waited(run, story, startedAt)
    const gate = review ? await reviewed(run, story, inputs, review) : openGate
    // Report problems with the files before roles are changed.
    if (declared) await refuseFiles(run, story, targets)
    if (importOf(run.context)) {
      const { refuseMissingFile } = await import('./import.ts')
      await refuseMissingFile(run, story)
    }
    const whole = wholeImportOf(run.context) ? await import('./whole/step.ts') : undefined
    await whole?.refuseAfter(run, story)
    await story.step('ensure', async (show) => {
      if (declared) await ensure(run, declared, gate('ensure', show), journal)
    })
    if (whole)
      await story.step(
        'import',
        async (show) => {
          const done = await whole.importConfigured(run, { show: gate('import', show), journal })
          // it has not what was made in the database that gave way
          if (done && declared) await ensure(run, declared, gate('import', show), journal)
        },
        'nothing to do: imported before',
      )
    run.releaseCluster()
    await migrateAndSeed(run, story, journal, { ...inputs, backups, gate })
    await story.step('check', () => refuseUnhealthy(run, mainTarget(targets)))
  })

  onReady?.(inputs.declared?.secrets ?? new Map())
  const count = story.changes().length
  const what = count === 0 ? 'nothing to do' : counted(count, 'change')
  context.out.print(`ready, ${what} (${seconds(performance.now() - startedAt)})`)
  return { fields: { steps: jsonSteps(story.steps), ...firstBackupFields(backups) } }
}

async function reviewed(run: Run, story: Story, inputs: Inputs, review: Review): Promise<Gate> {
  const { reviewAgain } = await import('./reviewed/review.ts')
  return reviewAgain(run, story, inputs, review)
}

const recordsIn = (context: Context, seeds: Seed[]) =>
  recordsOf({ seeds: seeds.length > 0, imports: importOf(context) !== undefined })

/** What `up` reads before it asks the database: the files, and what is declared. */
type Inputs = {
  targets: MigrateTarget[]
  seeds: Seed[]
  declared: Declared | undefined
}

/** @throws {AppError} `usage` */
async function readInputs(context: Context, reviewed: boolean): Promise<Inputs> {
  const targets = await migrateTargets(context, { running: true })
  await nextTurn()
  const seeds = await seedFiles(context, { reviewed })
  await nextTurn()
  return { targets, seeds, declared: await readDeclared(context) }
}

/**
 * Asks the target database all that the steps will need if nothing has to be changed, at once instead of step by step. An error is not
 * reported here: the step that needs the answer gets the same error.
 */
function askAhead(run: Run, { targets, seeds, declared }: Inputs): void {
  const main = mainTarget(targets)
  const records = recordsIn(run.context, seeds)
  const asked: Promise<void>[] = []
  // First those whose answer leads to a further question.
  if (run.target && main)
    asked.push(
      askAboutMigrations(run.context, main, run.reads(run.target), {
        records: records.length > 0 ? records : undefined,
      }),
    )
  asked.push(askAboutSeeds(run, seeds))
  if (declared) asked.push(askAboutRoles(run, declared))
  asked.push(askAboutHealth(run))
  for (const each of asked) each.catch(() => {})
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
    await refuseAll(run, targets)
    for (const target of targets.filter(hasCommand)) {
      const { refuseCommandFiles } = await import('./program/migrate.ts')
      await refuseCommandFiles(run, target)
    }
  } catch (error) {
    story.fail('migrate')
    throw error
  }
}

async function migrateAndSeed(
  run: Run,
  story: Story,
  journal: Journal,
  { targets, seeds, declared, backups, gate }: Inputs & { backups: FirstBackup[]; gate: Gate },
): Promise<void> {
  await story.step(
    'migrate',
    (show) =>
      migrateAll(run, {
        targets,
        show: gate('migrate', show),
        journal,
        records: recordsIn(run.context, seeds),
        backups,
      }),
    nothingToMigrate(targets),
  )
  if (importOf(run.context)) {
    const { importStep } = await import('./import.ts')
    await importStep(run, story, { journal, gate })
  }
  await story.step('grant', async (show) => {
    if (!declared) return
    await grant(run, declared, gate('grant', show), journal)
    if (story.changes().length > 0) await refuseDrift(run, declared)
  })
  await story.step('seed', async (show) => {
    const steps = await planSeedStep(run, seeds)
    gate('seed', show)(
      steps.map(({ change }) => change),
      { items: () => steps.map(seedItem) },
    )
    if (steps.length > 0) await applySeedStep(run, steps, journal)
  })
}
