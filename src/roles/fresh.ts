// pure
import type { CurrentDatabase, SessionUser } from './types.ts'

/** The state of a database right after we create it; plans for a database that does not exist yet start from it. Pure. */
export const freshDatabase = (
  session: SessionUser,
  { major, owner }: { major: number; owner: string },
): CurrentDatabase => ({
  major,
  session,
  owner,
  publicMayConnect: false,
  schemas: [{ name: 'public', owner: major >= 15 ? 'pg_database_owner' : 'postgres', publicMayCreate: major < 15 }],
  extensions: [{ name: 'plpgsql', schema: 'pg_catalog', version: '1.0' }],
  extensionsWithSchema: [],
  unwantedExtensions: [],
  objects: [],
  defaults: [],
  changedDefaults: [],
})
