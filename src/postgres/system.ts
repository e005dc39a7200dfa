import type { Db } from './db.ts'

/**
 * The system identifier, which initdb gives every cluster; undefined if the user may not read it. It takes two queries: the server
 * refuses a query with a function that may not be executed before it evaluates anything.
 */
export async function readSystemIdentifier(db: Db): Promise<string | undefined> {
  const [may] = await db.unsafe<{ ask: boolean }[]>(
    `select pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'execute') as ask`,
  )
  if (!may?.ask) return undefined
  const [row] = await db.unsafe<{ id: string }[]>(
    'select system_identifier::text as id from pg_catalog.pg_control_system()',
  )
  return row?.id
}
