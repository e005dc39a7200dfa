import { withReport } from '../../errors.ts'
import { readHistory } from '../../migrate/history.ts'
import { findUnsendable } from '../../migrate/inspect.ts'
import type { Applied, MigrationPlan, Problem } from '../../migrate/types.ts'
import type { Command, Context } from '../command.ts'
import { asAppError } from '../failure.ts'
import { withRun } from '../run.ts'
import { migrationFiles, planMigrateStep, refusePlan } from '../steps/migrate.ts'

const exits: Command['exits'] = {
  unreachable: 'no connection within wait.timeout, or the connection was lost',
  refused: 'credentials, or a missing database',
  migration: 'a pending file ends in an open comment or quote, or holds what only psql knows',
  history: 'files and history do not fit together',
  lint: 'a pending file has its own BEGIN or COMMIT',
}

/** `migrate status`: what is applied, what is pending, what does not fit. */
export const migrateStatus: Command = {
  name: 'migrate status',
  summary: 'Show applied and pending migrations, and what does not fit together.',
  flags: { 'exit-code': { type: 'boolean', help: 'Exit 3 when a migration is pending.' } },
  exits: {
    unreachable: exits.unreachable!,
    refused: exits.refused!,
    pending: 'with --exit-code: a migration is pending',
  },
  async run(context) {
    const { plan, applied, problems } = await readPlan(context)
    const { out } = context
    for (const { name, status, appliedAt } of applied) out.print(`${status.padEnd(8)}  ${name}  ${appliedAt}`)
    for (const { name } of plan.steps) out.print(`pending   ${name}`)
    for (const { name, detail } of problems) out.print(`problem   ${name} ${detail}`)
    out.print(`${applied.length} applied, ${plan.steps.length} pending, ${problems.length} problems`)
    const pending = plan.steps.length > 0 && context.flags['exit-code'] === true
    return {
      fields: statusFields(plan, applied, problems),
      exitCode: pending ? 3 : 0,
    }
  },
}

/** `migrate verify`: the files against the history. */
export const migrateVerify: Command = {
  name: 'migrate verify',
  summary: 'Compare the files with the history: edited, missing, out of order, interrupted.',
  flags: {},
  exits,
  async run(context) {
    const { plan, applied, problems } = await readPlan(context)
    try {
      refusePlan(plan)
    } catch (error) {
      return { fields: statusFields(plan, applied, problems), failure: asAppError(error) }
    }
    context.out.print(`${applied.length} applied migrations match their files, ${plan.steps.length} pending`)
    return {
      fields: statusFields(plan, applied, problems),
    }
  },
}

async function readPlan(context: Context) {
  const files = await migrationFiles(context, { needed: true })
  return withRun(context, { locks: 'none' }, async (run) => {
    const [{ plan }, applied] = await Promise.all([
      planMigrateStep(run, files, { looking: true }),
      readHistory(run.target!.sql),
    ])
    return {
      plan,
      applied: applied.filter(({ status }) => status !== 'started'),
      problems: [...plan.problems, ...findUnsendable(plan.steps)],
    }
  }).catch((error: unknown) => {
    throw withReport(asAppError(error), { current_version: null, applied: [], pending: [], problems: [] })
  })
}

const statusFields = ({ steps, currentVersion }: MigrationPlan, applied: Applied[], problems: Problem[]) => ({
  current_version: currentVersion ?? null,
  applied: applied.map(({ name }) => name),
  pending: steps.map(({ name }) => name),
  problems: problems.map(({ code, name, detail }) => ({ code, name, detail })),
})
