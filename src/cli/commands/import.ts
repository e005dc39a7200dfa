import { describeMapping, mappingFields } from '../../import/describe.ts'
import { proposeTypes } from '../../import/prepare.ts'
import type { Result } from '../../run/context.ts'
import { withRun } from '../../run/run.ts'
import { createStory, jsonSteps } from '../../run/story.ts'
import { applyState } from '../../state/state.ts'
import { applyPrepared, changesOf, configuredImport, inspect, refuse, withPrepared } from '../../up/import.ts'
import { missingState, stateChanges } from '../../up/state.ts'
import { withStory } from '../../up/with-story.ts'
import { lockFlags } from '../args.ts'
import type { Command, CommandContext } from '../command.ts'

/** `import`: the rows of the configured file, once, into empty tables. */
export const importCommand: Command = {
  name: 'import',
  details:
    'What is imported is in the configuration: `import: { sqlite: app.db }`. The rows are written into the tables that the migrations made, or\n' +
    'into new ones where there are none, compared with the file, and recorded, in one transaction. See docs/import.md.',
  flags: {
    plan: { type: 'boolean', help: 'Show how tables and columns are mapped, propose types, and stop.' },
    exclude: {
      ...{ type: 'string', value: 'TABLE', multiple: true },
      help: 'Leave out a table of the file, besides those of import.exclude.',
    },
    ...lockFlags,
  },
  exits: {
    unreachable: 'no connection within wait.timeout, or the connection was lost',
    locked: 'the run lock or a table was held for too long',
    refused: 'credentials, a missing database or a missing role',
    history: 'a newer pgbosun wrote the state',
    seed: 'the file cannot be imported as it is, the tables are not empty, or the import failed; nothing of it stays',
  },
  run: (context) => {
    configuredImport(context)
    return context.flags.plan === true ? showPlan(context) : importOnce(context)
  },
}

async function showPlan(context: CommandContext): Promise<Result> {
  const fields = await withRun(context, { locks: 'none' }, (run) =>
    withPrepared(run, run.target!, context.lists.exclude ?? [], async (prepared) => {
      const { facts, problems } = await inspect(run, prepared)
      const mapping = { plan: prepared.plan, facts, proposals: proposeTypes(prepared) }
      context.out.print(describeMapping(mapping))
      refuse(prepared, problems)
      return mappingFields(mapping)
    }),
  )
  if (!fields) context.out.print('nothing to do: imported before')
  return { fields: fields ?? { tables: [], excluded: [], proposals: [] } }
}

async function importOnce(context: CommandContext): Promise<Result> {
  const story = createStory(['import'], context.out)
  const tables = await withStory(context, story, { locks: 'target' }, (run, journal) =>
    story.step(
      'import',
      async (show) => {
        const target = run.target!
        return withPrepared(run, target, context.lists.exclude ?? [], async (prepared) => {
          refuse(prepared, prepared.problems)
          const state = await missingState(run.context, target.sql, { needs: ['imports'] })
          show([...stateChanges(state), ...changesOf(prepared)])
          if (state.length > 0) {
            await journal.beforeChange()
            await applyState(target.sql, state)
          }
          return applyPrepared(run, target, prepared, journal)
        })
      },
      'nothing to do: imported before',
    ),
  )
  return { fields: { steps: jsonSteps(story.steps), tables: tables ?? [] } }
}
