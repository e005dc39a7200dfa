import { randomBytes } from 'node:crypto'
import * as z from 'zod'
import { inEach } from '../store/in-each.ts'
import { getText, putText } from '../store/pack.ts'
import type { Store } from '../store/store.ts'
import { backupPrefix, objectKey, pinName, pinPattern } from './layout.ts'
import { havingOf } from './several.ts'

type Which = { database: string; id: string }

const schema = z.looseObject({ note: z.string() })

/** Keeps a backup from being pruned until all its pins are removed. @param note why, for people */
export const writePin = (store: Store, which: Which, { note, at }: { note: string; at: Date }): Promise<void> => {
  const key = objectKey(which.database, which.id, pinName(randomBytes(4).toString('hex')))
  const text = `${JSON.stringify({ pinned_at: at.toISOString(), note }, undefined, 2)}\n`
  // what one store refuses is done in the others all the same
  return inEach(havingOf(store, which), (one) => putText(one, key, text)).then(() => {})
}

/** Removes all pins of a backup, in every store that has it, and returns how many there were. */
export async function removePins(store: Store, which: Which): Promise<number> {
  const pins = new Set<string>()
  await inEach(havingOf(store, which), async (one) => {
    for (const key of await pinsOf(one, which)) {
      await one.delete(key)
      pins.add(key)
    }
  })
  return pins.size
}

/** What people wrote when they pinned the backup. Of a pin that cannot be read, nothing is known but that it is there. */
export async function readPinNotes(store: Store, which: Which): Promise<string[]> {
  const notes: string[] = []
  for (const one of havingOf(store, which))
    for (const key of await pinsOf(one, which)) notes.push(noteIn((await getText(one, key)) ?? ''))
  return [...new Set(notes)].filter((note) => note !== '')
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
