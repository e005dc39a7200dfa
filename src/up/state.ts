import type { Change } from '../plan.ts'
import type { Db } from '../postgres/db.ts'
import type { Context } from '../run/context.ts'
import { hasWholeState, planState, readState, type StateChange, type StateTable } from '../state/state.ts'

/** What a database that does not exist yet needs. */
export const wholeState = (needs: readonly StateTable[]): StateChange[] =>
  planState(
    { sessionUser: '', createThrough: null, schema: null, tables: [], strange: [], readers: [], version: undefined },
    { needs },
  )

/** Changes of the state as they are shown: a new one is one change. */
export function stateChanges(state: StateChange[]): Change[] {
  const changes = state.map(({ action, object, reason }) => ({ action, object, reason }))
  return changes[0]?.object === 'schema pgbosun' && changes[0].action === 'create' ? changes.slice(0, 1) : changes
}

/**
 * Changes that the state needs before something can be recorded in it.
 * @param database default: the target
 * @throws {AppError} `refused` for something on the tables that is not ours; `history` when a newer program wrote the state
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

/** Roles that may look at the state: those with a preset for the database or for the server, and the configured ones. */
function stateReaders({ loaded }: Context, database: string): string[] {
  const { databases, users: ofServer, state } = loaded.config
  const users = [...Object.entries(databases[database]?.users ?? {}), ...Object.entries(ofServer)]
  return [
    ...new Set([...users.filter(([, { preset }]) => preset !== undefined).map(([name]) => name), ...state.readers]),
  ]
}
