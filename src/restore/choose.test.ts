import { describe, expect, test } from 'vitest'
import { type Candidate, chooseBackup, type Request } from './choose.ts'

const backup = (id: string, day: number, cluster = 'A', { name = 'default', database = 'shop' } = {}): Candidate => ({
  id,
  series: { name, system_identifier: cluster, database },
  started_at: `2026-03-${String(day).padStart(2, '0')}T03:00:00Z`,
})

const latest: Request = {
  id: undefined,
  name: 'default',
  database: 'shop',
  own: 'A',
  cluster: undefined,
  at: undefined,
}

/** The id of the choice with its notes, or what is refused. */
function outcome(backups: Candidate[], request: Partial<Request> = {}) {
  try {
    const { backup, notes } = chooseBackup(backups, { ...latest, ...request })
    return [backup.id, ...notes]
  } catch (error) {
    const { kind, message, hint, excerpt } = error as Record<string, string>
    return { kind, message, hint, ...(excerpt !== undefined && { excerpt }) }
  }
}

describe('latest', () => {
  const cases: [string, Candidate[], Partial<Request>, unknown][] = [
    ['is the newest by its start, whatever the order', [backup('b', 2), backup('c', 3), backup('a', 1)], {}, ['c']],
    ['of two in one second is the same one every time', [backup('y', 1), backup('x', 1)], {}, ['y']],
    ['of two in one second is the same one in any order', [backup('x', 1), backup('y', 1)], {}, ['y']],
    [
      'goes by the clock of the server where that is known',
      [{ ...backup('a', 1), taken_at: '2026-03-05T03:00:00Z' }, backup('b', 4)],
      {},
      ['a'],
    ],
    [
      'is nobody’s while one of the newest three, or of a week, is behind the one before',
      [backup('a', 1), { ...backup('b', 2), conflict: 'behind' as const }, backup('c', 20), backup('d', 21)],
      {},
      expect.objectContaining({ kind: 'restore' }),
    ],
    [
      'is nobody’s within a week of one that is behind the one before',
      [backup('a', 1), { ...backup('b', 2), conflict: 'behind' as const }, ...[3, 4, 8].map((i) => backup(`c${i}`, i))],
      {},
      expect.objectContaining({ kind: 'restore' }),
    ],
    [
      'is the newest again once one server alone has gone on for so long',
      [backup('a', 1), { ...backup('b', 2), conflict: 'behind' as const }, ...[3, 4, 9].map((i) => backup(`c${i}`, i))],
      {},
      ['c9'],
    ],
    ['is of the same name', [backup('a', 1), backup('b', 2, 'A', { name: 'hourly' })], {}, ['a']],
    ['is of the same database', [backup('a', 1), backup('b', 2, 'A', { database: 'shop-test' })], {}, ['a']],
    ['prefers the server itself to a newer one of another', [backup('a', 1), backup('b', 2, 'B')], {}, ['a']],
    [
      'takes the only other server, and says so',
      [backup('a', 1, 'B'), backup('b', 2, 'B')],
      {},
      ['b', 'backup b was made on another server (system identifier B, this one is A)'],
    ],
    [
      'takes the id that is asked for, of the server that is asked for',
      [backup('a', 1)],
      { id: 'a', cluster: 'A' },
      ['a'],
    ],
    ['takes the server that is asked for', [backup('a', 1), backup('b', 2, 'B')], { cluster: 'A' }, ['a']],
    [
      'takes another server that is asked for, and says so',
      [backup('a', 3), backup('b', 2, 'B')],
      { cluster: 'B' },
      ['b', 'backup b was made on another server (system identifier B, this one is A)'],
    ],
    ['takes the only server when its own is not known', [backup('a', 1, 'B')], { own: undefined }, ['a']],
  ]
  for (const [name, backups, request, expected] of cases)
    test(name, () => expect(outcome(backups, request)).toEqual(expected))

  test('of several other servers is refused with the list', () => {
    expect(outcome([backup('c', 3, 'C'), backup('b', 2, 'B'), backup('b0', 1, 'B')])).toMatchInlineSnapshot(`
      {
        "excerpt": "  --cluster B   newest: b, started 2026-03-02T03:00:00Z
        --cluster C   newest: c, started 2026-03-03T03:00:00Z",
        "hint": "choose the server with --cluster ID",
        "kind": "restore",
        "message": "the backups of database shop come from 2 servers, but none from this one (A); nothing was changed",
      }
    `)
  })
})

describe('a backup that says that it starts in the future', () => {
  const now = new Date('2026-03-02T12:00:00Z')
  const past = backup('a', 1)
  const future = backup('f', 3)
  const near = { ...backup('n', 2), started_at: '2026-03-02T12:05:00Z' }
  const note = expect.stringMatching(/\bf\b.*2026-03-03T03:00:00Z/)

  test.for<[string, Candidate[], Partial<Request>, unknown]>([
    ['is not the newest, and a note names it', [past, future], {}, ['a', note]],
    ['counts where clocks may differ by as much', [past, near], {}, ['n']],
    ['is the newest where the present is not known', [past, future], { now: undefined }, ['f']],
    ['is taken by its id', [past, future], { id: 'f' }, ['f']],
    ['of another server says nothing', [past, backup('f', 3, 'B')], { cluster: 'A' }, ['a']],
    ['is left out before servers are told apart', [past, backup('f', 3, 'B')], {}, ['a', note]],
    [
      'is none before an instant, even one that is later still',
      [past, future],
      { at: new Date('2027-01-01') },
      ['a', note, expect.stringContaining('a')],
    ],
  ])('%s', ([, backups, request, expected]) => {
    expect(outcome(backups, { now, ...request })).toEqual(expected)
  })

  test('is not restored by itself where there is no other, and the hint says how it is', () => {
    const later = backup('g', 4)
    for (const at of [undefined, new Date('2026-03-01T00:00:00Z')])
      expect(outcome([future, later], { now, at })).toEqual({
        kind: 'nobackup',
        message: expect.stringContaining('in the future'),
        hint: expect.stringContaining('pgbosun restore g'),
      })
  })

  test('is no reason to say so where another one is too late', () => {
    expect(outcome([future, past], { now, at: new Date('2026-02-01T00:00:00Z') })).toEqual({
      kind: 'nobackup',
      message: expect.stringContaining('2026-02-01T00:00:00.000Z'),
      hint: expect.stringContaining('2026-03-01T03:00:00Z'),
    })
  })
})

describe('nothing matches', () => {
  const cases: [string, Candidate[], Partial<Request>, string, string][] = [
    ['an empty store', [], {}, 'there is no backup of database shop under the name default', 'backup.store'],
    [
      'only other names',
      [backup('a', 1, 'A', { name: 'hourly' })],
      {},
      'there is no backup of database shop under the name default',
      'there are backups under the name hourly:',
    ],
    [
      'several other names',
      ['nightly', 'hourly', 'nightly'].map((name, i) => backup(`${i}`, 1, 'A', { name })),
      {},
      'there is no backup of database shop under the name default',
      'hourly, nightly',
    ],
    [
      'only other names, and an instant',
      [backup('a', 1, 'A', { name: 'hourly' })],
      { at: new Date('2026-03-01T00:00:00Z') },
      'there is no backup of database shop under the name default',
      'hourly',
    ],
    [
      'only other servers than the one asked for',
      [backup('b', 2, 'B'), backup('a', 1)],
      { cluster: 'C' },
      'there is no backup of database shop made on the server C',
      'there are backups made on: A, B',
    ],
    [
      'only later ones',
      [backup('b', 3), backup('a', 2)],
      { at: new Date('2026-03-01T00:00:00Z') },
      'there is no backup of database shop that was started at or before 2026-03-01T00:00:00.000Z',
      'the oldest one was started at 2026-03-02T03:00:00Z',
    ],
    ['an unknown id', [backup('a', 1)], { id: 'x' }, 'there is no backup x of database shop', 'backup list'],
    [
      'an id of another server than the one asked for',
      [backup('a', 1)],
      { id: 'a', cluster: 'B' },
      'there is no backup a of database shop made on the server B',
      'backup list',
    ],
  ]
  for (const [name, backups, request, message, hint] of cases)
    test(name, () =>
      expect(outcome(backups, request)).toEqual({ kind: 'nobackup', message, hint: expect.stringContaining(hint) }),
    )
})

describe('--at', () => {
  const three = [backup('a', 1), backup('b', 2), backup('c', 3)]
  test('is the newest started before, and says how much is not in it', () => {
    expect(outcome(three, { at: new Date('2026-03-02T05:30:00Z') })).toEqual([
      'b',
      'backup b started 2 h 30 min before 2026-03-02T05:30:00.000Z: it does not contain what was written since',
    ])
  })
  test('counts one started at that very instant', () => {
    expect(outcome(three, { at: new Date('2026-03-02T03:00:00Z') })).toEqual(['b'])
  })
  test.for([
    ['2026-03-02T03:00:00.999Z', 0],
    ['2026-03-02T03:00:01.000Z', 1],
    ['2026-03-02T03:00:40.000Z', 1],
  ] as const)('from a second on it says what is not in the backup: %s', ([at, notes]) => {
    expect(outcome(three, { at: new Date(at) })).toHaveLength(1 + notes)
  })
  test('finds one of the server before a move, when its own are all later', () => {
    expect(outcome([backup('old', 1, 'B'), backup('new', 9)], { at: new Date('2026-03-01T03:00:00Z') })).toEqual([
      'old',
      'backup old was made on another server (system identifier B, this one is A)',
    ])
  })
})

test('an id decides alone, whatever its name and its server', () => {
  const other = backup('x', 1, 'B', { name: 'hourly' })
  expect(outcome([backup('a', 2), other], { id: 'x' })).toEqual([
    'x',
    'backup x was made on another server (system identifier B, this one is A)',
  ])
})
