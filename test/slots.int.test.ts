import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect } from 'vitest'
import { openCatalog } from '../src/archive/catalog.ts'
import type { SlotsFile } from '../src/archive/slot-records.ts'
import type { Schedule } from '../src/backup/schedule.ts'
import { type Cron, parseCron } from '../src/config/cron.ts'
import { AppError } from '../src/errors.ts'
import { silentLog } from '../src/log.ts'
import { keepSlots } from '../src/serve/slots.ts'
import { localStore } from '../src/store/local.ts'
import type { Store } from '../src/store/store.ts'
import { runJson } from './support/cli.ts'
import { counting } from './support/counting.ts'
import { manifestOf, putBackup } from './support/many.ts'
import { test as base, urlOf, writeFiles } from './support/postgres.ts'

const day = (number: number, time = '03:00:00') => new Date(`2026-03-0${number}T${time}Z`)
const daily: Schedule = {
  ...{ name: 'daily', text: '0 3 * * *', cron: parseCron('0 3 * * *') as Cron, zone: 'UTC', jitterMs: 0 },
}

/** A store with a keeper, whose clock says `now`. */
const test = base.extend<{ world: ReturnType<typeof worldIn> }>({
  world: async ({ dir }, use) => use(worldIn(dir)),
})

function worldIn(dir: string) {
  const root = join(dir, 'backups')
  const path = join(root, 'shop', 'slots.json')
  const lines: string[] = []
  const world = {
    path,
    lines,
    now: day(5, '12:00:00'),
    keeper() {
      const { store: counted, asked } = counting(localStore(pathToFileURL(root).href))
      let refused = false
      const open: Store['open'] = async (key) => {
        if (refused) throw new AppError('backup', 'this object may not be replaced')
        return counted.open(key)
      }
      const store: Store = { ...counted, open }
      const catalog = openCatalog(store, () => [])
      const warn = (fields: object | string, message?: string) => void lines.push(message ?? String(fields))
      const keeper = keepSlots(catalog, 'default', { log: { ...silentLog, warn }, now: () => world.now })
      return {
        /** Looks at the store, then notes; what was asked of the store meanwhile is in `asked`. */
        async note(failed?: { slot: Date; problem: string }, schedule = daily) {
          await catalog.update('shop')
          asked()
          return keeper.note('shop', schedule, failed)
        },
        asked,
        refuse(yes: boolean) {
          refused = yes
        },
      }
    },
    put(startedAt: Date, slot: Date | null, schedule = 'daily') {
      const hex = `abcd${startedAt.getUTCDate()}${startedAt.getUTCHours().toString(16).padStart(3, '0')}`
      const series = {
        ...{ name: 'default', schedule, system_identifier: '7', database: 'shop', kind: 'logical' as const },
      }
      return putBackup(root, manifestOf('shop', startedAt, hex, { series, slot: slot?.toISOString() ?? null }))
    },
    /** What the file says of each series. */
    stored: () =>
      (JSON.parse(readFileSync(path, 'utf8')) as SlotsFile).series.map(({ schedule, system_identifier, slots }) => [
        `${schedule} ${system_identifier}`,
        ...slots.map(({ slot, state, id }) => `${slot.slice(8, 10)} ${state}${id === null ? '' : ` ${id}`}`),
      ]),
    write(text: string) {
      mkdirSync(join(root, 'shop'), { recursive: true })
      writeFileSync(path, text)
    },
  }
  return world
}

describe('slots.json', () => {
  test('has what became of slots, and is read and written only when something has', async ({ world }) => {
    const [one, two] = [world.put(day(1), day(1)), world.put(day(2, '05:00:00'), day(2))]
    const { note, asked } = world.keeper()
    const slots = await note()
    expect(slots.map(({ state }) => state)).toEqual(['made', 'late', 'missed', 'missed'])
    expect(slots[0]).toEqual({
      ...{ slot: day(1).toISOString(), state: 'made', id: one, size_bytes: 20, duration_ms: 10, problem: null },
    })
    expect(world.stored()).toEqual([['daily 7', `01 made ${one}`, `02 late ${two}`, '03 missed', '04 missed']])
    expect(asked()).not.toEqual([])

    expect(await note()).toEqual(slots)
    expect(asked()).toEqual([])
    await note({ slot: day(5), problem: 'the disk is full' })
    expect(world.stored()[0]!.at(-1)).toBe('05 failed')
    expect(asked()).not.toEqual([])
    const five = world.put(day(5, '12:00:00'), day(5))
    expect((await note()).at(-1)).toMatchObject({ state: 'late', id: five })

    world.now = day(8, '02:00:00')
    expect((await world.keeper().note()).map(({ state }) => state)).toEqual(
      // of the newest slot nothing is known yet
      ['made', 'late', 'missed', 'missed', 'late', 'missed'],
    )
  })

  test('has no slots that are still to come, whoever wrote them: they would take the place of the others', async ({
    world,
  }) => {
    const nothing = { id: null, size_bytes: null, duration_ms: null, problem: null }
    const slots = Array.from({ length: 400 }, (_, i) => ({
      ...{ slot: new Date(Date.UTC(2099, 0, i)).toISOString(), state: 'missed', ...nothing },
    }))
    const series = { name: 'default', schedule: 'daily', system_identifier: '7', cron: '0 3 * * *', timezone: 'UTC' }
    world.write(JSON.stringify({ schema_version: 1, series: [{ ...series, slots }] }))
    const one = world.put(day(4), day(4))
    const { note } = world.keeper()
    expect(await note()).toMatchObject([{ id: one }])
    expect(world.stored()).toEqual([['daily 7', `04 made ${one}`]])

    // the clock was wrong, and is right again
    world.now = new Date('2099-03-05T12:00:00Z')
    await note()
    world.now = day(5, '12:00:00')
    const two = world.put(day(5), day(5))
    expect((await note()).at(-1)).toMatchObject({ id: two })
  })

  test('keeps what another process has written, and each schedule and server apart', async ({ world }) => {
    const [one, other] = [world.keeper(), world.keeper()]
    const hourly = { ...daily, name: 'hourly', text: '0 * * * *', cron: parseCron('0 * * * *') as Cron }
    await one.note({ slot: day(5), problem: 'no connection' })
    await other.note({ slot: day(5, '12:00:00'), problem: 'no connection' }, hourly)
    expect(world.stored()).toEqual([
      ['daily null', '05 failed'],
      ['hourly null', '05 failed'],
    ])
    const id = world.put(day(5, '12:01:00'), day(5))
    expect(await one.note()).toMatchObject([{ state: 'late', id }])
    expect(world.stored()).toEqual([
      ['daily null', '05 failed'],
      ['hourly null', '05 failed'],
      ['daily 7', `05 late ${id}`],
    ])
  })

  test.for([
    '{ half',
    'null',
    '[]',
    '{"schema_version":1}',
    '{"schema_version":1,"series":[{"name":"default","slots":[{"slot":"yesterday"}]}]}',
  ])('that is damaged or not ours is started again, once: %s', async (text, { world }) => {
    world.write(text)
    const id = world.put(day(4), day(4))
    const { note } = world.keeper()
    await note()
    world.put(day(5), day(5))
    await note()
    expect(world.stored()[0]!.slice(0, 2)).toEqual(['daily 7', `04 made ${id}`])
    expect(world.lines).toEqual(['slots.json is damaged or not ours: it is started again'])
  })

  test('of a newer pgbosun is left as it is', async ({ world }) => {
    const text = '{"schema_version":2,"slots":[]}'
    world.write(text)
    world.put(day(5), day(5))
    const { note } = world.keeper()
    expect(await note()).toMatchObject([{ state: 'made' }])
    await note({ slot: day(5), problem: 'why' })
    expect(readFileSync(world.path, 'utf8')).toBe(text)
    expect(world.lines).toEqual(['slots.json is left as it is, and the slots are not recorded'])
  })

  test('that cannot be read is said once', async ({ world }) => {
    world.put(day(4), day(4))
    const { note } = world.keeper()
    mkdirSync(join(world.path, 'a folder'), { recursive: true })
    expect(await note()).toEqual([])
    await note()
    expect(world.lines).toEqual(['could not record what became of the slots in the store'])
  })

  test('that cannot be written is said once, the slots are shown all the same, and written later', async ({
    world,
  }) => {
    const id = world.put(day(4), day(4))
    const { note, refuse } = world.keeper()
    refuse(true)
    expect(await note()).toMatchObject([{ state: 'made', id }])
    await note({ slot: day(5), problem: 'why' })
    expect(world.lines).toEqual(['could not record what became of the slots in the store'])
    refuse(false)
    world.put(day(5), day(5))
    await note()
    expect(world.stored()[0]).toHaveLength(3)
  })

  test('says nothing of slots that another schedule would have had', async ({ world }) => {
    const id = world.put(day(5), day(5))
    const { note } = world.keeper()
    await note()
    const hourly = { ...daily, text: '0 * * * *', cron: parseCron('0 * * * *') as Cron }
    world.now = day(6, '12:30:00')
    // its newest slot may still be made
    expect(await note(undefined, hourly)).toHaveLength(1)
    world.now = day(6, '13:30:00')
    const next = world.put(day(6, '13:00:00'), day(6, '13:00:00'))
    await note(undefined, hourly)
    expect(world.stored()[0]).toEqual(['daily 7', `05 made ${id}`, `06 made ${next}`])
  })

  test('has no more than 400 slots of a series, and the page shows the newest thirty', async ({ world }) => {
    const often = { ...daily, text: '* * * * *', cron: parseCron('* * * * *') as Cron }
    world.put(day(4), day(4))
    expect(await world.keeper().note(undefined, often)).toHaveLength(30)
    expect(world.stored()[0]).toHaveLength(1 + 400)
  })
})

test('check gives a backup as much more time as backup.jitter says', async ({ dir, database }) => {
  const root = join(dir, 'backups')
  const now = new Date()
  const slot = new Date(now.getTime() - 90 * 60_000)
  const series = { ...{ name: 'default', system_identifier: '7', kind: 'logical' as const }, database }
  putBackup(root, manifestOf(database, new Date(now.getTime() - 25 * 3_600_000), 'abcd0001', { series }))
  const check = async (jitter: string) => {
    const schedule = `${slot.getUTCMinutes()} ${slot.getUTCHours()} * * *`
    await writeFiles(dir, {
      'pgbosun.yaml': JSON.stringify({ backup: { store: pathToFileURL(root).href, schedule, jitter } }),
    })
    return runJson(['check'], { cwd: dir, env: { DATABASE_URL: urlOf(database) } })
  }
  expect(await check('0s')).toMatchObject({
    code: 50,
    json: { backups: { databases: [{ problem: expect.stringContaining('is missing') }] } },
  })
  expect(await check('1h')).toMatchObject({ code: 0, json: { backups: { databases: [{ problem: null }] } } })
})
