import { AppError, usage } from '../../errors.ts'
import type { Result } from '../../run/context.ts'
import { asAppError } from '../../run/failure.ts'
import { type Run, withRun } from '../../run/run.ts'
import { counted, plural } from '../../units.ts'
import { refusePlan } from '../../up/migrate.ts'
import { readStates, type State, statesFields, withoutStates } from '../../up/migrate-state.ts'
import type { Shadow } from '../../up/shadow/compare.ts'
import { inDatabase, type MigrateTarget } from '../../up/target.ts'
import { migrateTargets } from '../../up/targets.ts'
import type { Command, CommandContext } from '../command.ts'

/** `migrate verify`: compares the files with the history and, with `--shadow`, the schema they make with that of the database. */
export const migrateVerify: Command = {
  name: 'migrate verify',
  flags: {
    shadow: {
      type: 'boolean',
      help: 'Also apply the same migrations to a scratch database, and compare its schema with that of the database.',
    },
    down: { type: 'boolean', help: 'With --shadow: also undo all of them there, and apply them again.' },
  },
  startsAnew: true,
  exits: {
    unreachable: 'no connection within wait.timeout, or the connection was lost',
    locked: 'with --shadow: other runs kept applying migrations during the comparison',
    refused: 'credentials, a missing database or, with --shadow, no right to create one',
    migration:
      'a file ends in an open comment or quote, contains what only psql understands or, with --shadow, failed in the scratch database',
    history: 'the files do not match the history',
    lint: 'a file has its own BEGIN or COMMIT',
    roles: 'with --shadow: a declared schema or extension could not be created in the scratch database',
    unhealthy: 'with --shadow: the database is not what its migrations make',
  },
  async run(context) {
    const { shadow, down } = context.flags
    if (down === true && shadow !== true)
      throw usage('--down needs --shadow: it undoes migrations in the scratch database', { hint: 'add --shadow' })
    const targets = await migrateTargets(context, { needed: true })
    return withRun(context, { locks: 'none' }, async (run) => {
      const states = await readStates(run, targets).catch(withoutStates)
      const failed = refused(context, states)
      return (
        failed ?? (shadow === true ? compare(run, targets, states, down === true) : { fields: statesFields(states) })
      )
    })
  },
}

/** The failure when the files do not match the history. */
function refused({ out }: CommandContext, states: State[]): Result | undefined {
  try {
    for (const { plan } of states) refusePlan(plan)
  } catch (error) {
    return { fields: statesFields(states), failure: asAppError(error) }
  }
  for (const { applied, plan, target } of states)
    out.print(
      `${counted(applied.length, 'applied migration')} ${plural(applied.length, 'matches its file', 'match their files')}, ${plan.steps.length} pending${inDatabase(target)}`,
    )
  return undefined
}

async function compare(run: Run, targets: MigrateTarget[], states: State[], down: boolean): Promise<Result> {
  const { compareWithShadow } = await import('../../up/shadow/compare.ts')
  const { shadowFailure, shadowFields, shadowLines } = await import('../../up/shadow/report.ts')
  const found: Shadow[] = []
  const fields = () => statesFields(states, (target) => shadowFields(found.find((shadow) => shadow.target === target)))
  if (states.length === 0)
    throw usage('--shadow needs migrations that are files', {
      hint: 'set `migrate.dir`; a database that another program migrates cannot be compared',
    })
  for (const target of targets.filter(({ command }) => command))
    run.context.out.warn(`not compared: another program migrates the database${inDatabase(target)}`)
  try {
    for (const { target } of states) {
      const shadow = await compareWithShadow(run, target, { down })
      found.push(shadow)
      for (const line of shadowLines(shadow)) run.context.out.print(line)
    }
  } catch (error) {
    // A lost connection must rise: the run then waits for the database and starts over.
    if (run.context.signal.aborted || !(error instanceof AppError) || error.kind === 'unreachable') throw error
    return { fields: fields(), failure: error }
  }
  return { fields: fields(), failure: shadowFailure(found) }
}
