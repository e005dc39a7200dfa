import { Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import type { Store } from '../store/store.ts'
import { type Claimant, claimSlot } from './slot-claims.ts'

const series = { name: 'default', system_identifier: '7', database: 'shop', kind: 'logical' as const }
const slot = new Date('2026-11-29T03:00:00Z')
const now = new Date('2026-11-29T03:00:01Z')
const hours = (count: number) => new Date(now.getTime() + count * 3_600_000)
const first = 'shop/slots/default-7/20261129T030000Z'

/** A store that refuses a second object. `refuses` are keys that it refuses although it shows nothing there; `over` is written after an object. */
function memory(
  objects: Record<string, string> = {},
  { refuses = () => false, over }: { refuses?: (key: string) => boolean; over?: string } = {},
) {
  const kept = new Map(Object.entries(objects))
  let creations = 0
  const store = {
    async create(key: string, text: string) {
      creations++
      if (refuses(key) || kept.has(key)) return false
      kept.set(key, over ?? text)
      return true
    },
    async read(key: string) {
      const text = kept.get(key)
      if (text === undefined) throw Object.assign(new Error('no such key'), { code: 'ENOENT' })
      return Readable.from([Buffer.from(text)])
    },
    async *list(prefix: string) {
      for (const key of [...kept.keys()].sort())
        if (key.startsWith(prefix)) yield { key, sizeBytes: 1, modifiedAt: now }
    },
    delete: async (key: string) => void kept.delete(key),
  } as Pick<Store, 'create' | 'read' | 'list' | 'delete'> as Store
  const claim = (lock: string, more: Partial<Claimant> = {}) =>
    claimSlot(store, { series, slot }, { lock, now, lastsMs: 6 * 3_600_000, ...more })
  return { claim, keys: () => [...kept.keys()].sort(), creations: () => creations }
}

const claimOf = (expiresAt: Date, more: object = {}) =>
  JSON.stringify({ claim: 'x', lock: 'other', expires_at: expiresAt.toISOString(), ...more })

describe('the claim of a slot', () => {
  test('of a process that is gone is free for the one with its lock, by another address too', async () => {
    const { claim } = memory()
    const server = '1764471600.123456/postgres'
    expect(await claim('old-pod:127.0.0.1:5432/postgres', { server })).toMatchObject({ of: 'us' })
    expect(await claim('other-pod:127.0.0.1:5432/postgres')).toMatchObject({ of: 'other' })
    expect(await claim('copy:127.0.0.1:5432/postgres', { server: '1764471601.5/postgres' })).toMatchObject({
      of: 'other',
    })
    expect(await claim('new-pod:127.0.0.1:5432/postgres', { server })).toMatchObject({ of: 'us' })
  })

  test.for([
    ['a clock that is an hour behind', claimOf(hours(7)), 'other'],
    ['a longer time limit', claimOf(hours(25)), 'other'],
    ['a clock that is years ahead', claimOf(new Date('2099-01-01T00:00:00Z')), 'us'],
    ['an end that is over', claimOf(hours(-1)), 'us'],
    ['no text of ours', '{ half', 'us'],
    ['nothing in it', '', 'us'],
    ['an end that is no instant', '{"claim":"x","lock":"other","expires_at":"never"}', 'us'],
    ['a lock that is no text', claimOf(hours(1), { lock: 7 }), 'us'],
  ] as const)('with %s', async ([, text, of]) => {
    expect(await memory({ [first]: text }).claim('ours')).toMatchObject({ of })
  })

  test('that is refused although there is none is not tried for ever', async () => {
    // as where the marker of a deletion counts as an object
    const { claim, keys } = memory({}, { refuses: (key) => key === first })
    expect(await claim('ours')).toMatchObject({ of: 'us' })
    expect(keys()).toEqual([`${first}.1`])
    const never = memory({}, { refuses: () => true })
    expect(await never.claim('ours')).toBe(undefined)
    expect(never.creations()).toBeLessThanOrEqual(30)
  })

  test('is that of whoever wrote last, where the server let two of them', async () => {
    expect(await memory({}, { over: claimOf(hours(1)) }).claim('ours')).toMatchObject({ of: 'other', lock: 'other' })
  })

  test('is given back only where nobody has followed', async () => {
    const { claim, keys } = memory()
    const before = await claim('ours')
    // the lock was lost, and somebody else has it
    const next = await claim('ours')
    if (before?.of === 'us') await before.release(now)
    expect(await claim('third')).toMatchObject({ of: 'other' })
    if (next?.of === 'us') await next.release(now)
    expect(keys()).toEqual([])
    expect(await claim('third')).toMatchObject({ of: 'us' })
  })
})
