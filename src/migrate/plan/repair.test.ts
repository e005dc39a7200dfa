import { expect, test } from 'vitest'
import { file, flyways, ours, row } from '../../../test/support/migrations.ts'
import type { Applied, Migration } from '../../formats/types.ts'
import { planRepair, type RepairWanted } from './repair.ts'
import type { HistoryPolicy } from './verify.ts'

type Case = { repeated?: Applied[]; table?: string; policy?: HistoryPolicy }

const plan = (
  files: Migration[],
  applied: Applied[],
  wanted: RepairWanted = {},
  { repeated = [], table, policy = ours }: Case = {},
) => planRepair(files, { applied, repeated, lastSeq: 3, lastDetail: 7 }, { policy, table }, wanted)

const repairs = (...args: Parameters<typeof plan>) =>
  plan(...args).repairs.map(({ action, name, wrong }) => `${action} ${name} ${wrong}`)

const at = (done: number, direction: 'up' | 'down' = 'up') => ({ direction, done, running: false, sha256: '' })

test('finds nothing where everything fits', () => {
  expect(plan([file(1), file(2)], [row(1)])).toEqual({ repairs: [], lastSeq: 3, lastDetail: 7 })
})

test('accepts what was changed or renamed, and nothing else', () => {
  const files = [file(1, { sha256: 'new', checksum: 'new' }), file(2, { name: '2_better' }), file(3), file(4), file(5)]
  const applied = [
    row(1),
    row(2),
    row(3, { status: 'started' }),
    row(4, { progress: at(1, 'down'), sha256: 'x', checksum: 'x' }),
  ]
  expect(repairs(files, applied)).toEqual([
    'realign 1_x was changed after it was applied',
    'realign 2_better was applied under the name 2_x',
  ])
})

test('accepts other line endings, as something safe', () => {
  const [repair] = plan([file(1, { checksum: 'crlf', accepts: (sum) => sum === 'sha of 1' })], [row(1)]).repairs
  expect(repair).toMatchObject({
    action: 'realign',
    check: expect.stringMatching(/^safe: the content is what was applied/),
  })
})

test('names the tables and the checksums that will be written', () => {
  const sum = (letter: string) => letter.repeat(64)
  const changed = (checksum: string | null) => [file(1, { sha256: sum('b'), checksum })]
  const writes = (files: Migration[], one: Applied, other: Case = {}) =>
    plan(files, [one], {}, other).repairs[0]?.writes
  expect(writes(changed(sum('b')), row(1, { sha256: sum('a'), checksum: sum('a') }))).toBe(
    'pgbosun.migrations: sha256 aaaaaaaaaaaa… becomes bbbbbbbbbbbb…',
  )
  expect(writes(changed('-12'), row(1, { checksum: '99' }), { table: 'app.history', policy: flyways })).toBe(
    'app.history: checksum 99 becomes -12',
  )
  expect(writes(changed(null), row(1, { sha256: sum('a'), checksum: null }), { table: 'public.x' })).toBe(
    'pgbosun.migration_details: sha256 aaaaaaaaaaaa… becomes bbbbbbbbbbbb…',
  )
})

test('a description that the tool compares is one that is renamed', () => {
  const files = [file(1, { native: { description: 'new' } }), file(2, { native: { description: 'same' } })]
  const applied = [row(1, { description: 'old' }), row(2, { description: 'same', name: 'elsewhere/V2__same' })]
  expect(repairs(files, applied, {}, { table: 'h', policy: flyways })).toEqual([
    'realign 1_x was applied under the description old',
  ])
})

test('leaves a baseline alone', () => {
  const marker = row(2, { status: 'baseline', checksum: null, sha256: null, description: '<< Flyway Baseline >>' })
  expect(repairs([file(2, { native: { description: 'x' } })], [marker], {}, { table: 'h', policy: flyways })).toEqual(
    [],
  )
})

test('what stopped becomes applied or pending, as a person says, and nothing else is changed', () => {
  const files = [file(1, { checksum: 'edited' }), file(2), file(3)]
  const applied = [row(1), row(2, { status: 'started' }), row(3, { status: 'failed' })]
  expect(repairs(files, applied, { applied: '2_x', pending: '003' }, { policy: flyways })).toEqual([
    'applied 2_x was started outside a transaction and did not finish',
    'pending 3_x failed, or was interrupted, when flyway applied it',
  ])
  expect(plan(files, applied, { applied: '3' }).repairs[0]).toMatchObject({ before: { id: '2' }, file: { id: '3' } })
})

test('what is so already needs no repair', () => {
  expect(repairs([file(1), file(2)], [row(1)], { applied: '1' })).toEqual([])
  expect(repairs([file(1), file(2)], [row(1)], { pending: '2' })).toEqual([])
})

test.each([
  [null, 'check that all of it took effect', 'check what it left behind'],
  [at(1), 'everything after its first statement took effect too', 'undo its first statement by hand: it took effect'],
  [
    at(3),
    'everything after its first 3 statements took effect too',
    'undo its first 3 statements by hand: they took effect',
  ],
  [at(2, 'down'), 'check that all of it is in effect, and redo by hand', 'check that all of it is undone'],
])('says what to look at: %j', (progress, applied, pending) => {
  const rows = [row(1, { status: progress?.direction === 'down' ? 'applied' : 'started', progress })]
  expect(plan([file(1)], rows, { applied: '1' }).repairs[0]?.check).toContain(applied)
  expect(plan([file(1)], rows, { pending: '1' }).repairs[0]?.check).toContain(pending)
})

test('golang-migrate does not say in which direction it stopped', () => {
  const policy = { ...ours, format: 'golang-migrate', own: false, keepsOnlyNewest: true }
  const [repair] = plan(
    [file(1)],
    [row(1, { status: 'failed' })],
    { applied: '1' },
    { policy, table: 'public.schema_migrations' },
  ).repairs
  expect(repair?.check).toContain('undoing the migration after it failed')
})

test('forgets one whose file is gone, by what the history knows of it', () => {
  const [repair] = plan([file(1), file(3)], [row(1), row(2), row(3)], { forget: '2' }).repairs
  expect(repair).toMatchObject({ action: 'forget', name: '2_x', file: { id: '2', path: '' }, before: { id: '1' } })
})

test('forgets a repeatable one too', () => {
  const repeated = [row(0, { id: 'R:v', name: 'R__v' })]
  const [repair] = plan([file(1)], [row(1)], { forget: 'R__v' }, { repeated, table: 'h', policy: flyways }).repairs
  expect(repair).toMatchObject({ action: 'forget', file: { id: 'R:v', kind: 'repeatable' }, before: undefined })
})

test.each<[RepairWanted, string]>([
  [{ applied: '9' }, '9 is unknown'],
  [{ applied: '2' }, '2 is not recorded: it is pending'],
  [{ pending: '1' }, '1_x is applied: it did not stop halfway'],
  [{ pending: '9' }, '9 is not in the history'],
  [{ forget: '1' }, '1_x still has its file'],
  [{ forget: '5' }, 'stands for all migrations up to it'],
  [{ applied: '4' }, '4_x has no file that could be recorded'],
  [{ applied: '3', forget: '3_x' }, 'two flags contradict each other'],
])('refuses %j', (wanted, message) => {
  const applied = [row(1), row(3, { status: 'started' }), row(4, { status: 'started' }), row(5, { status: 'baseline' })]
  expect(() => plan([file(1), file(2), file(3)], applied, wanted)).toThrow(
    expect.objectContaining({ kind: 'usage', message: expect.stringContaining(message), hint: expect.any(String) }),
  )
})
