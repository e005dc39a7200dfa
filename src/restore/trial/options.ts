import type { Backup } from '../../archive/backup.ts'
import type { RestoreTest, RestoreTestDetails } from '../../archive/restore-test.ts'
import type { Connection } from '../../config/connection.ts'
import type { Keys } from '../../config/keys.ts'
import type { Log } from '../../log.ts'
import type { Warning } from '../../plan.ts'
import type { Store } from '../../store/store.ts'
import type { Compared } from './compare.ts'

/** Everything a test restore needs to know. It reads neither the environment nor the configuration. */
export type TrialOptions = {
  backup: Pick<Backup, 'id' | 'database'>
  store: Store
  /** What opens backups that are encrypted. */
  keys: Keys
  /** The server to restore on. */
  connection: Connection
  where: 'url' | 'same-server'
  maxBytes: number
  lock: { database: string; timeoutMs: number }
  wait: { timeoutMs: number; patient: boolean }
  /** Time limit, from when it has the lock. */
  timeoutMs: number
  search: { path: string | undefined }
  /** What it is made for, in messages. Default: `test restore`. */
  what?: string
  /** Works in the restored database, once it has been compared and before it is dropped. Its errors are thrown as they are. */
  use?: ((copy: RestoredCopy) => Promise<void>) | undefined
  runId: string
  command: string
  warn(warning: Warning): void
  onProgress(done: number, total: number): void
  now(): Date
  log: Log
  signal: AbortSignal
}

/** A restored database that is going to be dropped. */
export type RestoredCopy = {
  /** The login that loaded it and owns everything in it, in that database. It has no rights that code in the backup must not get. */
  connection: Connection
  /** In words: `127.0.0.1:5432, PostgreSQL 18.1`. */
  server: string
  durationMs: number
  compared: Compared
  /** In words. */
  leftOut: string[]
  /** What the backup itself lacks, in words. */
  partial: string | undefined
  signal: AbortSignal
}

/** `damaged`: its stored bytes are not what was written. */
export type Tried = { test: RestoreTest; details: RestoreTestDetails | undefined; damaged: boolean }
