import * as z from 'zod'
import { getText, putText } from '../store/pack.ts'
import type { Store } from '../store/store.ts'
import { objectKey, verifiedName } from './layout.ts'

/** Result of the last verification of a backup, which reads all its bytes. */
export type Verification = { at: Date; ok: boolean; problem: string | null }

const verificationSchema = z.looseObject({
  verified_at: z.iso.datetime(),
  ok: z.boolean(),
  problem: z.string().nullable(),
})

/** What the newest run after the backup found; undefined where there was none, or its record cannot be read. */
export async function readLaterVerification(store: Store, { database, id }: Which) {
  const text = await getText(store, objectKey(database, id, verifiedName))
  return text === undefined ? undefined : parseVerification(text)
}

/** The later of two. */
export const later = (one: Verification | undefined, other: Verification | undefined) =>
  other && (!one || other.at >= one.at) ? other : one

function parseVerification(text: string): Verification | undefined {
  try {
    const { data } = verificationSchema.safeParse(JSON.parse(text), { jitless: true })
    return data && { at: new Date(data.verified_at), ok: data.ok, problem: data.problem }
  } catch {
    return undefined
  }
}

/** A backup, wherever it is listed. */
type Which = { database: string; id: string }

/** Writes the result of a verification next to the backup, which itself is never changed. */
export async function recordVerification(
  store: Store,
  { database, id }: Which,
  { at, ok, problem }: Verification,
): Promise<void> {
  const record = { id, level: 'decode', ok, problem, verified_at: at.toISOString() }
  await putText(store, objectKey(database, id, verifiedName), `${JSON.stringify(record, undefined, 2)}\n`)
}
