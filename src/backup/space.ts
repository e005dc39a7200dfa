import { AppError } from '../errors.ts'
import type { Store } from '../store/store.ts'
import { renderBytes } from '../units.ts'

/** How much free space a backup needs, and how that was calculated. Pure. @param lastBytes size of the newest backup */
export const neededSpace = (lastBytes: number | undefined, databaseBytes: number): { bytes: number; reason: string } =>
  lastBytes === undefined
    ? { bytes: Math.ceil(databaseBytes / 4), reason: `a quarter of the database (${renderBytes(databaseBytes)})` }
    : { bytes: Math.ceil(lastBytes * 1.2), reason: `1.2 times the last backup (${renderBytes(lastBytes)})` }

/**
 * Refuses to start a backup for which there is probably not enough space.
 * @throws {AppError} `backup`, for the reason `store-full`
 */
export async function checkSpace(store: Store, lastBytes: number | undefined, databaseBytes: number): Promise<void> {
  const free = await store.freeBytes()
  const { bytes, reason } = neededSpace(lastBytes, databaseBytes)
  if (free === undefined || free >= bytes) return
  throw new AppError(
    'backup',
    `${store.name} has only ${renderBytes(free)} of free space, but the backup needs ${renderBytes(bytes)}: ${reason}`,
    {
      reason: 'store-full',
      hint: 'enlarge the volume, or delete backups with `pgbosun backup prune`',
    },
  )
}
