import { usage } from '../../errors.ts'
import { describeMapping, mappingFields } from '../../import/describe.ts'
import { proposeTypes } from '../../import/prepare.ts'
import type { Result } from '../../run/context.ts'
import { withRun } from '../../run/run.ts'
import { createStory, jsonSteps } from '../../run/story.ts'
import { applyState } from '../../state/state.ts'
import { applyPrepared, changesOf, configuredImport, inspect, refuse, withPrepared } from '../../up/import.ts'
import { wholeImportOf } from '../../up/import-of.ts'
import { missingState, stateChanges } from '../../up/state.ts'
import { withStory } from '../../up/with-story.ts'
import { lockFlags } from '../args.ts'
import type { Command, CommandContext } from '../command.ts'

/** `import`: the rows of the configured file into empty tables, or a whole database in place of an empty one; once. */
export const importCommand: Command = {
  name: 'import',
  details:
    'What is imported is in the configuration, and imported once. `import: { sqlite: app.db }`: the rows are written into the tables that the\n' +
    'migrations made, or into new ones where there are none, compared with the file, and recorded, in one transaction. `import: { url: … }`, another\n' +
    'PostgreSQL, and `import: { backup: latest }`: a copy is loaded beside the empty database, compared, and takes its place. See docs/import.md.',
  flags: {
    plan: {
      type: 'boolean',
      help: 'Show what would come, how tables and columns of a file are mapped, or how long it takes to read another server, and stop.',
    },
    exclude: {
      ...{ type: 'string', value: 'TABLE', multiple: true },
      help: 'Leave out a table of the file or of the other server, besides those of import.exclude.',
    },
    ...lockFlags,
  },
  exits: {
    unreachable: 'no connection within wait.timeout, or the connection was lost',
    locked: 'the run lock or a table was held for too long',
    refused: 'credentials, a missing database or a missing role',
    history: 'a newer pgbosun wrote the state',
    seed: 'it cannot be imported as it is, the tables or the database are not empty, or the import failed; nothing of it stays',
    backup: 'the store cannot be read',
    corrupt: 'the backup is damaged, or no identity opens it; nothing was changed',
    nobackup: 'no backup matches',
  },
  run: (context) => {
    const whole = wholeImportOf(context)
    if (whole) return context.flags.plan === true ? showWholePlan(context) : importWholeOnce(context)
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

const excluded = (context: CommandContext): string[] => {
  const { exclude = [] } = context.lists
  if (exclude.length > 0 && wholeImportOf(context)?.backup !== undefined)
    throw usage('--exclude leaves out tables of another server or a file, but a backup is imported whole', {
      hint: 'leave out --exclude',
    })
  return exclude
}

async function showWholePlan(context: CommandContext): Promise<Result> {
  const exclude = excluded(context)
  const { showWhole } = await import('../../up/whole/show.ts')
  const shown = await withRun(context, { locks: 'none', mayBeMissing: true }, (run) => showWhole(run, exclude))
  if (!shown) context.out.print('nothing to do: imported before')
  return shown ?? { fields: { tables: [], excluded: [] } }
}

async function importWholeOnce(context: CommandContext): Promise<Result> {
  const exclude = excluded(context)
  const { importConfigured, refuseAfter } = await import('../../up/whole/step.ts')
  const story = createStory(['import'], context.out)
  const done = await withStory(context, story, { locks: 'target' }, async (run, journal) => {
    await refuseAfter(run, story)
    return story.step(
      'import',
      (show) => importConfigured(run, { show, journal, exclude }),
      'nothing to do: imported before',
    )
  })
  const fields = done && {
    ...{ source: done.what, rows_compared: done.rows, tables_compared: done.tables, duration_ms: done.durationMs },
  }
  return { fields: { steps: jsonSteps(story.steps), tables: [], ...fields } }
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
