import type { Session } from '../postgres/session.ts'
import type { Run } from '../run/run.ts'
import type { MigrateTarget } from './target.ts'

/** A session in the target's database; undefined while that does not exist. */
export const inTarget = <T>(
  run: Run,
  { database }: MigrateTarget,
  use: (session: Session | undefined) => Promise<T>,
) => (database === undefined ? use(run.target) : run.inDatabase(database, use))
