import { randomUUID } from 'node:crypto'
import * as z from 'zod'
import { getText } from '../store/pack.ts'
import type { Store } from '../store/store.ts'
import { slotClaimKey, slotClaimsPrefix } from './layout.ts'
import type { Series } from './manifest.ts'

/** Who claims a slot. */
export type Claimant = {
  /** The backup lock that the claimant holds: server and lock database, so that of two claimants with one lock one is gone. */
  lock: string
  now: Date
  /** After so long, nobody believes it any more. */
  lastsMs: number
}

/**
 * What came of a claim: it is ours, until it is given back; somebody else has claimed the slot until then; or the store does not tell, as
 * its server takes a second claim like the first.
 */
export type Claim =
  | { of: 'us'; release(now: Date): Promise<void> }
  | { of: 'other'; lock: string; until: Date }
  | undefined

const claimSchema = z.looseObject({ claim: z.string(), lock: z.string(), expires_at: z.iso.datetime() })

/** More have never claimed one slot after the other and all gone away. */
const mostClaims = 1000

/**
 * Claims a slot in a store whose server refuses to create an object twice. A claim that has expired, or whose claimant had the lock that we
 * hold now, is followed by the next number: nothing is replaced, so of several who find that, one comes first.
 */
export async function claimSlot(
  store: Store,
  { series, slot }: { series: Series; slot: Date },
  { lock, now, lastsMs }: Claimant,
): Promise<Claim> {
  if (!store.create) return undefined
  const until = new Date(now.getTime() + lastsMs)
  const claim = { claim: randomUUID(), lock, claimed_at: now.toISOString(), expires_at: until.toISOString() }
  const text = `${JSON.stringify(claim, undefined, 2)}\n`
  for (let number = 0; number < mostClaims; ) {
    const key = slotClaimKey(series, slot, number)
    const created = await store.create(key, text)
    if (created === undefined) return undefined
    if (created) return { of: 'us', release: async (at) => (at < until ? store.delete(key) : undefined) }
    const found = await getText(store, key)
    // given back just now
    if (found === undefined) continue
    const other = parsed(found)
    if (other && other.lock !== lock && other.until > now) return { of: 'other', ...other }
    number++
  }
  return undefined
}

function parsed(text: string): { lock: string; until: Date } | undefined {
  try {
    const { lock, expires_at } = claimSchema.parse(JSON.parse(text), { jitless: true })
    return { lock, until: new Date(expires_at) }
  } catch {
    return undefined
  }
}

/** Removes the claims of earlier slots of a series: nobody makes a backup for them any more. */
export async function removeEarlierClaims(store: Store, series: Series, slot: Date): Promise<void> {
  if (!store.create) return
  const first = slotClaimKey(series, slot, 0)
  const earlier: string[] = []
  for await (const { key } of store.list(slotClaimsPrefix(series))) if (key < first) earlier.push(key)
  for (const key of earlier) await store.delete(key)
}
