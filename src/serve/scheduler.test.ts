import { setImmediate as breathe } from 'node:timers/promises'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { SlotRecord } from '../archive/slot-records.ts'
import type { DatabaseFacts, StoredFacts } from '../backup/facts.ts'
import { type Cron, parseCron } from '../config/cron.ts'
import { AppError, type Kind } from '../errors.ts'
import { silentLog } from '../log.ts'
import { type SchedulerOptions, startScheduler } from './scheduler.ts'
import { newBackupState } from './state.ts'

const none: StoredFacts = {
  covered: undefined,
  newest: undefined,
  firstAt: undefined,
  lastVerifiedAt: undefined,
  damaged: [],
}
const at = (time: string) => new Date(`2026-03-01T${time}Z`)
const backupAt = (time: string, slot: string): StoredFacts => ({
  ...none,
  covered: at(time) > at(slot) ? at(time) : at(slot),
  newest: { id: `for ${slot}`, takenAt: at(time), slot: at(slot) },
  firstAt: at(time),
})

/** A scheduler with a clock and a store of the test's own, which takes a turn when it is told to. */
function started(
  schedule: string | Record<string, string>,
  time: string,
  {
    store = () => none,
    maxAgeMs,
    delayMs = 0,
    recorded = [],
  }: { store?: () => DatabaseFacts; maxAgeMs?: number; delayMs?: number; recorded?: SlotRecord[] } = {},
) {
  const backup = newBackupState('shop')
  const running: { slot: Date; of: string; end(): void; fail(kind?: Kind): void; made(): void }[] = []
  const world = {
    backup,
    now: at(time),
    store,
    /** How often the store was read. */
    readings: 0,
    /** Slots that were started, as times. */
    slots: [] as string[],
    /** What was noted of them: what has failed, each time that something was noted. */
    noted: [] as (string | undefined)[],
    lines: [] as string[],
    /** How the backup that runs ends. */
    running,
    /** How often the state was looked at. */
    looks: 0,
    /** Whether the store hangs when slots are noted. */
    hangs: false,
    async turn(time: string) {
      world.now = at(time)
      scheduler.turn()
      await settled()
    },
  }
  const hanging = Promise.withResolvers<void>()
  const settled = async () => {
    for (let i = 0; i < 20; i++) await breathe()
  }
  const tell = (fields: object | string, message?: string) => void world.lines.push(message ?? String(fields))
  const options: SchedulerOptions = {
    schedules: Object.entries(typeof schedule === 'string' ? { '': schedule } : schedule).map(([name, text]) => ({
      ...{ name, text, cron: parseCron(text) as Cron, zone: 'UTC', jitterMs: delayMs },
    })),
    retries: 2,
    delayOf: () => delayMs,
    backups: [backup],
    readStore: async () => {
      world.readings++
      return world.store()
    },
    async noteSlots(_, __, failed) {
      world.noted.push(failed && `${failed.slot.toISOString().slice(11, 16)}: ${failed.problem}`)
      if (world.hangs) await hanging.promise
      return [{ slot: 'noted' } as SlotRecord]
    },
    recallSlots: async () => recorded,
    longestMs: 3_600_000,
    backUp: (_, slot, onMade, of) =>
      new Promise((resolve, reject) => {
        world.slots.push(slot.toISOString().slice(11, 19))
        const fail = (kind: Kind = 'backup') =>
          reject(new AppError(kind, 'the backup of shop failed: the connection was lost'))
        running.push({ slot, of, end: () => resolve(world.store()), fail, made: onMade })
      }),
    storeName: 'the store',
    maxAgeMs,
    onTick() {},
    onLook() {
      world.looks++
    },
    now: () => world.now,
    log: { ...silentLog, warn: tell, info: tell, error: tell },
    signal: new AbortController().signal,
  }
  const scheduler = startScheduler(options)
  onTestFinished(async () => {
    const stopping = scheduler.stop()
    for (const { end } of running) end()
    hanging.resolve()
    await stopping
  })
  return { world, settled }
}

describe('a backup', () => {
  test('that runs longer than it may is an error as long as it runs, whatever it waits for', async () => {
    const { world, settled } = started('0 12 * * *', '12:00:30')
    await settled()
    await world.turn('13:00:30')
    expect(world.backup.overdue ?? '').not.toContain('still running')
    await world.turn('13:00:31')
    expect(world.backup).toMatchObject({
      running: true,
      overdue:
        'the one that was started at 2026-03-01T12:00:30.000Z is still running, longer than backup.timeout allows',
    })
    world.running[0]!.fail()
    await settled()
    await world.turn('13:01:31')
    expect(world.backup.overdue ?? '').not.toContain('still running')
  })

  test('that is made may be followed by as much work as there is', async () => {
    const { world, settled } = started('0 12 * * *', '12:00:30')
    await settled()
    world.running[0]!.made()
    await world.turn('18:00:00')
    expect(world.backup.running).toBe(true)
    expect(world.backup.overdue ?? '').not.toContain('still running')
  })
})

describe('a slot', () => {
  test('whose backup another process has made in the meantime is no failure', async () => {
    const { world, settled } = started('0 12 * * *', '12:00:30')
    await settled()
    world.store = () => backupAt('12:00:00', '12:00:00')
    world.running[0]!.fail()
    await settled()
    expect(world.backup).toMatchObject({ lastError: null, lastSuccessId: 'for 12:00:00' })
  })

  test('whose backup nobody has made is a failure, until somebody makes it', async () => {
    const { world, settled } = started('0 12 * * *', '12:00:30')
    await settled()
    world.running[0]!.fail()
    await settled()
    expect(world.backup).toMatchObject({
      lastError: expect.stringContaining('was lost'),
      schedules: [{ slots: [{ slot: 'noted' }] }],
    })
    expect(world.noted).toEqual(['12:00: the backup of shop failed: the connection was lost'])
    world.store = () => backupAt('12:01:10', '12:01:10')
    await world.turn('12:01:20')
    expect(world.backup).toMatchObject({ lastError: null, lastSuccessId: 'for 12:01:10' })
    expect(world.noted.at(-1)).toBeUndefined()
    expect(world.slots).toEqual(['12:00:00'])
  })

  test('that starts during a turn is made up for once, after that turn', async () => {
    const { world, settled } = started('*/5 * * * *', '12:00:01')
    await settled()
    for (const time of ['12:01:00', '12:05:00', '12:06:00', '12:07:00']) await world.turn(time)
    expect(world.slots).toEqual(['12:00:00'])
    world.store = () => backupAt('12:00:01', '12:00:00')
    world.running[0]!.end()
    await settled()
    expect(world.slots).toEqual(['12:00:00', '12:05:00'])
    await world.turn('12:08:00')
    world.store = () => backupAt('12:07:00', '12:05:00')
    world.running[1]!.end()
    await settled()
    for (const time of ['12:08:00', '12:09:00']) await world.turn(time)
    expect(world.slots).toEqual(['12:00:00', '12:05:00'])
    expect(world.lines).toEqual([])
    await world.turn('12:10:00')
    expect(world.slots).toEqual(['12:00:00', '12:05:00', '12:10:00'])
  })

  test('that a newer one has overtaken is reported as missed, once', async () => {
    const { world, settled } = started('*/5 * * * *', '12:00:01')
    await settled()
    for (const time of ['12:05:00', '12:10:00', '12:12:00']) await world.turn(time)
    world.store = () => backupAt('12:00:01', '12:00:00')
    world.running[0]!.end()
    await settled()
    expect(world.slots).toEqual(['12:00:00', '12:10:00'])
    expect(world.lines).toEqual(['slots were missed: only the newest is made up for'])
    world.running[1]!.fail()
    await settled()
    await world.turn('12:14:00')
    expect(world.slots).toEqual(['12:00:00', '12:10:00', '12:10:00'])
    expect(world.lines.filter((line) => line.includes('missed'))).toHaveLength(1)
  })

  test('that starts during a turn that fails is not lost', async () => {
    const { world, settled } = started('*/5 * * * *', '12:00:01')
    await settled()
    await world.turn('12:05:00')
    world.running[0]!.fail()
    await settled()
    expect(world.slots).toEqual(['12:00:00', '12:05:00'])
  })
})

describe('the store', () => {
  test('is read once a turn, whether a backup is due or not; what is known after a backup comes with it', async () => {
    const { world, settled } = started('0 12 * * *', '11:58:00', { store: () => backupAt('08:00:00', '12:00:00') })
    await settled()
    expect(world.readings).toBe(1)
    await world.turn('11:59:00')
    expect(world.readings).toBe(2)

    world.store = () => backupAt('08:00:00', '08:00:00')
    await world.turn('12:00:00')
    expect([world.slots, world.readings]).toEqual([['12:00:00'], 3])
    world.store = () => backupAt('12:00:01', '12:00:00')
    world.running[0]!.end()
    await settled()
    expect(world.backup.lastSuccessId).toBe('for 12:00:00')
    expect(world.readings).toBe(3)
  })

  test('is read once more after a failure: another process may have made the backup', async () => {
    const { world, settled } = started('0 12 * * *', '12:00:30')
    await settled()
    world.running[0]!.fail()
    await settled()
    expect(world.readings).toBe(2)
  })
})

describe('the state of the backups', () => {
  test('is overdue an hour after the slot, even while another turn is running', async () => {
    const { world, settled } = started('0 12 * * *', '12:00:30', { store: () => backupAt('08:00:00', '08:00:00') })
    await settled()
    expect(world.slots).toEqual(['12:00:00'])
    await world.turn('12:59:59')
    expect(world.backup.overdue).toBeNull()
    await world.turn('13:00:00')
    expect(world.backup.overdue).toBe(
      'the one scheduled for 2026-03-01T12:00:00.000Z is missing; the newest is 5 h old',
    )
    world.store = () => backupAt('13:01:00', '12:00:00')
    world.running[0]!.end()
    await settled()
    expect(world.backup.overdue).toBeNull()
  })

  test('with an empty store is fine in the first hour, then overdue', async () => {
    const { world, settled } = started('0 0 * * *', '12:00:00')
    await settled()
    expect([world.slots, world.backup.overdue]).toEqual([['00:00:00'], null])
    await world.turn('12:59:00')
    expect(world.backup.overdue).toBeNull()
    await world.turn('13:00:00')
    expect(world.backup.overdue).toBe('there is none in the store: is the store mounted here?')
  })

  test('says that the store is empty, first as a warning, then as an error, until there is a backup', async () => {
    const empty = { ...none, isEmpty: true as const }
    const { world, settled } = started('0 0 * * *', '12:00:00', { store: () => empty })
    await settled()
    // while the first one is being made nothing is wrong
    expect(world.backup.storeEmpty).toBeNull()
    world.running[0]!.fail()
    await settled()
    const message = 'the store has no backup of shop: is the store mounted here?'
    expect(world.backup.storeEmpty).toEqual({ severity: 'warning', message })
    await world.turn('13:00:00')
    expect(world.backup.storeEmpty).toEqual({ severity: 'error', message })
    world.store = () => backupAt('13:01:00', '00:00:00')
    world.running[1]!.end()
    await settled()
    expect(world.backup.storeEmpty).toBeNull()
  })

  test('is overdue when the newest backup is older than check.backupMaxAge', async () => {
    const { world, settled } = started('0 0 * * *', '12:00:00', {
      store: () => ({ ...backupAt('10:00:00', '00:00:00'), damaged: ['bad'] }),
      maxAgeMs: 3_600_000,
    })
    await settled()
    expect(world.backup).toMatchObject({
      overdue: 'the newest is 2 h old, but check.backupMaxAge is 1h',
      damaged: ['bad'],
    })
  })

  test('reports a store that cannot be read, once, for as long as it cannot be read', async () => {
    const { world, settled } = started('0 12 * * *', '12:00:30', {
      store() {
        throw new Error('/store: permission denied')
      },
    })
    await settled()
    for (const time of ['12:01:00', '12:02:00']) await world.turn(time)
    expect(world.backup.storeProblem).toBe('/store: permission denied')
    expect(world.lines).toEqual(['the scheduler could not read the store'])
    world.store = () => backupAt('12:00:00', '12:00:00')
    await world.turn('12:03:00')
    expect(world.backup).toMatchObject({ storeProblem: null, lastError: null })
  })
})

describe('several schedules', () => {
  const bySchedule = (hourly: StoredFacts, daily: StoredFacts): DatabaseFacts => ({
    ...hourly,
    bySchedule: new Map([
      ['hourly', hourly],
      ['daily', daily],
    ]),
  })
  const both = { hourly: '0 * * * *', daily: '0 12 * * *' }

  test('that have one instant in common make a backup each, one after the other', async () => {
    const { world, settled } = started(both, '12:00:01', { store: () => bySchedule(none, none) })
    await settled()
    expect(world.running.map(({ of }) => of)).toEqual(['hourly'])
    world.store = () => bySchedule(backupAt('12:00:01', '12:00:00'), none)
    world.running[0]!.end()
    await settled()
    expect(world.running.map(({ of, slot }) => [of, slot])).toEqual([
      ['hourly', at('12:00:00')],
      ['daily', at('12:00:00')],
    ])
    world.store = () => bySchedule(backupAt('12:00:01', '12:00:00'), backupAt('12:00:09', '12:00:00'))
    world.running[1]!.end()
    await settled()
    await world.turn('12:01:00')
    expect(world.running).toHaveLength(2)
    expect(world.backup).toMatchObject({
      running: false,
      nextRunAt: '2026-03-01T13:00:00.000Z',
      schedules: [
        { name: 'hourly', lastSuccessAt: '2026-03-01T12:00:01.000Z', nextRunAt: '2026-03-01T13:00:00.000Z' },
        { name: 'daily', lastSuccessAt: '2026-03-01T12:00:09.000Z', nextRunAt: '2026-03-02T12:00:00.000Z' },
      ],
    })
  })

  test('fail each on its own, and are overdue each on its own', async () => {
    const old = backupAt('01:00:00', '01:00:00')
    const { world, settled } = started(both, '12:00:01', { store: () => bySchedule(old, old) })
    await settled()
    world.running[0]!.fail()
    await settled()
    world.store = () => bySchedule(old, backupAt('12:00:02', '12:00:00'))
    world.running[1]!.end()
    await settled()
    const message = 'the backup of shop failed: the connection was lost'
    expect(world.backup).toMatchObject({
      lastError: `schedule hourly: ${message}`,
      overdue: null,
      schedules: [
        { lastError: message, retryAt: '2026-03-01T12:01:01.000Z', overdue: expect.stringContaining('11:00:00.000Z') },
        { lastError: null, retryAt: null, overdue: null },
      ],
    })
    expect(world.lines.at(-1)).toBe(message)
  })
})

describe('a slot that fails', () => {
  test('is tried again as often as backup.retries says, and then waits for the next slot', async () => {
    const { world, settled } = started('0 12,18 * * *', '12:00:00')
    await settled()
    const retryAt = () => world.backup.schedules![0]!.retryAt
    for (const [time, next] of [
      ['12:01:00', '12:02:00'],
      ['12:02:00', '13:02:00'],
      ['13:02:00', null],
    ] as const) {
      world.now = at(time)
      world.running.at(-1)!.fail()
      await settled()
      expect(retryAt()).toBe(next === null ? null : at(next).toISOString())
      if (next) await world.turn(next)
    }
    await world.turn('17:59:00')
    expect(world.slots).toEqual(['12:00:00', '12:00:00', '12:00:00'])
    expect(world.backup.lastError).not.toBeNull()
    await world.turn('18:00:00')
    expect(world.slots.at(-1)).toBe('18:00:00')
  })

  test('because somebody else holds it up is tried every hour until the next slot', async () => {
    const { world, settled } = started('0 12,18 * * *', '12:00:00')
    await settled()
    for (const next of ['12:01:00', '13:01:00', '14:01:00', '15:01:00', '16:01:00']) {
      world.running.at(-1)!.fail('locked')
      await settled()
      expect(world.backup.schedules![0]!.retryAt).toBe(at(next).toISOString())
      await world.turn(next)
    }
    world.running.at(-1)!.fail()
    await settled()
    expect(world.backup.schedules![0]!.retryAt).toBe(null)
  })
})

test('what a backup came to is judged before its slot is noted, because the store may hang', async () => {
  const { world, settled } = started('0 12 * * *', '12:00:30')
  await settled()
  const before = world.looks
  world.hangs = true
  world.running[0]!.fail()
  await settled()
  expect(world.looks).toBe(before + 1)
})

describe('backup.jitter', () => {
  test('delays the start and not the slot, and what is overdue is overdue later', async () => {
    const day = { store: () => backupAt('08:00:00', '08:00:00'), delayMs: 90_000 }
    const { world, settled } = started('0 12 * * *', '12:00:00', day)
    await settled()
    expect([world.slots, world.backup.nextRunAt]).toEqual([[], '2026-03-01T12:01:30.000Z'])
    await world.turn('12:01:29')
    expect(world.slots).toEqual([])
    await world.turn('12:01:30')
    expect(world.slots).toEqual(['12:00:00'])
    await world.turn('13:01:29')
    expect(world.backup.overdue).toBeNull()
    await world.turn('13:01:30')
    expect(world.backup.overdue).toContain('is missing')
  })

  test('starts a backup between two full minutes', async () => {
    const { world } = started('0 12 * * *', '11:59:59', { store: () => backupAt('08:00:00', '08:00:00'), delayMs: 300 })
    await world.turn('12:00:00')
    world.now = new Date(at('12:00:00').getTime() + 300)
    await vi.waitFor(() => expect(world.slots).toEqual(['12:00:00']))
  })
})

test('without a schedule nothing is made, and the age of what others make is judged', async () => {
  const { world, settled } = started({}, '12:00:00', { maxAgeMs: 3_600_000 })
  await settled()
  expect([world.slots, world.backup.overdue]).toEqual([[], 'there is none in the store: is the store mounted here?'])
  world.store = () => backupAt('10:00:00', '10:00:00')
  await world.turn('12:01:00')
  expect(world.backup.overdue).toContain('but check.backupMaxAge is 1h')
})

test('a slot that a process before has failed at has failed until there is a backup, and is tried at once', async () => {
  const failed = { slot: at('12:00:00').toISOString(), state: 'failed', problem: 'no space is left' } as SlotRecord
  const { world, settled } = started('0 12 * * *', '12:30:00', { recorded: [failed] })
  await settled()
  expect(world.slots).toEqual(['12:00:00'])
  expect(world.backup).toMatchObject({ looked: true, running: true, lastError: 'no space is left' })
  expect(world.backup.schedules![0]!.since).toMatchObject({ 'backup-failed': failed.slot })
  world.store = () => backupAt('12:31:00', '12:00:00')
  world.running[0]!.end()
  await settled()
  expect(world.backup.lastError).toBeNull()
})
