import type { Loaded } from '../config/load.ts'
import { storesOf } from '../config/stores.ts'
import { openPlace } from '../store/open.ts'
import type { Store } from '../store/store.ts'
import { severalStores } from './several.ts'

/**
 * The store that the configuration names, or several taken together. Nothing is read or written until it is used.
 *
 * @param signal of the run: after it, no call keeps the run from ending
 * @throws {AppError} `usage` when a file or a variable that is named for a store cannot be read
 */
export function openStore(loaded: Pick<Loaded, 'config' | 'env' | 'baseDir'>, signal: AbortSignal): Store {
  const stores = storesOf(loaded.config.backup).map((place) => openPlace(place, loaded, signal))
  return stores.length === 1 ? stores[0]! : severalStores(stores)
}
