import { expect, test } from 'vitest'
import { conflictWith, type Origin, recentConflicts } from './two-servers.ts'

const at = (lsn: string | null, timeline: number | null = 1, environment: string | null = 'prod'): Origin => ({
  ...{ lsn, timeline, environment },
})
const earlier = [at('0/FFFF0000'), at('1/1000')].map((origin, i) => ({ id: `b${i}`, origin }))

test.each<[string, Origin, string | undefined]>([
  ['the log goes on', at('1/1001'), undefined],
  ['nothing was written since', at('1/1000'), undefined],
  ['a standby became the primary', at('1/900', 2), undefined],
  [
    'the log is behind the newest',
    at('1/FFF'),
    'its write-ahead log is at 1/FFF of timeline 1, behind that of b1 (1/1000 of timeline 1)',
  ],
  [
    'the log is behind, as a number',
    at('0/F0000000'),
    'its write-ahead log is at 0/F0000000 of timeline 1, behind that of b1 (1/1000 of timeline 1)',
  ],
  ['the server does not tell', at(null, null), undefined],
  ['another environment', at('1/2000', 1, 'staging'), 'b1 was made for environment prod, this one for staging'],
  ['an unknown environment', at('1/2000', 1, null), undefined],
])('%s', (_, origin, why) => {
  expect(conflictWith(earlier, origin)?.why).toBe(why)
})

test('the old primary that goes on after a failover is another server', () => {
  const after = [...earlier, { id: 'b2', origin: at('1/3000', 2) }]
  expect(conflictWith(after, at('1/4000'))).toMatchObject({ conflict: 'behind', why: expect.stringContaining('b2') })
})

test('nothing is said any more once only one of them goes on', () => {
  const copy = { id: 'copy', origin: at('9/0', 2) }
  expect(conflictWith([...earlier, copy], at('1/2000'))).toMatchObject({ conflict: 'behind' })
  const standby = { id: 'standby', origin: at('1/2500', null) }
  expect(conflictWith([...earlier, copy, { id: 'b2', origin: at('1/2000') }, standby], at('1/3000'))).toBeUndefined()
  expect(conflictWith([...earlier, standby], at('1/900'))).toMatchObject({ why: expect.stringContaining('b1') })
})

test('a backup of an older version says nothing', () => {
  expect(conflictWith([{ id: 'b0' }], at('0/1', 1, 'staging'))).toBeUndefined()
  expect(conflictWith([], at('0/1'))).toBeUndefined()
})

test('only those of a week are told', () => {
  const takenAt = new Date('2026-03-01T00:00:00Z')
  const backups = [
    { id: 'a', takenAt, conflict: 'behind' as const },
    { id: 'b', takenAt },
  ]
  expect(recentConflicts(backups, new Date('2026-03-07T00:00:00Z'))).toEqual(['a'])
  expect(recentConflicts(backups, new Date('2026-03-09T00:00:00Z'))).toBeUndefined()
})

test('a new name for the environment is told once it has changed twice', () => {
  const takenAt = new Date('2026-03-01T00:00:00Z')
  const of = (id: string) => ({ id, takenAt, conflict: 'environment' as const })
  expect(recentConflicts([of('a')], takenAt)).toBeUndefined()
  expect(recentConflicts([of('a'), of('b')], takenAt)).toEqual(['a', 'b'])
})
