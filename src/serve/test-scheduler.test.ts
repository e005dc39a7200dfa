import { setImmediate as breathe } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { StoredFacts } from '../backup/facts.ts'
import { type Cron, parseCron } from '../config/cron.ts'
import { AppError, type Kind } from '../errors.ts'
import { silentLog } from '../log.ts'
import { type BackupState, noRestoreTest } from './state.ts'
import { createTestScheduler } from './test-scheduler.ts'

const at = (time: string) => new Date(`2026-03-01T${time}Z`)

/** A test scheduler with a clock and a store of the test's own. */
function started({ scheduled = true }: { scheduled?: boolean } = {}) {
  const backup = { database: 'shop', restoreTest: noRestoreTest() } as BackupState
  const stop = new AbortController()
  const world = {
    state: backup.restoreTest,
    now: at('04:59:00'),
    facts: {
      ...{ covered: undefined, lastVerifiedAt: undefined, damaged: [], firstAt: at('03:00:00') },
      newest: { id: 'a', takenAt: at('03:00:00'), slot: null },
    } as StoredFacts | undefined,
    tried: [] as string[],
    ends: [] as { good(): void; bad(kind: Kind): void }[],
    stop,
    async turn(time: string) {
      world.now = at(time)
      scheduler.turn()
      await settled()
    },
  }
  const settled = async () => {
    for (let i = 0; i < 10; i++) await breathe()
  }
  const scheduler = createTestScheduler({
    schedule: scheduled ? { cron: parseCron('0 5 * * *') as Cron, zone: 'UTC' } : undefined,
    where: 'url',
    timeoutMs: 0,
    backups: [backup],
    factsOf: () => world.facts,
    test: ({ id }) =>
      new Promise((resolve, reject) => {
        world.tried.push(id)
        world.ends.push({
          good() {
            const test = { id, at: world.now, ok: true, problem: null, durationMs: 1, server: 'db' }
            world.facts = { ...world.facts!, restoreTest: test }
            resolve()
          },
          bad: (kind) => reject(new AppError(kind, 'the server is full', { hint: 'empty it' })),
        })
      }),
    onLook() {},
    now: () => world.now,
    log: silentLog,
    signal: stop.signal,
  })
  return Object.assign(world, { settled })
}

test('the newest good backup is restored once for a slot, and not twice at once', async () => {
  const world = started()
  world.facts = {
    ...world.facts!,
    restoreTest: { id: 'z', at: at('00:00:00'), ok: true, problem: null, durationMs: 1, server: 'db' },
  }
  await world.turn('04:59:00')
  expect(world).toMatchObject({ tried: [], state: { nextRunAt: at('05:00:00').toISOString(), running: false } })
  await world.turn('05:00:00')
  expect(world).toMatchObject({ tried: ['a'], state: { running: true, nextRunAt: '2026-03-02T05:00:00.000Z' } })
  await world.turn('05:01:00')
  expect(world.tried).toEqual(['a'])
  world.ends[0]!.good()
  await world.settled()
  expect(world.state).toMatchObject({ running: false, last: { id: 'a', ok: true }, failed: null, lastError: null })
  await world.turn('05:02:00')
  expect(world.tried).toEqual(['a'])
})

test('one that could not be made is told with what to do, and tried again later', async () => {
  const world = started()
  await world.turn('05:00:00')
  world.ends[0]!.bad('restore')
  await world.settled()
  expect(world.state.lastError).toEqual({
    message: 'the backup a of shop could not be tried: the server is full',
    hint: 'empty it',
  })
  await world.turn('05:00:30')
  expect(world.tried).toHaveLength(1)
  await world.turn('05:01:00')
  expect(world.tried).toHaveLength(2)
  world.ends[1]!.good()
  await world.settled()
  expect(world.state.lastError).toBeNull()
})

test('another one that is running on the server is no failure', async () => {
  const world = started()
  await world.turn('05:00:00')
  world.ends[0]!.bad('locked')
  await world.settled()
  expect(world.state.lastError).toBeNull()
  await world.turn('05:01:00')
  expect(world.tried).toHaveLength(2)
})

test('one that another process made ends the failure', async () => {
  const world = started()
  await world.turn('05:00:00')
  world.ends[0]!.bad('restore')
  await world.settled()
  const test = { id: 'a', at: at('05:00:40'), ok: false, problem: 'it broke', durationMs: null, server: 'db' }
  world.facts = { ...world.facts!, restoreTest: test }
  await world.turn('05:01:00')
  expect(world.tried).toHaveLength(1)
  expect(world.state).toMatchObject({ lastError: null, failed: expect.stringContaining('it broke') })
})

test('nothing is restored without a schedule, a backup or a reading of the store, nor after a stop', async () => {
  const without = started({ scheduled: false })
  await without.turn('05:00:00')
  const empty = started()
  empty.facts = { ...empty.facts!, newest: undefined }
  await empty.turn('05:00:00')
  const unread = started()
  unread.facts = undefined
  await unread.turn('05:00:00')
  const stopped = started()
  stopped.stop.abort()
  await stopped.turn('05:00:00')
  expect([without, empty, unread, stopped].flatMap(({ tried }) => tried)).toEqual([])
})
