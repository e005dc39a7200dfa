import { randomBytes } from 'node:crypto'
import { putText } from '../store/pack.ts'
import type { Store } from '../store/store.ts'
import { backupPrefix, objectKey, pinName, pinPattern } from './layout.ts'

type Which = { database: string; id: string }

/** Keeps a backup from being pruned until all its pins are removed. @param note why, for people */
export const writePin = (
  store: Store,
  { database, id }: Which,
  { note, at }: { note: string; at: Date },
): Promise<void> =>
  putText(
    store,
    objectKey(database, id, pinName(randomBytes(4).toString('hex'))),
    `${JSON.stringify({ pinned_at: at.toISOString(), note }, undefined, 2)}\n`,
  )

/** Removes all pins of a backup, and returns how many there were. */
export async function removePins(store: Store, { database, id }: Which): Promise<number> {
  const prefix = backupPrefix(database, id)
  const pins: string[] = []
  for await (const { key } of store.list(prefix)) if (pinPattern.test(key.slice(prefix.length))) pins.push(key)
  for (const key of pins) await store.delete(key)
  return pins.length
}
