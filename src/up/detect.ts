import { findFormat } from '../formats/find.ts'
import type { FormatName } from '../formats/types.ts'
import type { Db } from '../postgres/db.ts'
import type { Context } from '../run/context.ts'
import { defaultRole } from './owner.ts'
import { schemasOf } from './place.ts'
import type { MigrateTarget } from './target.ts'

/**
 * The format that `migrate.format: auto` means. With a database, its history tables tell, looked up where the role of the migrations would
 * find them; without one, the files tell.
 *
 * @param db undefined while the database does not exist, or when none shall be asked
 * @throws {AppError} `usage` when it is not certain, naming the candidates
 */
export async function detectFormatOf(
  context: Context,
  target: Pick<MigrateTarget, 'dirs' | 'table' | 'role' | 'database'>,
  db: Db | undefined,
): Promise<FormatName> {
  const schemas = db ? await schemasOf(context, db, target, await defaultRole(context, db, target)) : []
  const { format, because } = await findFormat(db, target.dirs, { table: target.table, schemas })
  context.log.info(`migrate.format auto: ${format}, because ${because}`)
  return format
}
