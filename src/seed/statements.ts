import type { Db } from '../postgres/db.ts'
import { pinPath, type RunsAs, setPath } from '../postgres/search-path.ts'
import { sendPieces } from '../postgres/send.ts'
import { piecesOf } from '../sql/pieces.ts'
import { setSettings, unsetLocally } from '../sql/settings.ts'

/** Returns how many rows the statements wrote, including triggers and cascades. The driver only keeps the count of the last statement. */
export async function runStatements(tx: Db, text: string, { path, urlSettings = {} }: RunsAs): Promise<number> {
  const before = await rowsWritten(tx)
  await tx.unsafe(`${setSettings(urlSettings, 'local ')}${setPath(path, 'local ')}`)
  await sendPieces(tx, text, piecesOf(text))
  await tx.unsafe(`${unsetLocally(urlSettings)}${pinPath}`)
  return (await rowsWritten(tx)) - before
}

/** The rows that the session has counted so far. Earlier transactions may be included; within one transaction, the difference is exact. */
async function rowsWritten(tx: Db): Promise<number> {
  const [row] = await tx.unsafe<{ rows: string }[]>(
    `select coalesce(pg_catalog.sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint as rows
       from pg_catalog.pg_stat_xact_user_tables where schemaname !~ '^pg_temp'`,
  )
  return Number(row?.rows ?? 0)
}
