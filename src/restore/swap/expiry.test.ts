import { expect, test } from 'vitest'
import { type KeptFacts, reasonsToKeep } from './expiry.ts'

const counters = { sessions: '7', rows: '100', reset: '2026-03-01 00:00:00+00' }
const fine: KeptFacts = {
  story: { kind: 'before', replaced_at: '2026-03-01T00:00:00.000Z', backed_up: '20260301T000000Z-1cb84ba0', counters },
  now: new Date('2026-03-08T00:00:00Z'),
  sessions: 0,
  slots: [],
  subscriptions: [],
  prepared: [],
  counters,
  backup: 'verified',
}
const week = 7 * 86_400_000
const story = (more: Partial<KeptFacts['story']>) => ({ story: { ...fine.story, ...more } })

test.each<[string, Partial<KeptFacts>, string[]]>([
  ['after a week', {}, []],
  ['it was read', { counters: { ...counters, sessions: '9' } }, []],
  ['autovacuum was there', { counters: { ...counters, rows: '140' } }, []],
  [
    'an old server counts no sessions',
    { ...story({ counters: { ...counters, sessions: null } }), counters: { ...counters, sessions: null } },
    [],
  ],
  ['a second too early', { now: new Date('2026-03-07T23:59:59Z') }, ['it is kept until 2026-03-08T00:00:00.000Z']],
  [
    'a clock that was set back',
    { now: new Date('2026-02-01T00:00:00Z') },
    ['it is kept until 2026-03-08T00:00:00.000Z'],
  ],
  ['a rollback', story({ kind: 'after' }), ['a rollback set it aside, and only a person knows why']],
  [
    'no backup',
    { ...story({ backed_up: null }), backup: 'missing' },
    ['no backup was made of it before it was replaced'],
  ],
  ['the backup is gone', { backup: 'missing' }, ['its backup 20260301T000000Z-1cb84ba0 is in no store']],
  ['the backup is not verified', { backup: 'unverified' }, ['its backup 20260301T000000Z-1cb84ba0 is not verified']],
  [
    'in use',
    { sessions: 1, slots: ['s'], subscriptions: ['s'], prepared: ['p'] },
    [
      'somebody is connected to it',
      'it has a replication slot',
      'it has a subscription',
      'it has a prepared transaction',
    ],
  ],
  ...(
    [
      ['written', { counters: { ...counters, sessions: '8', rows: '101' } }],
      ['a crash', { counters: { ...counters, sessions: '0', rows: '0' } }],
      ['a reset', { counters: { ...counters, reset: '2026-03-02 00:00:00+00' } }],
      ['no statistics', { counters: undefined }],
      [
        'an older version replaced it',
        { story: { kind: 'before', replaced_at: fine.story.replaced_at, backed_up: 'x' } },
      ],
      [
        'an old server, written',
        {
          ...story({ counters: { ...counters, sessions: null } }),
          counters: { ...counters, sessions: null, rows: '101' },
        },
      ],
    ] satisfies [string, Partial<KeptFacts>][]
  ).map(([name, more]): [string, Partial<KeptFacts>, string[]] => [
    name,
    more,
    ['it is not certain that nothing was written into it since'],
  ]),
])('%s', (_, more, reasons) => {
  expect(reasonsToKeep({ ...fine, ...more }, week)).toEqual(reasons)
})

test('without an age it is never dropped', () => {
  expect(reasonsToKeep(fine, undefined)).toEqual(['a person decides'])
})
