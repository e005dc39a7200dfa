import type { Catalog } from '../archive/catalog.ts'
import type { Connection } from '../config/connection.ts'
import type { Log } from '../log.ts'
import type { ToolSearch } from '../programs/pgtools.ts'
import type { Store } from '../store/store.ts'

/** Everything a backup needs to know; nothing of it is taken from the environment or the configuration. */
export type BackupOptions = {
  /** As whom to back up, and where; which database is said by `database`. */
  connection: Connection
  database: string
  store: Store
  /** What this process knows of the store; listed again here, once, under the lock. */
  catalog?: Catalog | undefined
  /** `backup.name`. */
  name: string
  /** The scheduled instant it is made for; null when a person asked for it. */
  slot: Date | null
  lock: { database: string; timeoutMs: number }
  wait: { timeoutMs: number; patient: boolean }
  /** The backup, once it has the lock, is given up after this. */
  timeoutMs: number
  /** Where the client programs may be. */
  search: ToolSearch
  runId: string
  toolVersion: string
  log: Log
  signal: AbortSignal
  now(): Date
  /** Bytes of the dump so far, and about how many there will be. */
  onProgress?: ((done: number, total: number) => void) | undefined
  /** Hears that it is made as a superuser, and as which. */
  onSuperuser?: ((user: string) => void) | undefined
}
