import { planWarnings } from '../backup/databases.ts'
import { isPattern } from '../config/wildcards.ts'
import { AppError } from '../errors.ts'
import type { Store } from '../store/store.ts'
import { someOf } from '../units.ts'
import { databaseList, databasesInStore, databasesNow } from '../up/backup-databases.ts'
import type { CommandContext } from './command.ts'

/** The databases whose stored backups a command is about; `--database` narrows them to one. No server is asked. */
export const chosenInStore = async (
  context: Pick<CommandContext, 'flags' | 'loaded'>,
  store: Store,
): Promise<string[]> =>
  typeof context.flags.database === 'string' ? [context.flags.database] : databasesInStore(context, store)

/**
 * The databases to back up now; `--database` narrows them to one.
 * @throws {AppError} `backup` if there is none, or a pattern of `backup.databases` never means the one of `--database`
 */
export async function chosenToBackUp(context: CommandContext): Promise<string[]> {
  const { flags, out } = context
  const only = typeof flags.database === 'string' ? flags.database : undefined
  const list = databaseList(context)
  if (only !== undefined && (list.includes(only) || !list.some(isPattern))) return [only]
  const plan = await databasesNow(context)
  if (only !== undefined) {
    const left = plan.leftOut.find(({ database }) => database === only)
    if (left === undefined) return [only]
    throw new AppError('backup', `${only} is not backed up: ${whyNot[left.reason]}`, {
      hint: 'name it in backup.databases, not only by a pattern, if it is to be backed up',
    })
  }
  for (const warning of planWarnings(plan)) out.warn(warning)
  if (plan.chosen.length > 0) return plan.chosen
  throw new AppError('backup', `nothing is to be backed up: ${someOf(list)} in backup.databases means no database`, {
    hint: 'look at the names with `select datname from pg_catalog.pg_database`; upper and lower case are different',
  })
}

const whyNot = {
  template: 'it is a template',
  story: 'its comment says that pgbosun made it for a while, or keeps it after a restore',
  unfinished: 'a run that was killed was creating it',
  closed: 'it accepts no connections',
  broken: 'its name is not valid UTF-8',
}
