import { defaultStore } from '../config/default-store.ts'
import { resolveBackupConnection } from '../config/resolve.ts'
import { AppError } from '../errors.ts'
import type { Db } from '../postgres/db.ts'
import type { Context } from '../run/context.ts'
import { quoteLiteral } from '../sql/quote.ts'

/** The warning, given once, that a superuser makes the backups. */
export const backedUpBySuperuser = (user: string) =>
  `backups are made as ${user}, a superuser: set backup.url to a user with \`preset: backup\`, who can read everything and change nothing`

/**
 * The same warning, without making a backup. None when no backups are configured, or when `backup.url` is a secret that cannot be read here.
 * @param db any session of the server
 */
export async function adviceOnBackupUser({ loaded, connection }: Context, db: Db): Promise<string[]> {
  const { backup, check } = loaded.config
  const when = backup.schedule ?? backup.schedules
  const asked = backup.url ?? when ?? backup.databases ?? backup.stores ?? check.backupMaxAge
  if (asked === undefined && backup.store === defaultStore) return []
  const user = backup.url === undefined ? connection().user : userOfBackups(loaded)
  if (user === undefined) return []
  const [row] = await db.unsafe<{ superuser: boolean }[]>(
    `select rolsuper as superuser from pg_catalog.pg_roles where rolname = ${quoteLiteral(user)}`,
  )
  return row?.superuser ? [backedUpBySuperuser(user)] : []
}

function userOfBackups({ config, env, baseDir }: Context['loaded']): string | undefined {
  try {
    return resolveBackupConnection(config, env, baseDir).user
  } catch (error) {
    if (error instanceof AppError && error.kind === 'usage') return undefined
    throw error
  }
}
