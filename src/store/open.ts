import type { Config } from '../config/schema.ts'
import { localStore } from './local.ts'
import type { Store } from './store.ts'

/** The store that the configuration names. Nothing is read or written until it is used. */
export const openStore = ({ store }: Pick<Config['backup'], 'store'>): Store => localStore(store)
