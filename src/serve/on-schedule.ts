import type { Catalog } from '../archive/catalog.ts'
import { pruneStore } from '../backup/prune.ts'
import { runBackup } from '../backup/run.ts'
import { verifyBackup } from '../backup/verify.ts'
import { AppError } from '../errors.ts'
import type { Context } from '../run/context.ts'
import { backupOptions } from '../up/backups.ts'
import type { Rotation } from './rotate.ts'

const verifyAgainMs = 7 * 86_400_000

/** One scheduled backup with all that belongs to it: retention after a success, and an old backup read back again. */
export async function backUpOnSchedule(
  context: Context,
  catalog: Catalog,
  database: string,
  slot: Date,
  rotation: Rotation,
): Promise<void> {
  const { log } = context
  const { id, existing, sizeBytes, durationMs } = await rotation.loggingIn(() =>
    runBackup({ ...backupOptions(context, catalog.store, database), slot, catalog }),
  )
  if (existing)
    return log.info({ database, id, slot: slot.toISOString() }, 'another process has made the backup of this slot')
  log.info(
    { database, id, size_bytes: sizeBytes, duration_ms: durationMs, slot: slot.toISOString() },
    'backed up and verified',
  )
  await prune(context, catalog, database)
  await verifyOldest(context, catalog, database)
}

/** A refused or failed prune is told; the backup itself is good. */
async function prune({ loaded, log, signal }: Context, catalog: Catalog, database: string): Promise<void> {
  try {
    await pruneStore(catalog.store, loaded.config.backup, { now: new Date(), database, catalog, log, signal })
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    log.error({ database, ...(error.hint && { hint: error.hint }) }, `after the backup: ${error.message}`)
  }
}

/** Media decay: the backup whose last verification is the oldest is read back, once it is a week old. */
async function verifyOldest({ loaded, log, signal }: Context, catalog: Catalog, database: string): Promise<void> {
  const backups = (await catalog.update(database)).filter(({ problem }) => problem === undefined)
  const verifiedAt = (backup: (typeof backups)[number]) => backup.verification?.at.getTime() ?? 0
  const [oldest] = backups.sort((a, b) => verifiedAt(a) - verifiedAt(b))
  if (!oldest || Date.now() - verifiedAt(oldest) < verifyAgainMs) return
  const { id, ok, problem } = await verifyBackup(catalog.store, oldest, {
    search: { path: loaded.env.PATH },
    log,
    signal,
    now: () => new Date(),
    onNoted: (verification) => catalog.noteVerification(oldest, verification),
  })
  if (ok) log.info({ database, id }, 'an older backup was read back and is good')
  else log.error({ database, id, problem }, 'an older backup is damaged')
}
