// pure
import { renderBytes } from '../units.ts'
import type { Condition } from './condition-catalogue.ts'

/** A store, and the room in it. */
export type StoreSpace = {
  name: string
  /** Undefined where the store does not know. */
  freeBytes: number | undefined
  /** The sizes of the newest backup of each database. */
  newestBytes: readonly number[]
}

/** How much must be free: the next backup of each database, and for one that has grown, twice the largest. */
export const neededBytes = (newestBytes: readonly number[]): number =>
  Math.max(
    2 * Math.max(0, ...newestBytes),
    newestBytes.reduce((sum, one) => sum + one, 0),
  )

/**
 * That a store has no room for the next backups. Pure.
 * @param before the conditions after the look before, whose instants are kept
 */
export function judgeSpace(stores: readonly StoreSpace[], before: readonly Condition[], now: Date): Condition[] {
  const full = stores.filter(
    ({ freeBytes, newestBytes }) => freeBytes !== undefined && freeBytes < neededBytes(newestBytes),
  )
  const [first] = full
  if (!first) return []
  const others = full.length === 1 ? '' : `; so have ${full.length - 1} more`
  return [
    {
      ...{ name: 'store-full', severity: 'error', roles: [] },
      message: `${first.name} has ${renderBytes(first.freeBytes!)} free, and the next backups need ${renderBytes(neededBytes(first.newestBytes))}${others}`,
      hint: 'make room on that disk, or keep less: `pgbosun backup prune --dry-run` shows what backup.keep would delete',
      since: before.find(({ name }) => name === 'store-full')?.since ?? now.toISOString(),
    },
  ]
}
