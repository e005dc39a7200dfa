import type { Backup } from '../archive/backup.ts'
import { readBackups } from '../archive/catalog.ts'
import { fromAnyCopy, unreadWarnings } from '../archive/copies.ts'
import { deletedPlace, deletedWarning, withDeleted } from '../archive/deleted.ts'
import { withLease } from '../archive/lease.ts'
import { noteDecrypted } from '../archive/records.ts'
import { type Attempt, retryWhenLost } from '../postgres/retry.ts'
import type { Session } from '../postgres/session.ts'
import { readSystemIdentifier } from '../postgres/system.ts'
import { openWhenReady } from '../postgres/wait.ts'
import type { Store } from '../store/store.ts'
import { carryOut } from './carry-out.ts'
import { chooseFrom } from './chosen.ts'
import type { RestoreOptions } from './options.ts'
import { prepare } from './prepare.ts'
import type { Restored } from './work.ts'

/**
 * Restores a backup into a new database, or in place of an existing one: complete, compared and then published under its name, or not at
 * all. If the connection is lost before the first change, waits and starts over.
 *
 * @throws {AppError} `nobackup`, `corrupt`, `backup` if the store cannot be read, `restore` if it is refused or fails
 */
export async function runRestore(options: RestoreOptions): Promise<Restored> {
  try {
    return await restoreFrom(await foundIn(options), options)
  } catch (error) {
    throw await withDeleted(error, options.store, options.source)
  }
}

/** Where the backup is, and the backups of the database. */
type Place = { store: Store; backups: Backup[] }

/** An id that is not in the store may be that of a backup that was deleted. */
async function foundIn({ store, source, keys, wanted: { id }, out }: RestoreOptions): Promise<Place> {
  const backups = await readBackups(store, source, keys.secrets)
  for (const warning of unreadWarnings(store)) out.warn(warning)
  if (id === undefined || backups.some((backup) => backup.id === id)) return { store, backups }
  const deleted = await deletedPlace(store, source, id)
  if (!deleted) return { store, backups }
  out.warn(deletedWarning(id, deleted.store))
  return { store: deleted.store, backups: [...backups, ...(await readBackups(deleted.store, source, keys.secrets))] }
}

async function restoreFrom({ store, backups }: Place, asked: RestoreOptions): Promise<Restored> {
  const options = { ...asked, store }
  const { connection, wait, lock, runId, command, log, signal } = options
  if (backups.length === 0) chooseFrom(backups, undefined, options)
  const deadline = performance.now() + wait.timeoutMs
  const where = {
    applicationName: `pgbosun ${runId}`,
    command,
    log,
    signal,
    database: lock.database,
    deadline,
    ...wait,
  }
  return retryWhenLost({ deadline, signal, log }, async (attempt) => {
    const session = (await openWhenReady(connection, where))!
    try {
      return await restoreOn(session, attempt, backups, options)
    } finally {
      await session.end()
    }
  })
}

async function restoreOn(
  session: Session,
  attempt: Attempt,
  backups: Backup[],
  options: RestoreOptions,
): Promise<Restored> {
  const { store, out } = options
  const { backup, notes } = chooseFrom(backups, await readSystemIdentifier(session.sql), options)
  for (const note of notes) out.warn(note)
  options.onChosen(backup.id)
  const asking = { ...options, confirm: once(options.confirm) }
  return fromAnyCopy(store, backup, out, () =>
    withLease(store, backup, options, async () => {
      const restored = await carryOut(await prepare(session, attempt, { backup, backups }, asking), options)
      await noteDecrypted(store, restored.manifest, { ...options, secrets: options.keys.secrets })
      return restored
    }),
  )
}

/** Nobody is asked the same twice. */
function once(ask: () => Promise<void>): () => Promise<void> {
  let asked: Promise<void> | undefined
  return () => {
    asked ??= ask()
    return asked
  }
}
