import type { Catalog } from '../archive/catalog-type.ts'
import type { Counts, Globals, Manifest } from '../archive/manifest.ts'
import type { Connection } from '../config/connection.ts'
import type { Secrets } from '../config/keys.ts'
import type { Log } from '../log.ts'
import type { ToolSearch } from '../programs/pgtools.ts'
import type { Store } from '../store/store.ts'
import type { Exclude } from './left-out.ts'
import type { PrunePolicy } from './prune-candidates.ts'
import type { TablesProgress } from './tables.ts'

/** Everything a backup needs to know. It reads neither the environment nor the configuration. */
export type BackupOptions = {
  /** Server and user for the backup; the database is in `database`. */
  connection: Connection
  database: string
  /** The connection of the target database, if `connection` is another one, which may then lead to a standby of its server. */
  primary?: Connection | undefined
  /** `backup.maxLag`: how far that standby may be behind. */
  maxLagMs?: number | undefined
  /** Or several taken together: it is written to each of them. */
  store: Store
  /** What this process knows of the store; listed again here, once, under the lock. */
  catalog?: Catalog | undefined
  /** `backup.name`. */
  name: string
  /** The schedule whose series it joins, of `backup.schedules`; none: the only one. */
  schedule?: string | undefined
  /** `environment` of the configuration. */
  environment?: string | undefined
  /** `logical`, or the last state of a database before a restore replaces it: then it is pinned. */
  kind?: Manifest['series']['kind'] | undefined
  /** The system identifier that the server must have, if only one will do. */
  systemIdentifier?: string | undefined
  /** What `keep` says, for when the store is short of space. */
  retention: Omit<PrunePolicy, 'name'>
  /** What is said for each of several stores instead, in their order. */
  keepIn?: readonly (PrunePolicy['keep'] | undefined)[] | undefined
  /** Whether it goes to each of several stores, in their order; default: to all. Not said of what is made before a restore. */
  goesTo?: readonly boolean[] | undefined
  /** For whom it is encrypted; nobody: it is not. */
  recipients: readonly string[]
  /** `backup.globals`: whether it has the passwords of roles. */
  globals: Globals
  /** Where backups are signed: the first signs, each is accepted. */
  secrets: Secrets
  /** The scheduled instant that it is made for; null if a person started it. */
  slot: Date | null
  lock: { database: string; timeoutMs: number }
  wait: { timeoutMs: number; patient: boolean }
  /** `backup.exclude`. What a restore is about to replace is backed up whole, whatever this says. */
  exclude?: Exclude | undefined
  /** `backup.counts`: which tables' rows are counted. */
  counts: Counts
  /** Time limit of the backup, from when it has the lock. */
  timeoutMs: number
  /** Where to look for the client programs. */
  search: ToolSearch
  /** Full name of the command. */
  command: string
  runId: string
  toolVersion: string
  log: Log
  signal: AbortSignal
  now(): Date
  /** Called while it has the lock, when the backup is there. What it throws is only logged. */
  onStored?: (() => Promise<void>) | undefined
  /** Called with the bytes of the dump so far, an estimate of the total, and where pg_dump is, if that is known. */
  onProgress?: ((done: number, total: number, tables?: TablesProgress) => void) | undefined
  /** Called with the user if the backup is made as a superuser. */
  onSuperuser?: ((user: string) => void) | undefined
  /** Called if the store is on the same device as the server's data, with that in words. */
  onBeside?: ((problem: string) => void) | undefined
}
