import * as z from 'zod'
import { getText, putText } from '../store/pack.ts'
import type { Store } from '../store/store.ts'
import { slotsKey } from './layout.ts'
import { type SlotsFile, slotStates } from './slot-records.ts'

const instant = z.iso.datetime()

const slotsSchema = z.looseObject({
  schema_version: z.literal(1),
  series: z.array(
    z.looseObject({
      name: z.string(),
      schedule: z.string().optional(),
      system_identifier: z.string().nullable(),
      cron: z.string(),
      timezone: z.string(),
      slots: z.array(
        z.object({
          slot: instant,
          state: z.enum(slotStates),
          id: z.string().nullable(),
          size_bytes: z.number().nullable(),
          duration_ms: z.number().nullable(),
          problem: z.string().nullable(),
        }),
      ),
    }),
  ),
})

/** Without any slot. */
export const noSlots: SlotsFile = { schema_version: 1, series: [] }

/**
 * What `slots.json` of a database says. One that is damaged, or that something else wrote, counts as absent.
 * @returns `problem`: what is wrong with it. `newer`: a newer pgbosun wrote it, so it must not be replaced
 */
export async function readSlots(
  store: Store,
  database: string,
): Promise<{ file: SlotsFile; problem?: string; newer?: boolean }> {
  const text = await getText(store, slotsKey(database))
  if (text === undefined) return { file: noSlots }
  const value = parsed(text)
  const version = (value as { schema_version?: unknown } | null | undefined)?.schema_version
  if (typeof version === 'number' && version > noSlots.schema_version)
    return { file: noSlots, problem: `a newer pgbosun wrote it (version ${version})`, newer: true }
  const { data, error } = slotsSchema.safeParse(value, { jitless: true })
  if (data) return { file: data }
  const [issue] = error.issues
  return { file: noSlots, problem: `${issue?.path.join('.') || 'the document'}: ${issue?.message}` }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Replaces `slots.json` of a database: the only object that ever is. */
export const writeSlots = (store: Store, database: string, file: SlotsFile): Promise<void> =>
  putText(store, slotsKey(database), `${JSON.stringify(file, undefined, 1)}\n`)
