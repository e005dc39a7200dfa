import { AppError } from '../../errors.ts'
import { reportOf } from '../../migrate/apply/options.ts'
import type { StepResult } from '../../migrate/types.ts'
import type { Result } from '../../run/context.ts'
import type { Journal } from '../../run/journal.ts'
import type { Run } from '../../run/run.ts'
import { createStory, jsonSteps, type Story } from '../../run/story.ts'
import { inTarget } from '../../up/in-target.ts'
import { applyMigrateStep, planMigrateStep, refusePlan } from '../../up/migrate.ts'
import type { MigrateTarget } from '../../up/target.ts'
import { migrateTargets, onlyTarget } from '../../up/targets.ts'
import { underNativeLock } from '../../up/under-lock.ts'
import { applyUndoStep, planUndoStep } from '../../up/undo.ts'
import { withStory } from '../../up/with-story.ts'
import { lockFlags, stepsOf } from '../args.ts'
import type { Command, CommandContext } from '../command.ts'

const exits: Command['exits'] = {
  unreachable: 'no connection within wait.timeout, or the connection was lost',
  locked: 'the run lock or a table was held for too long',
  refused: 'credentials, a missing database or a missing role',
  migration: 'a statement failed; what was undone before it stays undone',
  history: 'a migration was started and did not finish',
  lint: 'a script has its own BEGIN or COMMIT',
}

const dryRun: Command['flags'][string] = { type: 'boolean', help: 'Show what would be done, and stop.' }

/** `migrate down`: undoes the newest migrations. */
export const migrateDown: Command = {
  name: 'migrate down',
  flags: {
    'dry-run': dryRun,
    steps: { type: 'string', value: 'N', help: 'Undo the N newest migrations.' },
    to: {
      type: 'string',
      value: 'VERSION',
      help: 'Undo every migration newer than this version, which is kept; 0 undoes all.',
    },
    ...lockFlags,
  },
  exits,
  run: (context) =>
    undoIn(context, async (run, target, story, journal) => {
      const { flags } = context
      const wanted = { steps: stepsOf(flags.steps), to: typeof flags.to === 'string' ? flags.to : undefined }
      return story.step('migrate', async (show) => {
        const session = await sessionOf(run, target)
        const plan = await planUndoStep(run.context, target, session, wanted)
        show(plan.changes)
        return journal ? applyUndoStep(run, plan, session, journal) : []
      })
    }),
}

/** `migrate redo`: undoes the newest migration and applies it again. */
export const migrateRedo: Command = {
  name: 'migrate redo',
  flags: { 'dry-run': dryRun, ...lockFlags },
  exits,
  run: (context) =>
    undoIn(context, async (run, target, story, journal) =>
      story.step('migrate', async (show) => {
        const session = await sessionOf(run, target)
        const plan = await planUndoStep(run.context, target, session, { steps: 1 })
        const [first] = plan.undo.steps
        const again = plan.changes.map(({ object }) => ({ action: 'apply', object, reason: 'again' }))
        show([...plan.changes, ...again])
        if (!journal || !first) return []
        const undone = await applyUndoStep(run, plan, session, journal)
        const step = await planMigrateStep(run.context, target, session.sql, { wanted: { only: first.file.id } })
        refusePlan(step.plan)
        try {
          return [...undone, ...(await applyMigrateStep(run, step, async () => session, journal))]
        } catch (error) {
          throw error instanceof AppError ? alsoDone(error, undone) : error
        }
      }),
    ),
}

/** The results of the error, after those before it. */
const alsoDone = (error: AppError, before: StepResult[]) =>
  error.with({ report: { ...error.report, results: [...reportOf(before).results, ...resultsOf(error)] } })

const resultsOf = ({ report }: AppError) => (report?.results as unknown[] | undefined) ?? []

type Undo = (run: Run, target: MigrateTarget, story: Story, journal: Journal | undefined) => Promise<StepResult[]>

async function undoIn(context: CommandContext, undo: Undo): Promise<Result> {
  const planning = context.flags['dry-run'] === true
  const target = onlyTarget(context, await migrateTargets(context, { needed: true }))
  const story = createStory(['migrate'], context.out, { planning })
  const results = await withStory(context, story, { locks: planning ? 'none' : 'target' }, (run, journal) =>
    underNativeLock(run, target, planning ? undefined : run.target, (locked) =>
      undo(locked, target, story, planning ? undefined : journal),
    ),
  )
  return {
    fields: {
      steps: jsonSteps(story.steps),
      results: results.map(({ name, status, durationMs }) => ({ name, status, duration_ms: durationMs })),
    },
  }
}

/** The only target is always the database that the run is about. */
async function sessionOf(run: Run, target: MigrateTarget) {
  return inTarget(run, target, async (session) => {
    if (session) return session
    throw new AppError('refused', 'the database does not exist', { hint: 'run `pgbosun up`, which creates it' })
  })
}
