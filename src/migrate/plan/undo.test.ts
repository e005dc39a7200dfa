import { expect, test } from 'vitest'
import { ours } from '../../../test/support/migrations.ts'
import type { Applied, Migration, Progress, Script } from '../../formats/types.ts'
import { planUndo, type UndoWanted } from './undo.ts'
import { doneHash, type HistoryPolicy } from './verify.ts'

const flyways: HistoryPolicy = { ...ours, format: 'flyway', own: false }

const script = (text: string, extra: Partial<Script> = {}): Script => ({
  path: 'migrations/x.down.sql',
  text,
  line: 1,
  transactional: true,
  ...extra,
})

/** @param down null: nothing undoes it */
const file = (version: number, down: Script | null = script(`drop table t${version}`)): Migration => ({
  ...script(`create table t${version} ()`),
  ...{ id: String(version), name: `${version}_x`, kind: 'versioned', sha256: '', checksum: '', native: {} },
  ...(down && { down: () => down }),
})

const row = (version: number, extra: Partial<Applied> = {}): Applied => ({
  ...{ id: String(version), name: `${version}_x`, checksum: '', sha256: '', status: 'applied', progress: null },
  ...{ appliedAt: null, durationMs: null, appliedBy: null, toolVersion: null, seq: version },
  ...extra,
})

const files = [file(1), file(2), file(9), file(10)]
const applied = [row(1), row(2), row(9), row(10)]

const plan = (history: Applied[], wanted: UndoWanted = {}, { policy = ours, of = files } = {}) =>
  planUndo(of, { applied: history, repeated: [row(3)], lastSeq: 20, lastDetail: 7 }, policy, wanted)

const undone = (...args: Parameters<typeof plan>) => plan(...args).steps.map(({ name }) => name)

/** The error of a plan that is refused. */
function refusal(...args: Parameters<typeof plan>) {
  try {
    return plan(...args)
  } catch (error) {
    const { kind, message, hint } = error as Record<string, string>
    return { kind, message, hint }
  }
}

test.each<[string, UndoWanted, string[]]>([
  ['the newest one when nothing is said', {}, ['10_x']],
  ['as many as are asked for, newest first', { steps: 3 }, ['10_x', '9_x', '2_x']],
  ['all of them when there are no more', { steps: 9 }, ['10_x', '9_x', '2_x', '1_x']],
  ['none when none is asked for', { steps: 0 }, []],
  ['what is newer than a version', { to: '2' }, ['10_x', '9_x']],
  ['what is newer than a name', { to: '9_x' }, ['10_x']],
  ['nothing when the newest is to stay', { to: '10' }, []],
  ['everything with 0', { to: '0' }, ['10_x', '9_x', '2_x', '1_x']],
])('undoes %s', (_, wanted, names) => {
  expect(undone(applied, wanted)).toEqual(names)
})

test('undoes by version, whatever was applied last', () => {
  expect(undone([row(10), row(1), row(9), row(2)], { steps: 2 })).toEqual(['10_x', '9_x'])
})

test.each([
  ['applied', ['10_x', '1_x']],
  ['faked', ['10_x', '1_x']],
  ['adopted', ['10_x', '1_x']],
  ['baseline', ['1_x']],
  ['started', ['1_x']],
  ['failed', ['1_x']],
] as const)('of the newest, recorded as %s, undoes %j', (status, names) => {
  expect(undone([row(1), row(10, { status })], { to: '0' })).toEqual(names)
})

test('a step carries all that undoing needs', () => {
  const down = script('drop table t9')
  const of = [file(1), file(9, down)]
  const newest = row(9)
  expect(plan([row(1), newest], {}, { of })).toEqual({
    steps: [
      {
        file: of[1],
        name: '9_x',
        down,
        sending: { mode: 'wrapped', text: 'drop table t9', isolation: undefined },
        row: newest,
        before: of[0],
        resume: undefined,
        reason: 'is applied',
      },
    ],
    lastSeq: 20,
    lastDetail: 7,
  })
})

test('nothing is before the first one, and repeatable files are none of the order', () => {
  const of: Migration[] = [{ ...file(0), kind: 'repeatable' }, file(1)]
  expect(plan([row(1)], {}, { of }).steps.map(({ before }) => before)).toEqual([undefined])
})

test('says what runs outside a transaction, and why', () => {
  const reasonOf = (text: string, extra?: Partial<Script>) =>
    plan([row(1)], {}, { of: [file(1, script(text, extra))] }).steps[0]?.reason
  expect(reasonOf('drop index concurrently i')).toBe('is applied, outside a transaction (DROP INDEX CONCURRENTLY)')
  expect(reasonOf('select 1', { transactional: false })).toMatch(/outside a transaction/)
})

test('what cannot be sent is planned with its refusal; a transaction of its own is one for our files only', () => {
  const of = [file(1, script('begin; drop table t; commit'))]
  expect(plan([row(1)], {}, { of }).steps).toMatchObject([{ reason: 'is applied', sending: { kind: 'lint' } }])
  expect(plan([row(1)], {}, { of, policy: flyways }).steps).toMatchObject([{ sending: { mode: 'wrapped' } }])
})

const text = 'drop index concurrently a; drop index concurrently b'
const progress = (extra: Partial<Progress> = {}): Progress => ({
  ...{ direction: 'down', done: 1, running: false, sha256: doneHash(text, 25) },
  ...extra,
})

test('goes on where undoing was interrupted, and says so', () => {
  const of = [file(1, script(text))]
  const stopped = progress()
  const [step] = plan([row(1, { progress: stopped })], {}, { of }).steps
  expect(step).toMatchObject({ resume: stopped, reason: expect.stringMatching(/interrupted at statement 2, outside/) })
})

test('refuses to continue where what already ran was changed', () => {
  const of = [file(1, script(text.replace(' a;', ' c;')))]
  expect(refusal([row(1, { progress: progress() })], {}, { of })).toMatchObject({ kind: 'history' })
})

test('takes no notice of how far applying it came', () => {
  const of = [file(1, script(text))]
  expect(plan([row(1, { progress: progress({ direction: 'up' }) })], {}, { of }).steps).toMatchObject([
    { resume: undefined },
  ])
})

test.each<[string, Applied[], UndoWanted, { policy?: HistoryPolicy; of?: Migration[] }, RegExp]>([
  ['a version that is not applied', [row(1)], { to: '2' }, {}, /2/],
  ['a version that only began', [row(1), row(2, { status: 'started' })], { to: '2' }, {}, /2/],
  ['one without its file', applied, {}, { of: [file(1)] }, /^10_x /],
  ['one whose file is repeatable now', [row(1)], {}, { of: [{ ...file(1), kind: 'repeatable' }] }, /^1_x /],
  ['one that nothing undoes', [row(1)], {}, { of: [file(1, null)] }, /^1_x /],
])('refused is %s', (_, history, wanted, how, message) => {
  expect(refusal(history, wanted, how)).toEqual({
    kind: 'usage',
    message: expect.stringMatching(message),
    hint: expect.any(String),
  })
})

test('where a format has no scripts that undo, none is asked for', () => {
  const policy = { ...flyways, neverUndoes: true }
  expect(refusal([row(1)], {}, { of: [file(1, null)], policy })).toEqual({
    kind: 'usage',
    message: '1_x cannot be undone: the format flyway has no scripts that undo',
    hint: 'write a new migration that changes it back, or restore a backup',
  })
})

test('the hint names the file to write, or the tool whose way it is', () => {
  const of = [file(1, null)]
  expect(refusal([row(1)], {}, { of })).toMatchObject({ hint: expect.stringContaining('1_x.down.sql') })
  expect(refusal([row(1)], {}, { of, policy: flyways })).toMatchObject({ hint: expect.stringContaining('flyway') })
})
