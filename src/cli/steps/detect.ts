import type { Db } from '../../db/sql.ts'
import type { FormatName } from '../../migrate/types.ts'

/** not yet */
export async function detectFormatOf(_target: { dir: string }, _db: Db | undefined): Promise<FormatName> {
  throw new Error('not yet')
}
