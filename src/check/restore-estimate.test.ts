import { expect, test } from 'vitest'
import { storedOn } from '../../test/support/stored.ts'
import { estimateRestore } from './restore-estimate.ts'

const tested = (durationMs: number | null, day = 3) => ({
  restoreTest: {
    at: new Date(Date.UTC(2026, 2, day)),
    ok: durationMs !== null,
    problem: null,
    durationMs,
    server: 's',
  },
})

test('nothing is known without a backup, nor of one that does not say how long it took', () => {
  expect(estimateRestore([])).toBeUndefined()
  expect(estimateRestore([storedOn(1, { durationMs: undefined })])).toBeUndefined()
})

test('the last test restore counts, in proportion to the size', () => {
  const older = storedOn(1, { ...tested(60_000, 2), dumpSizeBytes: 100 })
  const last = storedOn(2, { ...tested(4_000), dumpSizeBytes: 100 })
  expect(estimateRestore([older, last, storedOn(3, { dumpSizeBytes: 250 })])).toEqual({ ms: 10_000, by: 'test' })
  expect(estimateRestore([last])).toEqual({ ms: 4_000, by: 'test' })
})

test('without one that succeeded it is three times the backup', () => {
  const failed = storedOn(1, { ...tested(null), durationMs: 500 })
  expect(estimateRestore([failed])).toEqual({ ms: 1_500, by: 'backup' })
})
