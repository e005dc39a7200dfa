import { randomUUID } from 'node:crypto'
import { getText, putText } from '../store/pack.ts'
import type { Store } from '../store/store.ts'
import { markerName } from './layout.ts'

/**
 * Says that the place is a store of ours, before the first backup is written to it: an empty place without it may be one where something
 * is not mounted. It is never replaced. Stores of older versions get theirs with the next backup.
 */
export async function ensureMarker(
  store: Store,
  { toolVersion, now }: { toolVersion: string; now: Date },
): Promise<void> {
  if (await isMarked(store)) return
  const marker = { store: randomUUID(), created_at: now.toISOString(), tool_version: toolVersion }
  await putText(store, markerName, `${JSON.stringify(marker, undefined, 2)}\n`)
}

/** Whether backups of ours were ever made there, as far as this tells: a store of an older version has no marker. */
export const isMarked = async (store: Store): Promise<boolean> => (await getText(store, markerName)) !== undefined
