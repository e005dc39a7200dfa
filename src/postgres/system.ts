import type { Db } from './db.ts'

/**
 * The number that every cluster is given by initdb; undefined where the user may not ask for it. Two questions: a function that may
 * not be executed is refused before anything of a query is looked at.
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
