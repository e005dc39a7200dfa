import { expect, test } from 'vitest'
import type { Backup } from '../archive/backup.ts'
import type { SlotRecord } from '../archive/slot-records.ts'
import { type Cron, parseCron } from '../config/cron.ts'
import { judgeSlots, type SlotFacts } from './slots.ts'

const day = (number: number, time = '03:00:00') => new Date(`2026-03-0${number}T${time}Z`)
const backup = (id: string, slot: Date | null, takenAt: Date) =>
  ({ id, slot, takenAt, sizeBytes: 10, durationMs: 60_000 }) as Backup
const recorded = (number: number, state: SlotRecord['state'], cron = '0 3 * * *') => ({
  slots: [{ slot: day(number).toISOString(), state, id: null, size_bytes: null, duration_ms: null, problem: null }],
  cron,
  timezone: 'UTC',
})
const facts: SlotFacts = {
  schedule: { name: '', text: '0 3 * * *', cron: parseCron('0 3 * * *') as Cron, zone: 'UTC', jitterMs: 0 },
  backups: [],
  recorded: { slots: [] },
  failed: undefined,
  graceMs: 3_600_000,
  now: day(5, '12:00:00'),
}
const found = (change: Partial<SlotFacts>) =>
  judgeSlots({ ...facts, ...change }).map(({ slot, state, id }) => `${slot.slice(8, 10)} ${state} ${id ?? '-'}`)

const [first, fifth] = [backup('one', day(1), day(1)), backup('five', day(5), day(5, '03:00:02'))]

test.each<[string, Partial<SlotFacts>, string[]]>([
  ['nothing is said of a slot that may still be made', {}, []],
  ['a slot that was tried has failed', { failed: { slot: day(5), problem: 'why' } }, ['05 failed -']],
  [
    'those that passed while nothing ran were missed, but for the newest',
    { recorded: recorded(2, 'made') },
    ['02 missed -', '03 missed -', '04 missed -'],
  ],
  [
    'one that is made up is late',
    { recorded: recorded(3, 'made'), backups: [backup('late', day(5), day(5, '11:00:00'))] },
    ['03 missed -', '04 missed -', '05 late late'],
  ],
  [
    'a backup by hand counts for the slot before it, and not for others',
    { recorded: recorded(3, 'missed'), backups: [backup('hand', null, day(4, '03:30:00'))] },
    ['03 missed -', '04 made hand'],
  ],
  [
    'a backup of the slot itself counts before one by hand',
    { recorded: recorded(4, 'made'), backups: [backup('hand', null, day(5, '03:00:01')), fifth] },
    ['04 missed -', '05 made five'],
  ],
  [
    'a backup counts until the next slot',
    { recorded: recorded(4, 'made'), backups: [backup('x', null, day(5))] },
    ['04 missed -', '05 made x'],
  ],
  [
    'without a record, it begins with the backups that are there',
    { backups: [first, backup('hand', null, day(2)), fifth] },
    ['01 made one', '05 made five'],
  ],
  [
    'without a record, what came after the newest backup was missed',
    { backups: [first] },
    ['01 made one', '02 missed -', '03 missed -', '04 missed -'],
  ],
  [
    'of another schedule, only the newest slot is known',
    { recorded: recorded(2, 'made', '@hourly'), backups: [fifth] },
    ['05 made five'],
  ],
  [
    'a record from the future of a wrong clock is left out',
    {
      recorded: { ...recorded(4, 'made'), slots: [4, 9].flatMap((number) => recorded(number, 'made').slots) },
      backups: [fifth],
    },
    ['04 missed -', '05 made five'],
  ],
])('%s', (_, change, expected) => {
  expect(found(change)).toEqual(expected)
})

test('a backup is late when it ended after the grace, which begins when the jitter is over', () => {
  const ended = (time: string, jitterMs = 0) =>
    judgeSlots({
      ...facts,
      schedule: { ...facts.schedule, jitterMs },
      backups: [backup('five', day(5), day(5, time))],
    })[0]?.state
  expect([ended('03:59:00'), ended('03:59:01'), ended('03:59:01', 1_000)]).toEqual(['made', 'late', 'made'])
})

test('a record has what is known of the backup, or why there is none', () => {
  const nothing = { id: null, size_bytes: null, duration_ms: null }
  expect(judgeSlots({ ...facts, backups: [fifth] })).toEqual([
    { slot: day(5).toISOString(), state: 'made', id: 'five', size_bytes: 10, duration_ms: 60_000, problem: null },
  ])
  expect(judgeSlots({ ...facts, failed: { slot: day(5), problem: 'why' } })).toEqual([
    { slot: day(5).toISOString(), state: 'failed', ...nothing, problem: 'why' },
  ])
})
