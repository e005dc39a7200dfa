import { planBaseline } from '../../migrate/plan/baseline.ts'
import { refuseProblems } from '../../migrate/plan/verify.ts'
import type { Result } from '../../run/context.ts'
import { createStory, jsonSteps } from '../../run/story.ts'
import { applyBaselineMark, baselineChanges } from '../../up/baseline.ts'
import { applyMigrateStep, planMigrateStep } from '../../up/migrate.ts'
import { migrateTargets, onlyTarget } from '../../up/targets.ts'
import { underNativeLock } from '../../up/under-lock.ts'
import { withStory } from '../../up/with-story.ts'
import { lockFlags } from '../args.ts'
import type { Command, CommandContext } from '../command.ts'

/** `migrate baseline VERSION`: for a database that was created without a history. */
export const migrateBaseline: Command = {
  name: 'migrate baseline',
  details: 'For a database that already has what these migrations make.',
  args: { usage: 'VERSION', min: 1, max: 1 },
  flags: { 'dry-run': { type: 'boolean', help: 'Show what would be recorded, and stop.' }, ...lockFlags },
  exits: {
    unreachable: 'no connection within wait.timeout, or the connection was lost',
    locked: 'the run lock was held for too long',
    refused: 'credentials, a missing database or a missing role',
    history: 'a newer migration is already applied, or one did not finish; with flyway: the history is not empty',
  },
  run,
}

async function run(context: CommandContext): Promise<Result> {
  const { flags, out, args } = context
  const target = onlyTarget(context, await migrateTargets(context, { needed: true }))
  const planning = flags['dry-run'] === true
  const story = createStory(['baseline'], out, { planning })
  const results = await withStory(context, story, { locks: planning ? 'none' : 'target' }, (run, journal) =>
    story.step(
      'baseline',
      (show) =>
        underNativeLock(run, target, planning ? undefined : run.target, async (run) => {
          // The only target is always the database that the run is about; without it there is no run.
          const look = await planMigrateStep(run.context, target, run.target!.sql, { records: [] })
          const files = look.folder?.files ?? []
          const marks = look.format.native?.baseline !== undefined
          const { plan, mark } = planBaseline(files, look.history, { policy: look.policy, marks }, args[0]!)
          refuseProblems(plan.problems)
          const recorded = mark ? [mark] : plan.steps
          show(baselineChanges(look, recorded, mark !== undefined))
          if (planning || recorded.length === 0) return []
          const step = { ...look, plan }
          return mark
            ? applyBaselineMark(run, step, mark, journal)
            : applyMigrateStep(run, step, async () => run.target!, journal)
        }),
      'nothing to do: everything up to this version is recorded',
    ),
  )
  return {
    fields: {
      steps: jsonSteps(story.steps),
      results: results.map(({ name, status, durationMs }) => ({ name, status, duration_ms: durationMs })),
    },
  }
}
