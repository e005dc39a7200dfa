import { describe, expect, test } from 'vitest'
import { isSameServer, nearlyFull, refuseTrial, type TrialPlace, type Tried, type Volume } from './place.ts'

const gb = 1_000_000_000
const manifest: Tried = {
  id: '20261129T050000Z-0123abcd',
  extensions: [{ name: 'pg_trgm', version: '1.6' }],
  series: { system_identifier: '7' },
  database: { name: 'shop', size_bytes: 10 * gb },
}
const plain = { user: 'verify', superuser: false, mayCreateRole: false, more: [] }
const superuser = { user: 'postgres', superuser: true, mayCreateRole: true, more: ['is a superuser'] }
const volume: Volume = { path: '/data', freeBytes: 50 * gb, totalBytes: 100 * gb, neededBytes: 22 * gb }
const elsewhere: TrialPlace = { where: 'url', own: '8', rights: superuser, maxBytes: 20 * gb, room: undefined }
const here: TrialPlace = {
  ...{ where: 'same-server', own: '7', rights: plain, maxBytes: 20 * gb },
  room: { volumes: [volume] },
}

describe('a test restore', () => {
  test('may run on another server, even as a superuser: a login without rights loads it', () => {
    expect(refuseTrial(manifest, elsewhere)).toBeUndefined()
    expect(refuseTrial(manifest, { ...elsewhere, rights: plain })).toBeUndefined()
  })

  test('may run on the same server as a user that has nothing to lose, with enough space', () => {
    expect(refuseTrial(manifest, here)).toBeUndefined()
  })

  test.each<[string, Partial<Tried>, TrialPlace, string, string]>([
    [
      'of a larger database',
      {},
      { ...elsewhere, maxBytes: gb },
      'restore',
      'has 10 GB, more than backup.verify.maxBytes (1 GB)',
    ],
    [
      'of an extension that acts',
      { extensions: [{ name: 'timescaledb', version: '2' }] },
      elsewhere,
      'restore',
      'the extension timescaledb of shop would act',
    ],
    ['on the same server unasked', {}, { ...elsewhere, own: '7' }, 'restore', 'is the one that was backed up'],
    ['on a server that may be the same', {}, { ...elsewhere, own: undefined }, 'restore', 'may be the one'],
    [
      'with rights that no login keeps from the code',
      {},
      { ...elsewhere, rights: { ...plain, more: ['bypasses row security'] } },
      'refused',
      'with the rights of verify, which bypasses row security',
    ],
    ['as a superuser on the same server', {}, { ...here, rights: superuser }, 'refused', 'which is a superuser'],
    [
      'as a user that may create roles on the same server',
      {},
      { ...here, rights: { ...plain, mayCreateRole: true, more: ['may create roles'] } },
      'refused',
      'which may create roles',
    ],
    [
      'on the same server without knowing its space',
      {},
      { ...here, room: { unknown: 'nobody knows', hint: 'look' } },
      'restore',
      'the free space of the server is not known: nobody knows',
    ],
    [
      'on the same server when a tenth would not stay free',
      {},
      { ...here, room: { volumes: [{ ...volume, freeBytes: 31 * gb }] } },
      'restore',
      '/data has 31 GB, the restore may take 22 GB, and a tenth (10 GB) has to stay free',
    ],
    [
      'when the volume of the log has too little',
      {},
      { ...here, room: { volumes: [volume, { ...volume, path: '/wal', freeBytes: gb }] } },
      'restore',
      '/wal has 1 GB',
    ],
  ])('is refused %s', (_, change, place, kind, message) => {
    const refused = refuseTrial({ ...manifest, ...change }, place)
    expect(refused).toMatchObject({ kind, message: expect.stringContaining(message), hint: expect.any(String) })
  })

  test('takes a server whose identifier is unknown for the one that was backed up', () => {
    expect(isSameServer(manifest, '8')).toBe(false)
    expect(isSameServer(manifest, '7')).toBe(true)
    expect(isSameServer(manifest, undefined)).toBe(true)
    expect(isSameServer({ ...manifest, series: { system_identifier: '0' } }, '8')).toBe(true)
  })

  test('is stopped when a tenth is no longer free', () => {
    const at = (freeBytes: number) => nearlyFull({ volumes: [{ ...volume, neededBytes: 0, freeBytes }] })
    expect(at(10 * gb)).toBeUndefined()
    expect(at(10 * gb - 1)?.message).toBe(
      'the test restore was stopped: the server has too little free space: /data has 10 GB, and a tenth (10 GB) has to stay free',
    )
  })
})
