import type { Migration } from '../../migrate/types.ts'
import type { Command, Context, Result } from '../command.ts'
import { withStory } from '../journal.ts'
import { applyMigrateStep, migrationFiles, planMigrateStep, refusePlan } from '../steps/migrate.ts'
import { createStory, jsonSteps } from '../story.ts'

const shared: Omit<Command, 'name'> = {
  summary: 'Apply pending SQL migrations, in order, each exactly once.',
  flags: { 'dry-run': { type: 'boolean', help: 'Show what would be applied, and stop.' } },
  exits: {
    unreachable: 'no connection within wait.timeout, or the connection was lost',
    locked: 'another runner or a table was in the way for too long',
    refused: 'credentials, a missing database or a missing role',
    migration: 'a file failed; what was applied before it stays',
    history: 'files and history do not fit together',
    lint: 'a file has its own BEGIN or COMMIT',
  },
  run,
}

/** `migrate up`. */
export const migrateUp: Command = { name: 'migrate up', ...shared }

/** `migrate` alone. */
export const migrate: Command = { name: 'migrate', ...shared }

async function run(context: Context): Promise<Result> {
  let files: Migration[] = []
  const meanwhile = async () => {
    files = await migrationFiles(context, { needed: true })
  }
  const dryRun = context.flags['dry-run'] === true
  const story = createStory(['migrate'], context.out, { planning: dryRun })
  const results = await withStory(context, story, { locks: dryRun ? 'none' : 'target', meanwhile }, (run, journal) =>
    story.step('migrate', async (show) => {
      const step = await planMigrateStep(run, files)
      show(step.changes)
      refusePlan(step.plan)
      return dryRun ? [] : applyMigrateStep(run, step, journal)
    }),
  )
  return {
    fields: {
      steps: jsonSteps(story.steps),
      results: results.map(({ name, status, durationMs }) => ({ name, status, duration_ms: durationMs })),
    },
  }
}
