import { randomBytes } from 'node:crypto'
import * as z from 'zod'
import type { Log } from '../log.ts'
import { getText, putText } from '../store/pack.ts'
import type { Store } from '../store/store.ts'
import { backupPrefix, leaseName, leasePattern, objectKey, pinPattern } from './layout.ts'

type Which = { database: string; id: string }

/** A lease is renewed long before it ends; that of a killed process ends by itself. */
const lastsMs = 3_600_000
const renewedAfterMs = lastsMs / 3

const schema = z.looseObject({ expires_at: z.iso.datetime() })

/**
 * Keeps a backup from being pruned while `use` reads it. A store that cannot be written to forbids nothing: it is said, and the work goes on.
 */
export async function withLease<T>(
  store: Store,
  which: Which,
  { now, log }: { now(): Date; log: Log },
  use: () => Promise<T>,
): Promise<T> {
  let held: string | undefined
  const renew = async () => {
    const before = held
    held = await writeLease(store, which, new Date(now().getTime() + lastsMs))
    if (before !== undefined) await store.delete(before)
  }
  const unprotected = (error: Error) =>
    log.warn({ backup: which.id, problem: error.message }, 'this backup is not protected from being pruned meanwhile')
  await renew().catch(unprotected)
  const timer = setInterval(() => void renew().catch(unprotected), renewedAfterMs)
  timer.unref()
  try {
    return await use()
  } finally {
    clearInterval(timer)
    if (held !== undefined)
      await store
        .delete(held)
        .catch((error: Error) => log.warn({ object: held, problem: error.message }, 'this lease stays until it ends'))
  }
}

async function writeLease(store: Store, { database, id }: Which, expiresAt: Date): Promise<string> {
  const key = objectKey(database, id, leaseName(randomBytes(4).toString('hex')))
  await putText(store, key, `${JSON.stringify({ expires_at: expiresAt.toISOString() }, undefined, 2)}\n`)
  return key
}

/** How many leases on a backup have not ended. */
export async function leasesHeld(store: Store, which: Which, now: Date): Promise<number> {
  let held = 0
  for (const { name } of await objectsIn(store, which))
    if (leasePattern.test(name) && (await isLeased(store, which, [name], now))) held++
  return held
}

/** Whether one of these leases has not ended. One that cannot be understood never ends. */
export async function isLeased(store: Store, { database, id }: Which, names: string[], now: Date): Promise<boolean> {
  for (const name of names) {
    const text = await getText(store, objectKey(database, id, name))
    if (text !== undefined && endOf(text) > now.getTime()) return true
  }
  return false
}

/**
 * Why a backup must not be deleted just now, in words: a look of its own, for whoever is about to delete it. What was known of it may
 * be older than a pin, and the clock of whoever reads it another one than ours.
 */
export async function keptNow(store: Store, which: Which, now: Date): Promise<string | undefined> {
  const objects = await objectsIn(store, which)
  if (objects.some(({ name }) => pinPattern.test(name))) return 'pinned'
  const leases = objects.filter(({ name }) => leasePattern.test(name))
  const names = leases.map(({ name }) => name)
  const isHeld =
    leases.length > 0 && ((await isLeased(store, which, names, now)) || (await isYoung(store, which, names)))
  return isHeld ? 'being restored' : undefined
}

/** Whether one of these leases was written lately by the clock of the store, which everybody shares. */
async function isYoung(store: Store, which: Which, names: string[]): Promise<boolean> {
  const own = await writeLease(store, which, new Date(0))
  try {
    const found = await objectsIn(store, which)
    const writtenAt = (name: string) => found.find((one) => one.name === name)?.modifiedAt.getTime()
    const present = writtenAt(nameIn(own, which)) ?? 0
    return names.some((name) => present - (writtenAt(name) ?? 0) < lastsMs)
  } finally {
    await store.delete(own)
  }
}

const nameIn = (key: string, { database, id }: Which) => key.slice(backupPrefix(database, id).length)

async function objectsIn(store: Store, which: Which): Promise<{ name: string; modifiedAt: Date }[]> {
  const found: { name: string; modifiedAt: Date }[] = []
  for await (const { key, modifiedAt } of store.list(backupPrefix(which.database, which.id)))
    found.push({ name: nameIn(key, which), modifiedAt })
  return found
}

function endOf(text: string): number {
  try {
    return Date.parse(schema.parse(JSON.parse(text), { jitless: true }).expires_at)
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
