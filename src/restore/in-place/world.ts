import type { Connection } from '../../config/connection.ts'
import type { RestoreWorld } from '../apply.ts'
import type { TransactionLoad } from './load.ts'

/** What a restore in place works with. */
export type InPlaceWorld = Pick<
  RestoreWorld,
  'lock' | 'rights' | 'connect' | 'log' | 'warn' | 'signal' | 'onPublished' | 'run'
> & {
  connection: Connection
  applicationName: string
  /** Backs up the present state, and returns the id of the backup; undefined if a person goes without. */
  backUp: (() => Promise<string>) | undefined
  /** Logical slots to drop afterwards. */
  slots: string[]
  /** Tablespaces in which the login creates something. */
  load: Pick<TransactionLoad, 'plan' | 'head' | 'tools' | 'noTablespaces' | 'onBytes'> & {
    dump(): AsyncIterable<Buffer>
  }
  /** How long to wait for locks in all. */
  lockTimeoutMs: number
  now(): Date
  validMs: number
}

/** The sessions of the transaction, and what {@link InPlaceWorld} has. */
export type TransactionWorld = Omit<InPlaceWorld, 'load'> & {
  load: InPlaceWorld['load'] & Pick<TransactionLoad, 'session' | 'ours' | 'login'>
  /** Called when the transaction was rolled back, before it is tried again. */
  beforeAgain(): Promise<unknown>
}
