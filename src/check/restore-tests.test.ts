import { expect, test } from 'vitest'
import { judgeBackups } from './backups.ts'
import { judgeRestoreTests, type RestoreTestFacts, renderRestoreTest } from './restore-tests.ts'

const at = (text: string) => new Date(`2026-03-${text}Z`)
const good = {
  ...{ id: 'a', at: at('08T05:00:01'), ok: true, problem: null },
  ...{ durationMs: 3_100, server: 'db-test:5432, PostgreSQL 17.2' },
}
const bad = { ...good, ok: false, problem: 'it broke', durationMs: null }
const facts: RestoreTestFacts = {
  database: 'shop',
  last: good,
  newestSlot: at('08T05:00:00'),
  since: at('01T00:00:00'),
}

test.each<[string, Partial<RestoreTestFacts>, string | undefined, string | undefined]>([
  ['nothing is wrong after a good one', {}, undefined, undefined],
  ['nothing is asked for without a schedule', { last: undefined, newestSlot: undefined }, undefined, undefined],
  ['nothing is due without a backup', { last: undefined, since: undefined }, undefined, undefined],
  [
    'nothing is due before the first slot after the first backup',
    { last: undefined, since: at('08T06:00:00') },
    undefined,
    undefined,
  ],
  [
    'one that never was is overdue',
    { last: undefined },
    undefined,
    'no backup of shop was restored for a test since 2026-03-08T05:00:00.000Z, when it was due; none ever was',
  ],
  [
    'an older one does not count for the slot',
    { last: { ...good, at: at('08T04:59:59') } },
    undefined,
    'no backup of shop was restored for a test since 2026-03-08T05:00:00.000Z, when it was due; the last time was 2026-03-08T04:59:59.000Z',
  ],
  [
    'one that failed is not overdue',
    { last: bad },
    'the backup a of shop could not be restored for a test on db-test:5432, PostgreSQL 17.2: it broke',
    undefined,
  ],
])('%s', (_, change, failed, overdue) => {
  expect(judgeRestoreTests({ ...facts, ...change })).toEqual({ failed, overdue })
})

test('the time of the restore is shown with the server that it is of', () => {
  expect(renderRestoreTest(good)).toBe('restored in 3.1 s on db-test:5432, PostgreSQL 17.2 (2026-03-08T05:00:01.000Z)')
  expect(renderRestoreTest(bad)).toBe('test restore FAILED (2026-03-08T05:00:01.000Z)')
})

test('check fails after a failed one, and warns of an overdue one', () => {
  const judge = (restoreTests: Partial<RestoreTestFacts>) =>
    judgeBackups(
      [
        {
          ...{ database: 'shop', store: 'file:///b', newest: undefined, lastVerifiedAt: undefined, damaged: [] },
          ...{ newestSlot: undefined, nextRunAt: undefined, since: undefined },
          restoreTests: { ...facts, ...restoreTests },
        },
      ],
      { maxAgeMs: undefined, now: at('09T00:00:00') },
    )
  expect(judge({})).toMatchObject({
    errors: [],
    warnings: [],
    entries: [{ restore_test: { ok: true, duration_ms: 3_100 } }],
  })
  expect(judge({ last: bad }).errors).toEqual([expect.stringContaining('could not be restored for a test')])
  expect(judge({ last: undefined })).toMatchObject({
    errors: [],
    warnings: [expect.stringContaining('none ever was')],
    entries: [{ restore_test: null }],
  })
})
