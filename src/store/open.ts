import type { Config } from '../config/schema.ts'
import { storeApart } from './apart.ts'
import { localStore } from './local.ts'
import type { Store } from './store.ts'
import { until } from './until.ts'

/**
 * The store that the configuration names. Nothing is read or written until it is used.
 * A process of its own makes the file calls, so that one that never returns keeps nothing; not where memory is very scarce.
 *
 * @param signal of the run: after it, no call keeps the run from ending
 */
export const openStore = ({ store }: Pick<Config['backup'], 'store'>, signal: AbortSignal): Store =>
  until(hasRoom() ? storeApart(store) : localStore(store), signal)

/** A second process takes memory of its own: in a container of 64 MiB, beside `serve` and what is run in it, that is too much. */
const hasRoom = (): boolean => {
  const limit = process.constrainedMemory()
  return limit === 0 || limit >= 128 * 2 ** 20
}
