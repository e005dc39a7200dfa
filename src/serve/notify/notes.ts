import * as z from 'zod'
import { getText, putText } from '../../store/pack.ts'
import type { Store } from '../../store/store.ts'
import type { Told } from './messages.ts'

/** What is noted of a target in the store: `notify/<name>.json`. */
export const notesKey = (target: string) => `notify/${target}.json`

const instant = z.iso.datetime()

const schema = z.looseObject({
  schema_version: z.literal(1),
  told: z.array(
    z.object({
      name: z.string(),
      severity: z.enum(['error', 'warning']),
      database: z.string().nullable(),
      schedule: z.string().nullable(),
      message: z.string(),
      hint: z.string(),
      since: instant,
      at: instant,
    }),
  ),
})

/**
 * What a target was told, as the store has it: nothing where nothing is noted, or what is noted is damaged. What is open is said again then.
 * @throws what the store throws if it cannot be read
 */
export async function readNotes(store: Store, target: string): Promise<Told[]> {
  const text = await getText(store, notesKey(target))
  if (text === undefined) return []
  try {
    return (schema.safeParse(JSON.parse(text), { jitless: true }).data?.told ?? []) as Told[]
  } catch {
    return []
  }
}

/** Notes what a target was told, in place of what was noted before. */
export const writeNotes = (store: Store, target: string, told: readonly Told[]): Promise<void> =>
  putText(store, notesKey(target), `${JSON.stringify({ schema_version: 1, told }, undefined, 1)}\n`)
