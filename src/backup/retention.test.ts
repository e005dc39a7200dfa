import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Backup, drasticSeries, type KeepRules, keepVerified, planRetention } from './retention.ts'

const none: KeepRules = { within: 0, last: 0, hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 }
const hourMs = 3_600_000
const dayMs = 24 * hourMs

/** A backup made at an instant, which is also its id. */
const at = (instant: string, fields: Partial<Backup> = {}): Backup => ({
  id: instant,
  series: 'default/1/shop',
  startedAt: new Date(instant),
  verified: 'unknown',
  pinned: false,
  leased: false,
  ...fields,
})

const plan = (backups: Backup[], rules: Partial<KeepRules> | 'all', zone = 'UTC', now = '2030-01-01T00:00:00Z') =>
  planRetention(backups, rules === 'all' ? 'all' : { ...none, ...rules }, { now: new Date(now), zone })

/** `keep 2026-03-02T03:00Z: newest, daily 2026-03-02`, one line per backup. */
const lines = (...args: Parameters<typeof plan>) =>
  plan(...args).map(({ backup, action, reasons }) => `${action} ${backup.id}: ${reasons.join(', ')}`)

const kept = (...args: Parameters<typeof plan>) =>
  plan(...args)
    .filter(({ action }) => action === 'keep')
    .map(({ backup }) => backup.id)

describe('before the next backup is there', () => {
  const ok = (day: string, fields: Partial<Backup> = {}) => at(`2026-03-${day}T03:00Z`, { verified: 'ok', ...fields })
  const kept2 = (backups: Backup[], rules: Partial<KeepRules> | 'all') =>
    keepVerified(plan(backups, rules), 2).map(
      ({ backup, action, reasons }) => `${action} ${backup.id.slice(8, 10)}: ${reasons.join(', ')}`,
    )

  test('two verified ones of each series stay, the newest, whatever the rules say', () => {
    const other = ['01', '02', '03'].map((day) => ok(day, { series: 'default/2/shop' }))
    expect(kept2([ok('01'), ok('02'), ok('03'), ...other], { last: 1 })).toEqual([
      'keep 03: newest, newest verified, last 1 of 1',
      'keep 02: one of 2 verified until the next is made',
      'delete 01: last 1: it is number 3',
      'keep 03: newest, newest verified, last 1 of 1',
      'keep 02: one of 2 verified until the next is made',
      'delete 01: last 1: it is number 3',
    ])
  })

  test('what is not known to be good does not count as one of them, and where the rules keep enough nothing changes', () => {
    expect(kept2([ok('01'), ok('02'), ok('03', { verified: 'unknown' }), ok('04')], { last: 1 })).toEqual([
      'keep 04: newest, newest verified, last 1 of 1',
      'delete 03: last 1: it is number 2',
      'keep 02: one of 2 verified until the next is made',
      'delete 01: last 1: it is number 4',
    ])
    const many = ['01', '02', '03', '04'].map((day) => ok(day))
    for (const rules of [{ last: 2 }, { daily: 3 }, 'all'] as const)
      expect(keepVerified(plan(many, rules), 2)).toEqual(plan(many, rules))
    expect(kept2([ok('01')], { last: 1 })).toEqual(['keep 01: newest, newest verified, last 1 of 1'])
  })
})

describe('rules', () => {
  const week = ['01', '02', '03', '05', '08'].map((day) => at(`2026-03-${day}T03:00Z`))

  test('every backup has reasons, for keeping or for deleting it', () => {
    expect(lines([at('2026-03-08T01:00Z'), ...week], { daily: 2, weekly: 3 })).toEqual([
      'keep 2026-03-08T03:00Z: newest, daily 2026-03-08, weekly 2026-W10',
      'delete 2026-03-08T01:00Z: daily 2026-03-08: 2026-03-08T03:00Z is newer, weekly 2026-W10: 2026-03-08T03:00Z is newer',
      'keep 2026-03-05T03:00Z: daily 2026-03-05',
      'delete 2026-03-03T03:00Z: daily 2026-03-03: not among the newest 2, weekly 2026-W10: 2026-03-08T03:00Z is newer',
      'delete 2026-03-02T03:00Z: daily 2026-03-02: not among the newest 2, weekly 2026-W10: 2026-03-08T03:00Z is newer',
      'keep 2026-03-01T03:00Z: weekly 2026-W09',
    ])
  })

  test('within counts from the newest backup, not from now', () => {
    expect(lines(week, { within: 5 * dayMs })).toEqual([
      'keep 2026-03-08T03:00Z: newest, within 5d',
      'keep 2026-03-05T03:00Z: within 5d',
      'delete 2026-03-03T03:00Z: within 5d: older than that',
      'delete 2026-03-02T03:00Z: within 5d: older than that',
      'delete 2026-03-01T03:00Z: within 5d: older than that',
    ])
  })

  test('last keeps the newest, however close together', () => {
    expect(lines(week.slice(0, 3), { last: 2 })).toEqual([
      'keep 2026-03-03T03:00Z: newest, last 1 of 2',
      'keep 2026-03-02T03:00Z: last 2 of 2',
      'delete 2026-03-01T03:00Z: last 2: it is number 3',
    ])
  })

  test('of two that started at one instant, the higher id is the newer one, in whatever order they come', () => {
    const two = ['x', 'y'].map((id) => at('2026-01-01T00:00Z', { id }))
    for (const backups of [two, two.toReversed()]) expect(kept(backups, { last: 1 })).toEqual(['y'])
  })

  test('an hour is named with its offset', () => {
    const hourly = (zone: string) =>
      lines([at('2026-01-01T00:30Z')], { hourly: 1 }, zone)[0]
        ?.split(', ')
        .at(-1)
    expect(['UTC', 'Asia/Kathmandu', 'America/New_York'].map(hourly)).toEqual([
      'hourly 2026-01-01T00:00Z',
      'hourly 2026-01-01T06:00+05:45',
      'hourly 2025-12-31T19:00-05:00',
    ])
  })

  test('periods without a backup cost nothing', () => {
    const rare = ['2020-05-05T00:00Z', '2024-05-05T00:00Z', '2026-05-05T00:00Z'].map((instant) => at(instant))
    for (const rule of ['hourly', 'daily', 'weekly', 'monthly', 'yearly'])
      expect(kept(rare, { [rule]: 2 })).toEqual(['2026-05-05T00:00Z', '2024-05-05T00:00Z'])
  })

  test('`keep: all` keeps all backups', () => {
    expect(lines(week.slice(0, 2), 'all')).toEqual([
      'keep 2026-03-02T03:00Z: newest, all',
      'keep 2026-03-01T03:00Z: all',
    ])
  })
})

describe('always kept', () => {
  const old = ['2026-01-01T00:00Z', '2026-01-02T00:00Z', '2026-01-03T00:00Z', '2026-01-04T00:00Z']

  test('pinned ones, the newest and the newest verified one', () => {
    const backups = old.map((instant, i) => at(instant, { pinned: i === 0, verified: i === 1 ? 'ok' : 'unknown' }))
    expect(lines(backups, { last: 1 })).toEqual([
      'keep 2026-01-04T00:00Z: newest, last 1 of 1',
      'delete 2026-01-03T00:00Z: last 1: it is number 2',
      'keep 2026-01-02T00:00Z: newest verified',
      'keep 2026-01-01T00:00Z: pinned',
    ])
  })

  test('the older of two on one day, when only that one was verified', () => {
    const backups = [at('2026-01-01T01:00Z', { verified: 'ok' }), at('2026-01-01T02:00Z')]
    expect(lines(backups, { daily: 1 })).toEqual([
      'keep 2026-01-01T02:00Z: newest, daily 2026-01-01',
      'keep 2026-01-01T01:00Z: newest verified',
    ])
  })

  test('those younger than an hour and those from the future, which count for nothing', () => {
    const backups = ['2026-01-01T00:00Z', '2026-01-01T11:10Z', '2026-01-01T11:20Z', '2027-01-01T00:00Z'].map(
      (instant) => at(instant),
    )
    expect(lines(backups, { last: 1 }, 'UTC', '2026-01-01T12:00Z')).toEqual([
      'keep 2027-01-01T00:00Z: starts in the future',
      'keep 2026-01-01T11:20Z: newest, younger than an hour, last 1 of 1',
      'keep 2026-01-01T11:10Z: younger than an hour',
      'delete 2026-01-01T00:00Z: last 1: it is number 3',
    ])
  })

  test.for([
    ['2026-01-01T12:59:59.999Z', ['newest', 'younger than an hour']],
    ['2026-01-01T13:00:00.000Z', ['newest']],
    // Five minutes is what clocks of machines may differ by.
    ['2026-01-01T11:55:00.000Z', ['newest', 'younger than an hour']],
    ['2026-01-01T11:54:59.999Z', ['starts in the future']],
  ] as const)('at %s, one that was started at 12:00 is kept as %j', ([now, reasons]) => {
    expect(plan([at('2026-01-01T12:00Z')], {}, 'UTC', now)[0]?.reasons).toEqual(reasons)
  })

  test('after the clock stepped back a year, everything', () => {
    expect(
      lines(
        old.map((instant) => at(instant)),
        { last: 1 },
        'UTC',
        '2025-01-04T00:00Z',
      ).map((line) => line.slice(0, 4)),
    ).toEqual(old.map(() => 'keep'))
  })
})

describe('a backup that did not verify', () => {
  const bad = { verified: 'bad' } as const

  test('never counts: the rule goes on to the next older one', () => {
    expect(
      lines([at('2026-01-01T00:00Z'), at('2026-01-02T00:00Z'), at('2026-01-03T00:00Z', bad)], { last: 1 }),
    ).toEqual([
      'keep 2026-01-03T00:00Z: did not verify, and no newer one did',
      'keep 2026-01-02T00:00Z: newest, last 1 of 1',
      'delete 2026-01-01T00:00Z: last 1: it is number 2',
    ])
  })

  test('goes once a newer one was verified', () => {
    expect(lines([at('2026-01-01T00:00Z', bad), at('2026-01-02T00:00Z', { verified: 'ok' })], { daily: 7 })).toEqual([
      'keep 2026-01-02T00:00Z: newest, newest verified, daily 2026-01-02',
      'delete 2026-01-01T00:00Z: did not verify',
    ])
  })

  test.for([
    ['newer than it', '2026-01-02T00:00Z'],
    ['of the same instant', '2026-01-01T00:00Z'],
  ] as const)('stays beside a verified one that it is %s', ([, instant]) => {
    const verified = at('2026-01-01T00:00Z', { verified: 'ok' })
    expect(kept([verified, at(instant, { ...bad, id: 'bad' })], { last: 1 })).toContain('bad')
  })

  test('stays when there is nothing else', () => {
    expect(kept([at('2026-01-01T00:00Z', bad)], { last: 1 })).toEqual(['2026-01-01T00:00Z'])
  })
})

describe('periods', () => {
  const reasonsOf = (instants: string[], rule: keyof KeepRules, zone: string) =>
    plan(
      instants.map((instant) => at(instant)),
      { [rule]: 99 },
      zone,
    ).map(({ action, reasons }) => `${action} ${reasons.at(-1)}`)

  test.for([
    // ISO weeks around New Year
    [
      'weekly',
      'UTC',
      ['2027-01-04T00:00Z', '2027-01-03T23:59Z', '2026-12-28T00:00Z', '2026-12-27T23:59Z'],
      [
        'keep weekly 2027-W01',
        'keep weekly 2026-W53',
        'delete weekly 2026-W53: 2027-01-03T23:59Z is newer',
        'keep weekly 2026-W52',
      ],
    ],
    [
      'weekly',
      'UTC',
      ['2024-12-30T00:00Z', '2024-12-29T00:00Z', '2021-01-03T12:00Z'],
      ['keep weekly 2025-W01', 'keep weekly 2024-W52', 'keep weekly 2020-W53'],
    ],
    // the week begins on Monday in the zone: Sunday in UTC
    [
      'weekly',
      'Pacific/Auckland',
      ['2026-03-01T11:00Z', '2026-03-01T10:59Z'],
      ['keep weekly 2026-W10', 'keep weekly 2026-W09'],
    ],
    // a day of 23 hours, one of 25
    [
      'daily',
      'Europe/Berlin',
      ['2026-03-29T21:59Z', '2026-03-28T23:00Z', '2026-03-28T22:59Z'],
      ['keep daily 2026-03-29', 'delete daily 2026-03-29: 2026-03-29T21:59Z is newer', 'keep daily 2026-03-28'],
    ],
    [
      'daily',
      'Europe/Berlin',
      ['2026-10-25T22:59Z', '2026-10-24T22:00Z', '2026-10-24T21:59Z'],
      ['keep daily 2026-10-25', 'delete daily 2026-10-25: 2026-10-25T22:59Z is newer', 'keep daily 2026-10-24'],
    ],
    // the hour that comes twice is two hours
    [
      'hourly',
      'Europe/Berlin',
      ['2026-10-25T01:30Z', '2026-10-25T00:30Z', '2026-10-25T00:10Z'],
      [
        'keep hourly 2026-10-25T02:00+01:00',
        'keep hourly 2026-10-25T02:00+02:00',
        'delete hourly 2026-10-25T02:00+02:00: 2026-10-25T00:30Z is newer',
      ],
    ],
    [
      'hourly',
      'Australia/Lord_Howe',
      ['2026-04-04T15:10Z', '2026-04-04T14:50Z'],
      ['keep hourly 2026-04-05T01:00+10:30', 'keep hourly 2026-04-05T01:00+11:00'],
    ],
    ['hourly', 'America/St_Johns', ['2026-01-01T00:00Z'], ['keep hourly 2025-12-31T20:00-03:30']],
    // Apia had no 30 December 2011
    [
      'daily',
      'Pacific/Apia',
      ['2011-12-30T10:00Z', '2011-12-30T09:59Z', '2011-12-29T10:00Z'],
      ['keep daily 2011-12-31', 'keep daily 2011-12-29', 'delete daily 2011-12-29: 2011-12-30T09:59Z is newer'],
    ],
    [
      'monthly',
      'America/New_York',
      ['2026-03-01T04:59Z', '2026-02-01T05:00Z'],
      ['keep monthly 2026-02', 'delete monthly 2026-02: 2026-03-01T04:59Z is newer'],
    ],
    [
      'yearly',
      'Asia/Tokyo',
      ['2025-12-31T15:00Z', '2025-12-31T14:59Z', '2024-02-29T00:00Z'],
      ['keep yearly 2026', 'keep yearly 2025', 'keep yearly 2024'],
    ],
  ] as const)('%s in %s: %s', ([rule, zone, instants, expected]) => {
    expect(reasonsOf([...instants], rule, zone)).toEqual(expected)
  })

  test('of two in the same second the one with the greater id counts as newer', () => {
    const instant = { startedAt: new Date('2026-01-01T00:00Z') }
    expect(kept([at('a', instant), at('c', instant), at('b', instant)], { daily: 1 })).toEqual(['c'])
  })
})

describe('the brake', () => {
  const days = (count: number) =>
    Array.from({ length: count }, (_, i) => at(new Date(Date.UTC(2026, 0, 1 + i)).toISOString()))
  const drastic = (count: number, last: number) => drasticSeries(plan(days(count), { last }))

  test.for([
    [4, 1, false],
    [5, 1, true],
    [8, 4, false],
    [8, 3, true],
    [9, 5, false],
    [9, 4, true],
    [30, 15, false],
    [30, 3, true],
  ] as const)('of %i backups, keeping %i: %s', ([count, last, refused]) => {
    expect(drastic(count, last)).toEqual(
      refused ? [{ series: 'default/1/shop', deleted: count - last, of: count }] : [],
    )
  })

  test('counts each series on its own', () => {
    const backups = ['a', 'b'].flatMap((series) => days(series === 'a' ? 4 : 40).map((one) => ({ ...one, series })))
    expect(drasticSeries(plan(backups, { last: 30 }))).toEqual([])
    expect(drasticSeries(plan(backups, { last: 3 })).map(({ series }) => series)).toEqual(['b'])
  })
})

describe('for any backups and rules', () => {
  const now = '2026-11-20T12:00:00Z'
  const zones = ['UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Pacific/Apia', 'Asia/Kathmandu']
  const zone = fc.constantFrom(...zones)
  const count = fc.integer({ min: 0, max: 5 })
  const rules = fc.record({
    within: fc.constantFrom(0, hourMs, 3 * dayMs, 60 * dayMs),
    last: count,
    hourly: count,
    daily: count,
    weekly: count,
    monthly: count,
    yearly: count,
  })
  const startedAt = fc
    .oneof(fc.integer({ min: -2 * 60, max: 48 * 60 }), fc.integer({ min: 0, max: 3 * 365 * 24 * 60 }))
    .map((minutesAgo) => new Date(Date.parse(now) - minutesAgo * 60_000))
  const backup = fc.record({
    id: fc.uuid(),
    series: fc.constantFrom('app', 'app-test', 'app_2'),
    startedAt,
    verified: fc.constantFrom('ok', 'bad', 'unknown', 'unknown'),
    pinned: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
    leased: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
  }) as fc.Arbitrary<Backup>
  const backups = fc.uniqueArray(backup, { selector: ({ id }) => id, maxLength: 40 })
  const series = backups.map((all) => all.map((one) => ({ ...one, series: 'app' })))
  const counts = (one: Backup) => one.verified !== 'bad' && one.startedAt.getTime() <= Date.parse(now) + 300_000
  const order = (a: Backup, b: Backup) => b.startedAt.getTime() - a.startedAt.getTime() || (a.id < b.id ? 1 : -1)
  const holds = <T extends [unknown, ...unknown[]]>(
    ...args: [...{ [K in keyof T]: fc.Arbitrary<T[K]> }, (...values: T) => void]
  ) => {
    const [check, ...arbitraries] = args.toReversed() as [(...values: unknown[]) => void, ...fc.Arbitrary<unknown>[]]
    fc.assert(
      fc.property(fc.tuple(...arbitraries.toReversed()), (values) => check(...values)),
      { numRuns: 200 },
    )
  }

  test('the newest is kept (P1), and the newest verified one (P2)', () => {
    holds(series, rules, zone, (all: Backup[], r: KeepRules, z: string) => {
      const [newest] = all.filter(counts).sort(order)
      const [verified] = all.filter((one) => counts(one) && one.verified === 'ok').sort(order)
      const ids = kept(all, r, z, now)
      for (const one of [newest, verified]) if (one) expect(ids).toContain(one.id)
    })
  })

  test('what does not count changes nothing for what does (P3)', () => {
    holds(series, rules, zone, (all: Backup[], r: KeepRules, z: string) => {
      const good = all.filter(counts)
      const ids = new Set(good.map(({ id }) => id))
      expect(kept(all, r, z, now).filter((id) => ids.has(id))).toEqual(kept(good, r, z, now))
    })
  })

  test('a second prune finds nothing (P4)', () => {
    holds(backups, rules, zone, (all: Backup[], r: KeepRules, z: string) => {
      const ids = kept(all, r, z, now)
      expect(
        kept(
          all.filter(({ id }) => ids.includes(id)),
          r,
          z,
          now,
        ),
      ).toEqual(ids)
    })
  })

  test('pruning after every backup leaves what pruning once at the end leaves (P5)', () => {
    holds(series, rules, zone, (all: Backup[], r: KeepRules, z: string) => {
      const past = all.filter((one) => counts(one) && one.startedAt.getTime() <= Date.parse(now)).sort(order)
      let store: Backup[] = []
      for (const made of past.toReversed()) {
        store.push(made)
        const ids = kept(store, r, z, made.startedAt.toISOString())
        store = store.filter(({ id }) => ids.includes(id))
      }
      expect(kept(store, r, z, now)).toEqual(kept(past, r, z, now))
    })
  })

  test('raising a rule never deletes what was kept (P6)', () => {
    const raise = fc.constantFrom(...(['within', 'last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const))
    holds(backups, rules, zone, raise, (all: Backup[], r: KeepRules, z: string, rule: keyof KeepRules) => {
      const more = { ...r, [rule]: rule === 'within' ? r.within + dayMs : r[rule] + 1 }
      expect(kept(all, more, z, now)).toEqual(expect.arrayContaining(kept(all, r, z, now)))
    })
  })

  test('the order of the input does not matter (P7)', () => {
    const shuffled = backups.chain((all) =>
      fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })),
    )
    holds(shuffled, rules, zone, ([one, other]: [Backup[], Backup[]], r: KeepRules, z: string) => {
      expect(plan(one, r, z, now)).toEqual(plan(other, r, z, now))
    })
  })

  test('no more is kept than the rules and the protections allow (P8)', () => {
    holds(series, rules, zone, (all: Backup[], r: KeepRules, z: string) => {
      const young = (one: Backup) => Date.parse(now) - one.startedAt.getTime() < hourMs
      const newest = all.filter(counts).sort(order)[0]?.startedAt.getTime() ?? 0
      const free = all.filter(
        (one) => one.pinned || young(one) || one.verified === 'bad' || one.startedAt.getTime() > newest - r.within,
      )
      const bound = r.last + r.hourly + r.daily + r.weekly + r.monthly + r.yearly + 2 + free.length
      const ids = kept(all, r, z, now)
      expect(ids.length).toBeLessThanOrEqual(bound)
      expect(ids.length).toBeGreaterThanOrEqual(Math.min(1, all.length))
    })
  })

  test('every backup is decided on once, with at least one reason (P9)', () => {
    holds(backups, rules, zone, (all: Backup[], r: KeepRules, z: string) => {
      const some = Object.values(r).some((value) => value > 0) ? r : { ...r, last: 1 }
      const decisions = plan(all, some, z, now)
      expect(decisions.map(({ backup }) => backup.id).sort()).toEqual(all.map(({ id }) => id).sort())
      for (const { reasons } of decisions) expect(reasons.length).toBeGreaterThan(0)
    })
  })

  test('each series is decided on as if it were alone (P10)', () => {
    holds(backups, rules, zone, (all: Backup[], r: KeepRules, z: string) => {
      const alone = ['app', 'app-test', 'app_2'].flatMap((name) =>
        plan(
          all.filter((one) => one.series === name),
          r,
          z,
          now,
        ),
      )
      expect(plan(all, r, z, now)).toEqual(alone)
    })
  })

  test('a rule keeps the last backup of each of its newest periods: a naive count agrees (P13)', () => {
    const seconds: Record<string, (utc: string) => string> = {
      hourly: (utc) => utc.slice(0, 13),
      daily: (utc) => utc.slice(0, 10),
      monthly: (utc) => utc.slice(0, 7),
      yearly: (utc) => utc.slice(0, 4),
    }
    holds(
      series,
      fc.constantFrom(...Object.keys(seconds)),
      fc.integer({ min: 1, max: 6 }),
      (all: Backup[], rule: string, n: number) => {
        const good = all.filter(counts)
        const periodOf = (one: Backup) => seconds[rule]!(one.startedAt.toISOString())
        const newestPeriods = [...new Set(good.map(periodOf))].sort().slice(-n)
        const expected = newestPeriods.map(
          (period) => good.filter((one) => periodOf(one) === period).sort(order)[0]!.id,
        )
        const byRule = plan(good, { [rule]: n }, 'UTC', now)
          .filter(({ action, reasons }) => action === 'keep' && reasons.some((reason) => reason.startsWith(rule)))
          .map(({ backup }) => backup.id)
        expect(byRule.sort()).toEqual(expected.sort())
      },
    )
  })
})
