import type { Manifest } from '../../archive/manifest.ts'
import type { Session } from '../../postgres/session.ts'
import type { Tools } from '../../programs/pgtools.ts'
import type { DumpSource } from '../../restore/source.ts'

/** Where a whole database comes from. */
export type Origin = {
  /** The name of the import in the state. */
  name: 'postgresql' | 'backup'
  /** In words, for messages. */
  what: string
  manifest: Manifest
  /** One line about what comes. */
  summary: string
  /** What the state records of it. */
  record: Record<string, unknown>
  /** Reads it. `compare` is called with the loaded database. */
  read(use: (reading: Reading) => Promise<void>): Promise<void>
}

export type Reading = {
  source: DumpSource
  tools: Tools
  jobs: number
  /** @returns what was compared beyond the number of rows, in words, and how many rows there are */
  compare(session: Session): Promise<{ rows: number; tables: number; said: string }>
}
