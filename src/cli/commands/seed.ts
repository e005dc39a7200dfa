import { createStory, jsonSteps } from '../../run/story.ts'
import { renderResult } from '../../seed/apply.ts'
import { applyState } from '../../state/state.ts'
import { applySeedStep, planSeedStep, seedFiles } from '../../up/seed.ts'
import { missingState, stateChanges } from '../../up/state.ts'
import { withStory } from '../../up/with-story.ts'
import { lockFlags } from '../args.ts'
import type { Command } from '../command.ts'
import { tuneForRows } from '../v8.ts'

/** `seed`: loads the seeds of this environment that are new or changed. */
export const seed: Command = {
  name: 'seed',
  flags: {
    force: { type: 'boolean', help: 'Also load seeds that have not changed.' },
    'accept-deletes': { type: 'boolean', help: 'Let `sync` delete more rows than `maxDeletes` allows.' },
    'dry-run': { type: 'boolean', help: 'Show what would be loaded, and stop.' },
    ...lockFlags,
  },
  exits: {
    unreachable: 'no connection within wait.timeout, or the connection was lost',
    locked: 'the run lock or a table was held for too long',
    refused: 'credentials, a missing database or a missing role',
    history: 'a newer pgbosun wrote the state',
    seed: 'a seed failed; nothing of it stays',
  },
  async run(context) {
    tuneForRows()
    const seeds = await seedFiles(context)
    const dryRun = context.flags['dry-run'] === true
    const story = createStory(['seed'], context.out, { planning: dryRun })
    const results = await withStory(context, story, { locks: dryRun ? 'none' : 'target' }, (run, journal) =>
      story.step('seed', async (show) => {
        const state = seeds.length > 0 ? await missingState(run.context, run.target!.sql, { needs: ['seeds'] }) : []
        const steps = await planSeedStep(run, seeds, { force: context.flags.force === true })
        show([...stateChanges(state), ...steps.map(({ change }) => change)])
        if (dryRun || (steps.length === 0 && state.length === 0)) return []
        if (state.length > 0) {
          await journal.beforeChange()
          await applyState(run.target!.sql, state)
        }
        return applySeedStep(run, steps, journal, { acceptDeletes: context.flags['accept-deletes'] === true })
      }),
    )
    return { fields: { steps: jsonSteps(story.steps), seeds: results.map(renderResult) } }
  },
}
