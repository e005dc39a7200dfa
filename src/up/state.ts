import type { Change } from '../plan.ts'
import type { Db } from '../postgres/db.ts'
import type { Context } from '../run/context.ts'
import { hasWholeState, planState, readState, type StateChange, type StateTable } from '../state/state.ts'

/** The state that a database needs that does not exist yet. */
export const wholeState = (needs: readonly StateTable[]): StateChange[] =>
  planState(
    { sessionUser: '', createThrough: null, schema: null, tables: [], strange: [], readers: [], version: undefined },
    { needs },
  )

/** The changes of the state as they are shown: creating it is a single change. */
export function stateChanges(state: StateChange[]): Change[] {
  const changes = state.map(({ action, object, reason }) => ({ action, object, reason }))
  return changes[0]?.object === 'schema pgbosun' && changes[0].action === 'create' ? changes.slice(0, 1) : changes
}

/**
 * The changes that the state needs before anything can be recorded in it.
 * @param database default: the target
 * @throws {AppError} `refused` for something on the tables that is not ours; `history` when a newer pgbosun wrote the state
 */
export async function missingState(
  context: Context,
  db: Db,
  { needs, database }: { needs: readonly StateTable[]; database?: string | undefined },
): Promise<StateChange[]> {
  const readers = stateReaders(context, database ?? context.connection().database)
  if (readers.length === 0 && (await hasWholeState(db, needs))) return []
  return planState(await readState(db, readers), { needs })
}

/** The roles that may read the state: those with a preset for the database or for the server, and `state.readers`. */
function stateReaders({ loaded }: Context, database: string): string[] {
  const { databases, users: ofServer, state } = loaded.config
  const users = [...Object.entries(databases[database]?.users ?? {}), ...Object.entries(ofServer)]
  return [
    ...new Set([...users.filter(([, { preset }]) => preset !== undefined).map(([name]) => name), ...state.readers]),
  ]
}
