import { isConnectionLost } from '../../postgres/lost.ts'
import { isServerError } from '../../postgres/server-error.ts'
import type { Session } from '../../postgres/session.ts'
import type { DatabaseAction } from '../../roles/actions.ts'
import { readDatabase } from '../../roles/current.ts'
import { desiredRoles } from '../../roles/desired.ts'
import { planDatabase } from '../../roles/plan-database.ts'
import { databaseSql } from '../../roles/statements.ts'
import type { Context } from '../../run/context.ts'

/** A schema or an extension that `up` creates before it migrates. */
export type Declared = Extract<DatabaseAction, { do: 'create schema' | 'create extension' }>

/** What is declared for a database and not there yet. */
export async function readDeclared({ loaded }: Context, { sql }: Session, database: string): Promise<Declared[]> {
  const desired = desiredRoles(loaded.config)
  if (!desired.databases.some(({ name }) => name === database)) return []
  const { actions } = planDatabase(desired, database, await readDatabase(sql, desired, database))
  return actions.flatMap(({ payload }) =>
    payload.do === 'create schema' || payload.do === 'create extension' ? [payload] : [],
  )
}

/** Creates it in a copy, as the owner of the copy. What that one may not create is only warned of: the files may do without it. */
export async function createDeclared(
  { out }: Context,
  { sql }: Session,
  all: Declared[],
  owner: string,
): Promise<void> {
  for (const action of all) {
    const [statement = ''] = databaseSql(action.do === 'create schema' ? { ...action, owner } : action)
    await sql.unsafe(statement).catch((error: unknown) => {
      if (!isServerError(error) || isConnectionLost(error)) throw error
      const what = action.do === 'create schema' ? `schema ${action.schema}` : `extension ${action.extension}`
      out.warn(`the copy lacks the ${what}, which \`up\` creates before it migrates: ${error.message}`)
    })
  }
}
