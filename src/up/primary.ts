import type { Connection } from '../config/connection.ts'
import { AppError } from '../errors.ts'
import type { Context } from '../run/context.ts'

/** Where the lock of a backup is taken if `backup.url` leads to a standby; undefined where there is no other connection. */
export function primaryOf({ loaded, connection }: Pick<Context, 'loaded' | 'connection'>): Connection | undefined {
  if (loaded.config.backup.url === undefined) return undefined
  try {
    return connection()
  } catch (error) {
    if (error instanceof AppError && error.kind === 'usage') return undefined
    throw error
  }
}
