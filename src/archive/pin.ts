import { randomBytes } from 'node:crypto'
import * as z from 'zod'
import { getText, putText } from '../store/pack.ts'
import type { Store } from '../store/store.ts'
import { backupPrefix, objectKey, pinName, pinPattern } from './layout.ts'

type Which = { database: string; id: string }

const schema = z.looseObject({ note: z.string() })

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
export async function removePins(store: Store, which: Which): Promise<number> {
  const pins = await pinsOf(store, which)
  for (const key of pins) await store.delete(key)
  return pins.length
}

/** What people wrote when they pinned the backup. Of a pin that cannot be read, nothing is known but that it is there. */
export async function readPinNotes(store: Store, which: Which): Promise<string[]> {
  const notes: string[] = []
  for (const key of await pinsOf(store, which)) notes.push(noteIn((await getText(store, key)) ?? ''))
  return notes.filter((note) => note !== '')
}

async function pinsOf(store: Store, { database, id }: Which): Promise<string[]> {
  const prefix = backupPrefix(database, id)
  const pins: string[] = []
  for await (const { key } of store.list(prefix)) if (pinPattern.test(key.slice(prefix.length))) pins.push(key)
  return pins
}

function noteIn(text: string): string {
  try {
    return schema.parse(JSON.parse(text), { jitless: true }).note
  } catch {
    return ''
  }
}
