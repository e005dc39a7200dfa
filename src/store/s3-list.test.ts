import { expect, test } from 'vitest'
import { decoded } from './s3-list.ts'
import { keyOf } from './s3-place.ts'

const place = { name: 's3://b', bucket: 'b', root: '' }

test.each([
  ['shop/1/dump.zst', 'shop/1/dump.zst'],
  ['%252Eodd/1/a', '%2Eodd/1/a'],
  ['a+b', undefined],
  ['shop/%FF%FE', undefined],
  ['%E0%A4%A', undefined],
])('a key that is listed as %s is %s in the store', (listed, key) => {
  expect(keyOf(place, decoded(listed, 'url'))).toBe(key)
})
