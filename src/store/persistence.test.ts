import { expect, test } from 'vitest'
import { endsWithContainer, isElsewhere, isMounted, isSameDevice } from './persistence.ts'

const container = [
  '1540 1377 0:324 / / rw,relatime - overlay overlay rw,lowerdir=/var/lib/docker/a - b',
  '1541 1540 0:327 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw',
  '1553 1540 254:0 /var/lib/docker/volumes/x/_data /backups rw,relatime master:1 - ext4 /dev/vda rw',
  '1554 1540 0:400 / /tmp rw,nosuid - tmpfs tmpfs rw,size=65536k',
  '1555 1540 0:401 / /with\\040blank rw - nfs4 server:/x rw',
  '1556 1554 254:0 /x /tmp/kept rw - ext4 /dev/vda rw',
].join('\n')

const machine = '27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n28 27 0:24 / /tmp rw - tmpfs tmpfs rw\n'

test.each([
  ['file:///backups', undefined],
  ['file:///backups/shop', undefined],
  ['file:///with%20blank', undefined],
  ['file:///tmp/kept/x', undefined],
  ['s3://bucket/backups', undefined],
  ['file:///backups2', "file:///backups2 is on the container's own file system, and ends with the container"],
  ['file:///', "file:/// is on the container's own file system, and ends with the container"],
  [
    'file:///var/lib/backups',
    "file:///var/lib/backups is on the container's own file system, and ends with the container",
  ],
  ['file:///tmp/backups', 'file:///tmp/backups is in memory (tmpfs), and ends with the container'],
])('in a container, of %s: %s', (store, expected) => {
  expect(endsWithContainer(store, container)).toBe(expected)
})

test('a volume is a mount that is neither `/` nor in memory', () => {
  const folders = ['/backups', '/backups/shop', '/with%20blank', '/tmp/kept/x', '/backups2', '/', '/tmp/backups']
  expect(folders.filter((folder) => isMounted(`file://${folder}`, container))).toEqual(folders.slice(0, 4))
  expect(isMounted('file:///backups', machine)).toBe(false)
  expect(isMounted('file:///backups', '')).toBe(false)
})

test('what was mounted last lies on top', () => {
  const covered = `${container}\n1560 1553 0:402 / /backups rw - tmpfs tmpfs rw`
  expect(endsWithContainer('file:///backups', covered)).toMatch('in memory')
})

test('on a machine nothing is said', () => {
  for (const store of ['file:///backups', 'file:///tmp/backups'])
    expect(endsWithContainer(store, machine)).toBeUndefined()
  expect(endsWithContainer('file:///backups', '')).toBeUndefined()
})

test.each([
  ['/backups', '/tmp/kept/data', true],
  ['/backups', '/backups/shop', true],
  ['/backups', '/', false],
  ['/tmp', '/tmp/kept', false],
  // two folders of one server are not the concern of this machine
  ['/with blank/a', '/with blank/b', false],
])('%s and %s are on one device: %s', (one, other, expected) => {
  expect(isSameDevice(one, other, container)).toBe(expected)
  expect(isSameDevice(one, other, '')).toBe(false)
})

test('what is on another machine is not asked', () => {
  expect([isElsewhere('/with blank/a', container), isElsewhere('/backups', container)]).toEqual([true, false])
})
