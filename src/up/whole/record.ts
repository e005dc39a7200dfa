import { recordImport } from '../../import/history.ts'
import { withoutEventTriggers } from '../../postgres/event-triggers.ts'
import type { Session } from '../../postgres/session.ts'
import { inTransaction } from '../../postgres/transaction.ts'
import { quoteLiteral } from '../../sql/quote.ts'
import { handOver, planState, readOwnedState } from '../../state/state.ts'

/**
 * Makes the state in an imported database that nobody else may connect to. What came along stays, and belongs to whoever runs this, if that
 * is a superuser.
 * @throws {AppError} `refused`, `history` if the state that came along must not be written
 */
export async function prepareState({ sql }: Session): Promise<void> {
  const current = await readOwnedState(sql, [])
  await withoutEventTriggers(
    sql,
    planState(current, { needs: ['imports'] }).map((change) => change.sql),
  )
  const { tables, schema, sessionUser } = await readOwnedState(sql, [])
  if ([schema?.owner, ...tables.map(({ owner }) => owner)].every((owner) => owner === sessionUser)) return
  const [row] = await sql.unsafe<{ superuser: boolean }[]>(
    'select rolsuper as superuser from pg_catalog.pg_roles where rolname = session_user',
  )
  if (row?.superuser)
    await withoutEventTriggers(sql, [
      handOver(
        tables.map(({ name }) => name),
        sessionUser,
      ),
    ])
}

/** Records the import where it will be seen when the database gets its name. */
export const recordWhole = (
  { sql }: Session,
  record: { name: string; source: Record<string, unknown>; rows: number },
  toolVersion: string,
): Promise<void> =>
  inTransaction(sql, async (tx) => {
    // the source may have been imported itself
    await tx.unsafe(`delete from only pgbosun.imports where name = ${quoteLiteral(record.name)}`)
    await recordImport(tx, record, { toolVersion })
  })
