import { describe, expect, test } from 'vitest'
import { keyIn, keyOf, partBytesFor, placeOf, prefixIn } from './s3-place.ts'

const mib = 2 ** 20

describe('a place in S3', () => {
  test.for([
    ['s3://bucket', { name: 's3://bucket', bucket: 'bucket', root: '' }],
    ['s3://bucket/', { name: 's3://bucket', bucket: 'bucket', root: '' }],
    ['s3://b.u-c/some/prefix', { name: 's3://b.u-c/some/prefix', bucket: 'b.u-c', root: 'some/prefix/' }],
    ['s3://bucket/some/', { name: 's3://bucket/some', bucket: 'bucket', root: 'some/' }],
  ] as const)('%s', ([url, place]) => expect(placeOf(url)).toEqual(place))

  test('has keys below its prefix, and knows only its own', () => {
    const place = placeOf('s3://bucket/some')
    expect(keyIn(place, 'shop/1/dump.zst')).toBe('some/shop/1/dump.zst')
    expect([prefixIn(place, ''), prefixIn(place, 'shop/')]).toEqual(['some/', 'some/shop/'])
    expect(keyOf(place, 'some/shop/1/dump.zst')).toBe('shop/1/dump.zst')
    for (const other of ['other/shop/1', 'some', 'some/', 'some/shop/', 'some/.probe', 'some/a//b', 'some/a b'])
      expect(keyOf(place, other), other).toBeUndefined()
    expect(() => keyIn(place, '../x')).toThrow('not a key')
  })
})

test.for([
  [0, 16 * mib],
  [10 * 2 ** 30, 16 * mib],
  [1000 * 16 * mib, 16 * mib],
  [1000 * 16 * mib + 1, 17 * mib],
  [100 * 2 ** 30, 103 * mib],
] as const)('an object of about %i bytes has parts of %i', ([bytes, part]) => expect(partBytesFor(bytes)).toBe(part))
