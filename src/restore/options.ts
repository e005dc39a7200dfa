import type { Connection } from '../config/connection.ts'
import type { Keys } from '../config/keys.ts'
import type { Log } from '../log.ts'
import type { Warning } from '../plan.ts'
import type { Store } from '../store/store.ts'
import type { Wanted as Part } from './select.ts'
import type { Allowed } from './swap/refusals.ts'

/** Which backup to restore, and into what. */
export type WantedRestore = {
  /** Undefined: the newest that matches. */
  id: string | undefined
  /** Name of the new database, or of the one to replace. */
  into: string
  /** Take the newest backup started at or before this instant. */
  at: Date | undefined
  /** System identifier of the server it was made on. */
  cluster: string | undefined
  noOwner: boolean
  noTablespaces: boolean
  asSuperuser: boolean
  /** It replaces the database `into`; undefined: that must not exist yet. */
  swap: (Allowed & { backupFirst: boolean }) | undefined
  /** Its contents are replaced in one transaction; `swap` says what else is allowed. */
  inPlace: boolean
  /** Load what can be loaded. */
  keepGoing: boolean
  /** Create the roles that are missing. */
  createRoles: boolean
  /** How many connections load it; undefined: as many as are useful. */
  jobs: number | undefined
  /** Load only these. */
  part: Part
}

/** Everything a restore needs to know. It reads neither the environment nor the configuration. */
export type RestoreOptions = {
  wanted: WantedRestore
  /** The server to restore to. */
  connection: Connection
  /** Name of the database that was backed up. */
  source: string
  store: Store
  /** What opens backups that are encrypted. */
  keys: Keys
  /** `backup.name`, the name of the series. */
  name: string
  lock: { database: string; timeoutMs: number }
  wait: { timeoutMs: number; patient: boolean }
  /** Where pg_restore is looked for. */
  search: { path: string | undefined }
  runId: string
  /** For the audit trail. */
  command: string
  out: { print(line: string): void; warn(warning: Warning): void }
  /** Asks for confirmation before the first change; rejects if it is not given. */
  confirm(): Promise<void>
  /** Backs up the database that will be replaced, and returns the id of the backup. */
  backUp(systemIdentifier: string | undefined): Promise<string>
  onChosen(id: string): void
  /** Called when everybody can see the restored database. */
  onPublished(): void
  /** Called with the bytes of the dump read so far, and their total. */
  onProgress(done: number, total: number): void
  now(): Date
  log: Log
  signal: AbortSignal
}
