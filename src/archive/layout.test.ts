import { describe, expect, test } from 'vitest'
import {
  backupId,
  clusterTag,
  databasePrefix,
  decodeName,
  encodeName,
  failedKey,
  idPattern,
  isOfCluster,
  objectKey,
  startedAtOf,
} from './layout.ts'

describe('names in keys', () => {
  test.for([
    ['shop', 'shop'],
    ['Shop_2.test-x', 'Shop_2.test-x'],
    ['.', '%2E'],
    ['..', '%2E.'],
    ['.hidden', '%2Ehidden'],
    ['a/b', 'a%2Fb'],
    ['../../etc', '%2E.%2F..%2Fetc'],
    ['my db', 'my%20db'],
    ['50%', '50%25'],
    ['Größe "1"', 'Gr%C3%B6%C3%9Fe%20%221%22'],
    ["it's=host\\n", 'it%27s%3Dhost%5Cn'],
    ['💾', '%F0%9F%92%BE'],
  ] as const)('%s is kept as %s', ([name, part]) => {
    expect(encodeName(name)).toBe(part)
    expect(decodeName(part)).toBe(name)
  })

  test.for([
    'lost+found',
    '.snapshot',
    '',
    '%',
    '%zz',
    '%2e',
    '%41',
    'a b',
    '%FF',
  ])('“%s” is no name of ours', (part) => {
    expect(decodeName(part)).toBeUndefined()
  })
})

test('an id says when the backup was begun', () => {
  const id = backupId(new Date('2026-11-20T03:00:07.999Z'), '1a2b3c4d')
  expect(id).toBe('20261120T030007Z-1a2b3c4d')
  expect(id).toMatch(idPattern)
  expect(startedAtOf(id)).toEqual(new Date('2026-11-20T03:00:07Z'))
})

test.for([
  '',
  'failed',
  '20261120T030007Z',
  '20261120T030007Z-1A2B3C4D',
  '20261320T030007Z-1a2b3c4d',
])('“%s” is no id', (text) => {
  expect(startedAtOf(text)).toBeUndefined()
})

test('a cluster recognises the ids of its own backups', () => {
  const tag = clusterTag('7294619873465918273')
  expect(tag).toMatch(/^[0-9a-f]{4}$/)
  expect(isOfCluster(`20261120T030007Z-${tag}0000`, '7294619873465918273')).toBe(true)
  expect(isOfCluster(`20261120T030007Z-${tag}0000`, '7294619873465918274')).toBe(false)
  expect(isOfCluster('failed', '7294619873465918273')).toBe(false)
})

test('keys of objects are built from the database, the backup and the name', () => {
  expect(databasePrefix('my db')).toBe('my%20db/')
  expect(objectKey('shop', '20261120T030007Z-1a2b3c4d', 'dump.zst')).toBe('shop/20261120T030007Z-1a2b3c4d/dump.zst')
  expect(failedKey('shop', '20261120T030007Z-1a2b3c4d')).toBe('shop/failed/20261120T030007Z-1a2b3c4d.json')
})
