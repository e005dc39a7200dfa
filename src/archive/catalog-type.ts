import type { Store } from '../store/store.ts'
import type { Backup } from './backup.ts'
import type { Manifest } from './manifest.ts'
import type { RestoreTest } from './restore-test.ts'
import type { Verification } from './verification.ts'

/**
 * What is known of the backups of a store, for whoever looks more than once. Everything is known from listings: what they show
 * as new or changed is read, once; a manifest never changes, so it is read once.
 */
export type Catalog = {
  store: Store
  /** Lists everything of the database, once, and reads what is new or changed. Sees what other processes have done until then. */
  update(database: string): Promise<Backup[]>
  /**
   * The same for a look every minute. Of many backups it lists the names alone, and what is in those that are new, unfinished or the
   * newest; all of it again every ten minutes.
   */
  glance(database: string): Promise<Backup[]>
  /** The same as `update`, but lists only what was listed more than a minute ago. */
  recent(database: string): Promise<Backup[]>
  /** As it was listed last, with what this process has done since then. Oldest first; asks nobody. */
  known(database: string): Backup[]
  /** Folders that looked like backups and had no manifest when they were listed last: being written just then, or left behind. */
  unfinished(database: string): string[]
  /** A backup was made by this process. */
  noteMade(manifest: Manifest): void
  /** Call this when this process has verified a backup. */
  noteVerification(backup: Pick<Backup, 'database' | 'id'>, verification: Verification): void
  /** Call this when this process has restored a backup for a test. */
  noteRestoreTest(backup: Pick<Backup, 'database' | 'id'>, test: RestoreTest): void
  /** Removes a backup, and what was listed of it, without listing it again. */
  remove(backup: Pick<Backup, 'database' | 'id'>): Promise<void>
  /** Those of each store, where it is of several. */
  parts?: readonly Catalog[]
}

/** The catalogs of each store. */
export const partsOf = (catalog: Catalog): readonly Catalog[] => catalog.parts ?? [catalog]
