import { randomBytes } from 'node:crypto'
import { markerName } from '../archive/layout.ts'
import { AppError } from '../errors.ts'
import { getText, putText } from '../store/pack.ts'
import type { Store } from '../store/store.ts'

/**
 * Refuses two stores that are one place by two names: a link, a mount, another name of a server. A backup there would be there once, and
 * what is removed from one is gone from both.
 *
 * @param stores each with its marker
 * @throws {AppError} `backup`
 */
export async function refuseSamePlace(stores: readonly Store[]): Promise<void> {
  if (stores.length < 2) return
  const seen = new Map<string, Store>()
  for (const store of stores) {
    const marker = await getText(store, markerName).catch(() => undefined)
    if (marker === undefined) continue
    const other = seen.get(marker)
    // one that was filled with a copy of the other's files has its marker, too
    if (other && (await showsIn(other, store))) throw same(other, store)
    seen.set(marker, store)
  }
}

/** Whether what is written to one appears in the other. One that fails shows nothing. */
async function showsIn(one: Store, other: Store): Promise<boolean> {
  const key = `pgbosun-probe-${randomBytes(4).toString('hex')}`
  try {
    await putText(one, key, 'pgbosun')
    return (await getText(other, key)) !== undefined
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    return false
  } finally {
    await one.delete(key).catch(() => {})
  }
}

const same = (one: Store, other: Store) =>
  new AppError('backup', `${one.name} and ${other.name} are the same place`, {
    hint: 'name it once in `backup.stores`, or mount the other store where it should be',
  })
