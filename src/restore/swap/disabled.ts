import type { Db } from '../../postgres/db.ts'
import type { Session } from '../../postgres/session.ts'
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts'
import { disabledIn, parseComment } from '../name.ts'
import { enableSubscriptions } from '../subscriptions.ts'

/**
 * Notes in the story of a database which subscriptions of another one are about to be disabled for an exchange with it. If we are killed
 * before the exchange, whoever comes next enables them again. The exchange itself ends the note, because it writes another comment.
 *
 * @param database the one that is to get the name
 */
export async function noteDisabled(db: Db, database: string, names: readonly string[]): Promise<void> {
  if (names.length === 0) return
  const story = await readComment(db, database)
  await writeComment(db, database, { ...story, disabled: names })
}

/**
 * Enables what a killed run left disabled, and ends the note.
 *
 * @param database with the story
 * @param live opens a session in the database whose subscriptions they are
 * @returns their names
 */
export async function repairDisabled(
  db: Db,
  database: string,
  story: { disabled?: unknown },
  live: () => Promise<Session>,
): Promise<string[]> {
  const names = disabledIn(story)
  if (names.length === 0) return []
  await enableSubscriptions(names, live)
  const { disabled: _, ...rest } = await readComment(db, database)
  await writeComment(db, database, rest)
  return names
}

async function readComment(db: Db, database: string): Promise<Record<string, unknown>> {
  const [row] = await db.unsafe<{ comment: string | null }[]>(
    `select pg_catalog.shobj_description(oid, 'pg_database') as comment from pg_catalog.pg_database where datname = ${quoteLiteral(database)}`,
  )
  return (parseComment(row?.comment ?? null) ?? {}) as Record<string, unknown>
}

const writeComment = (db: Db, database: string, story: object) =>
  db.unsafe(`comment on database ${quoteIdent(database)} is ${quoteLiteral(JSON.stringify(story))}`)
