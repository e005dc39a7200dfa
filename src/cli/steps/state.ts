import type { Db } from '../../db/sql.ts'
import { hasWholeState, planState, readState, refuseNewerState, type StateChange } from '../../db/state.ts'
import type { Change } from '../../plan.ts'
import type { Context } from '../command.ts'

/** What a database that does not exist yet needs. */
export const wholeState = (): StateChange[] =>
  planState({ sessionUser: '', superuser: true, wantedOwner: '', schema: null, tables: [], readers: [] })

/** Changes of the state as they are shown: a new one is one change. */
export function stateChanges(state: StateChange[]): Change[] {
  const changes = state.map(({ action, object, reason }) => ({ action, object, reason }))
  return changes[0]?.object === 'schema pgbosun' && changes[0].action === 'create' ? changes.slice(0, 1) : changes
}

/**
 * Changes that the state needs before something can be recorded in it.
 * @param database default: the target
 */
export async function missingState(context: Context, db: Db, database?: string): Promise<StateChange[]> {
  const readers = stateReaders(context, database ?? context.connection().database)
  if (readers.length === 0 && (await hasWholeState(db))) {
    await refuseNewerState(db)
    return []
  }
  const current = await readState(db, readers)
  if (current.tables.some(({ name }) => name === 'state')) await refuseNewerState(db)
  return planState(current)
}

/** Roles that may look at the state: those with a preset for the database or for the server, and the configured ones. */
function stateReaders({ loaded }: Context, database: string): string[] {
  const { databases, users: ofServer, state } = loaded.config
  const users = [...Object.entries(databases[database]?.users ?? {}), ...Object.entries(ofServer)]
  return [
    ...new Set([...users.filter(([, { preset }]) => preset !== undefined).map(([name]) => name), ...state.readers]),
  ]
}
