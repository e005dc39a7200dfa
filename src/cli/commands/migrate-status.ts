import { type Run, withRun } from '../../run/run.ts'
import { shellLine } from '../../text.ts'
import { counted } from '../../units.ts'
import { readStates, type State, statesFields, withoutStates } from '../../up/migrate-state.ts'
import type { MigrateTarget } from '../../up/target.ts'
import { mainTarget, migrateTargets } from '../../up/targets.ts'
import type { Command, CommandContext } from '../command.ts'

/** `migrate status`: what is applied, what is pending, and what is wrong with the history. */
export const migrateStatus: Command = {
  name: 'migrate status',
  flags: { 'exit-code': { type: 'boolean', help: 'Exit 3 when a migration is pending.' } },
  startsAnew: true,
  exits: {
    unreachable: 'no connection within wait.timeout, or the connection was lost',
    refused: 'credentials, or a missing database',
    history: 'the history table is not that of migrate.format',
    pending: 'with --exit-code: a migration is pending',
  },
  async run(context) {
    const targets = await migrateTargets(context, { needed: true })
    const main = mainTarget(targets)
    let revision: string | undefined
    const states = await withRun(context, { locks: 'none' }, async (run) => {
      revision = main?.command && (await revisionOfCommand(run, main))
      return readStates(run, targets)
    }).catch(withoutStates)
    if (main?.command) context.out.print(`migrated by \`${shellLine(main.command)}\`, ${at(revision)}`)
    for (const state of states) print(context, state, states.length > 1)
    const pending = states.some(({ plan }) => plan.steps.length > 0) && context.flags['exit-code'] === true
    const fields = { ...statesFields(states), ...(revision !== undefined && { current_version: revision }) }
    return { fields, exitCode: pending ? 3 : 0 }
  },
}

async function revisionOfCommand(run: Run, target: MigrateTarget): Promise<string | undefined> {
  const { revisionOf } = await import('../../up/program/state.ts')
  return revisionOf(run, target)
}

const at = (revision: string | undefined) =>
  revision === undefined ? 'which has recorded no revision of Alembic' : `at ${revision}`

function print({ out }: CommandContext, { target, applied, plan, problems, format }: State, several: boolean): void {
  if (several) out.print(`${target.database ?? 'target database'}:`)
  for (const { name, status, appliedAt } of applied)
    out.print(`${status.padEnd(8)}  ${name}  ${appliedAt ?? ''}`.trimEnd())
  for (const { name } of plan.steps) out.print(`pending   ${name}`)
  for (const { name, detail } of problems) out.print(`problem   ${name} ${detail}`)
  const tool = format.native === undefined ? '' : ` (${format.name})`
  out.print(`${applied.length} applied, ${plan.steps.length} pending, ${counted(problems.length, 'problem')}${tool}`)
}
