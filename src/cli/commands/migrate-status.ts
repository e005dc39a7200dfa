import { withReport } from '../../errors.ts'
import type { Applied, Problem } from '../../migrate/types.ts'
import { isDone } from '../../migrate/verify.ts'
import type { Command, Context } from '../command.ts'
import { asAppError } from '../failure.ts'
import { withRun } from '../run.ts'
import { findUnsendable, type MigrateStep, refusePlan } from '../steps/migrate.ts'
import { planAll } from '../steps/migrate-all.ts'
import { inDatabase, mainTarget, migrateTargets } from '../steps/migrate-targets.ts'

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
    history: 'the history table is not that of migrate.format',
    pending: 'with --exit-code: a migration is pending',
  },
  async run(context) {
    const states = await readStates(context)
    for (const state of states) print(context, state, states.length > 1)
    const pending = states.some(({ plan }) => plan.steps.length > 0) && context.flags['exit-code'] === true
    return { fields: fieldsOf(states), exitCode: pending ? 3 : 0 }
  },
}

function print({ out }: Context, { target, applied, plan, problems, dialect }: State, several: boolean): void {
  if (several) out.print(`${target.database ?? 'target database'}:`)
  for (const { name, status, appliedAt } of applied)
    out.print(`${status.padEnd(8)}  ${name}  ${appliedAt ?? ''}`.trimEnd())
  for (const { name } of plan.steps) out.print(`pending   ${name}`)
  for (const { name, detail } of problems) out.print(`problem   ${name} ${detail}`)
  const format = dialect.format === 'pgbosun' ? '' : ` (${dialect.format})`
  out.print(`${applied.length} applied, ${plan.steps.length} pending, ${problems.length} problems${format}`)
}

/** `migrate verify`: the files against the history. */
export const migrateVerify: Command = {
  name: 'migrate verify',
  summary: 'Compare the files with the history: edited, missing, out of order, interrupted.',
  flags: {},
  exits,
  async run(context) {
    const states = await readStates(context)
    try {
      for (const { plan } of states) refusePlan(plan)
    } catch (error) {
      return { fields: fieldsOf(states), failure: asAppError(error) }
    }
    for (const { applied, plan, target } of states) {
      context.out.print(
        `${applied.length} applied migrations match their files, ${plan.steps.length} pending${inDatabase(target)}`,
      )
    }
    return { fields: fieldsOf(states) }
  },
}

type State = MigrateStep & { applied: Applied[]; problems: Problem[] }

async function readStates(context: Context): Promise<State[]> {
  const targets = await migrateTargets(context, { needed: true })
  return withRun(context, { locks: 'none' }, async (run) => {
    const steps = await planAll(run, targets, { looking: true })
    return steps.map((step) => ({
      ...step,
      applied: step.history.applied.filter(isDone),
      problems: [...step.plan.problems, ...findUnsendable(step.plan.steps)],
    }))
  }).catch((error: unknown) => {
    throw withReport(asAppError(error), { current_version: null, applied: [], pending: [], problems: [] })
  })
}

/** The target database's at top level, all of them below `databases` where there are several. */
function fieldsOf(states: State[]) {
  const main = mainTarget(states.map(({ target }) => target))
  const state = states.find(({ target }) => target === main)
  return {
    ...statusFields(state),
    ...(states.length > 1 && {
      databases: states.map((one) => ({ database: one.target.database ?? null, ...statusFields(one) })),
    }),
  }
}

const statusFields = (state: State | undefined) => ({
  format: state?.dialect.format ?? null,
  current_version: state?.plan.currentVersion ?? null,
  applied: state?.applied.map(({ name }) => name) ?? [],
  pending: state?.plan.steps.map(({ name }) => name) ?? [],
  problems: state?.problems.map(({ code, name, detail }) => ({ code, name, detail })) ?? [],
})
