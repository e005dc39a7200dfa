import type { Manifest } from '../archive/manifest.ts'
import type { Connection } from '../config/connection.ts'
import { openSession } from '../postgres/connect.ts'
import type { Session } from '../postgres/session.ts'
import type { Tools } from '../programs/pgtools.ts'
import type { Comparison } from './differences.ts'
import type { RestoredInPlace } from './in-place/in-place.ts'
import type { Loading } from './loading.ts'
import type { Missing } from './missing.ts'
import type { RestoreOptions } from './options.ts'
import type { Swapped } from './swap/swap.ts'

export type Restored = {
  manifest: Manifest
  comparison: Comparison
  /** What could not be restored, if it was to keep going. */
  missing: Missing[]
  createdRoles: string[]
  durationMs: number
  /** The only user that may connect, if everything belongs to it. */
  onlyFor: string | undefined
  swapped: Swapped | undefined
  /** What a restore in place did. */
  inPlace: Pick<RestoredInPlace, 'backedUp' | 'held'> | undefined
}

/** A restore that was prepared, and shown to whoever decides. */
export type Work = {
  loading: Loading
  jobs: number
  connection: Connection
  session: Session
  manifest: Manifest
  tools: Tools
  /** Nothing may be loaded before every byte was compared with what was signed. */
  proven: boolean
  /** Call this before the first write. */
  noteChange(): void
}

/** One more session, in which code of the application does not run by itself, where we may choose so. */
export const openFor = (
  connection: Connection,
  database: string,
  { runId, log }: RestoreOptions,
  withoutEventTriggers: boolean,
) => openSession(connection, { database, applicationName: `pgbosun ${runId}`, withoutEventTriggers, log })
