import type { Store } from '../store/store.ts'
import type { Backup } from './backup.ts'

/** What several stores lack. */
export type Lacking = {
  /** Names of those that could be listed and do not have the newest backup that goes there. */
  stores: readonly string[]
  /** Those that could not be listed, and why. */
  unread: readonly { store: string; problem: string }[]
}

/**
 * What several stores lack, after they were listed; undefined for a single one.
 * @param newestFor the newest good backup, in any of them, of those that go to the store with that index
 */
export function lacking(
  { several }: Store,
  newestFor: (index: number) => Pick<Backup, 'stores'> | undefined,
): Lacking | undefined {
  if (!several) return undefined
  const { stores, unread } = several
  return {
    stores: stores
      .filter((store, i) => {
        const newest = newestFor(i)
        return newest !== undefined && !unread.has(store) && !newest.stores?.includes(store.name)
      })
      .map(({ name }) => name),
    unread: stores.flatMap((store) => {
      const error = unread.get(store)
      return error ? [{ store: store.name, problem: error.message }] : []
    }),
  }
}
