import { randomUUID } from 'node:crypto'
import * as z from 'zod'
import { getText } from '../store/pack.ts'
import type { Store } from '../store/store.ts'
import { slotClaimKey, slotClaimsPrefix } from './layout.ts'
import type { Series } from './manifest.ts'

/** Who claims a slot. */
export type Claimant = {
  /** The backup lock that the claimant holds, by the address it was taken at: of two claimants with one lock one is gone. */
  lock: string
  /** The same lock, whatever the address: which server it is, since when it runs, and the lock database. Undefined if it does not tell. */
  server?: string | undefined
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

const claimSchema = z.looseObject({
  claim: z.string(),
  lock: z.string(),
  server: z.string().optional(),
  expires_at: z.iso.datetime(),
})
type Stated = { claim: string; lock: string; server: string | undefined; until: Date }

/** Clocks differ, and so do time limits. A claim for longer than that is of a clock that is wrong, or of nobody who makes backups. */
const mostAheadMs = 86_400_000

/** So often a number is tried where an object is refused although none can be read, and so often in all: some servers count deleted ones. */
const [mostUnseen, mostUnseenInAll] = [3, 30]

/** More have never claimed one slot after the other and all gone away. */
const mostClaims = 1000

/**
 * Claims a slot in a store whose server refuses to create an object twice. A claim that has expired, cannot be understood or is for days,
 * or whose claimant had the lock that we hold now, is followed by the next number: nothing is replaced, so of several who find that, one
 * comes first.
 */
export async function claimSlot(
  store: Store,
  { series, slot }: { series: Series; slot: Date },
  claimant: Claimant,
): Promise<Claim> {
  if (!store.create) return undefined
  const { lock, server, now, lastsMs } = claimant
  const until = new Date(now.getTime() + lastsMs)
  const id = randomUUID()
  const claim = { claim: id, lock, server, claimed_at: now.toISOString(), expires_at: until.toISOString() }
  const text = `${JSON.stringify(claim, undefined, 2)}\n`
  let unseen = 0
  for (let number = 0; number < mostClaims; ) {
    const key = slotClaimKey(series, slot, number)
    const created = await store.create(key, text)
    if (created === undefined) return undefined
    const found = await getText(store, key)
    const other = found === undefined ? undefined : parsed(found)
    // some servers look first and write then, so that two may be told that theirs was created
    if (other?.claim === id) return { of: 'us', release: (at) => release(store, key, at < until) }
    if (found === undefined) {
      if (++unseen === mostUnseenInAll) return undefined
      // given back just now, perhaps
      if (unseen % mostUnseen !== 0) continue
    }
    if (other && isAnothers(other, claimant)) return { of: 'other', lock: other.lock, until: other.until }
    number++
  }
  return undefined
}

function isAnothers({ lock, server, until }: Stated, ours: Claimant): boolean {
  const leftMs = until.getTime() - ours.now.getTime()
  const isOurLock = lock === ours.lock || (server !== undefined && server === ours.server)
  return !isOurLock && leftMs > 0 && leftMs <= ours.lastsMs + mostAheadMs
}

/**
 * Gives back a claim, with those that it has followed, the first of them first. Where somebody else has followed, who has the lock or waited
 * until it was over, it stays: without it, a third would come first again.
 */
async function release(store: Store, key: string, isLasting: boolean): Promise<void> {
  if (!isLasting) return
  const numbers = new Map<number, string>()
  for await (const { key: other } of store.list(key.slice(0, key.lastIndexOf('/') + 1)))
    numbers.set(numberOf(other, key), other)
  numbers.delete(-1)
  const own = numberOf(key, key)
  if (Math.max(...numbers.keys()) > own) return
  for (const number of [...numbers.keys()].sort((a, b) => a - b)) await store.delete(numbers.get(number)!)
}

/** Of another claim of the same slot; -1 if it is none. */
function numberOf(key: string, like: string): number {
  const [slot, number = '0'] = key.slice(key.lastIndexOf('/') + 1).split('.')
  return slot === like.slice(like.lastIndexOf('/') + 1).split('.')[0] ? Number(number) : -1
}

function parsed(text: string): Stated | undefined {
  try {
    const { claim, lock, server, expires_at } = claimSchema.parse(JSON.parse(text), { jitless: true })
    return { claim, lock, server, until: new Date(expires_at) }
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
