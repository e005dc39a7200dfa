import type { Config } from '../config/schema.ts'
import { storeApart } from './apart.ts'
import type { Store } from './store.ts'
import { until } from './until.ts'

/**
 * The store that the configuration names. Nothing is read or written until it is used.
 * @param signal of the run: after it, no call keeps the run from ending
 */
export const openStore = ({ store }: Pick<Config['backup'], 'store'>, signal: AbortSignal): Store =>
  until(storeApart(store), signal)
