import { expect, test } from 'vitest'
import { heldOf, misfit, needOfFile, needOfMessage, tooLarge } from './room.ts'

const mebi = 1024 * 1024
/** The image in a container with 64 MiB. */
const small = { total: 64 * mebi, heap: 35 * mebi }
const nothing = { heap: 0, outside: 0 }

test.each([
  [20_000_000, true, undefined],
  [22_000_000, true, { needed: 24 * mebi + 44_000_000, limit: small.total, of: 'memory' }],
  // With one character that is not ASCII each has two bytes.
  [13_000_000, false, undefined],
  [20_000_000, false, { needed: 24 * mebi + 60_000_000, limit: small.total, of: 'memory' }],
] as const)('a file of %i bytes, ASCII %s, in 64 MiB', (bytes, ascii, expected) => {
  expect(misfit(needOfFile(bytes, ascii), nothing, small, bytes)).toEqual(expected)
})

test('a format that takes files apart line by line needs more', () => {
  expect(misfit(needOfFile(10_000_000, true, 2.5), nothing, small)?.of).toBe('memory')
  expect(misfit(needOfFile(10_000_000, true, 2.5), nothing, { total: 128 * mebi, heap: 67 * mebi })).toBeUndefined()
})

test('files beside each other count, small ones on the heap', () => {
  const large = heldOf('x'.repeat(2_000_000), true)
  expect(large).toEqual({ heap: 0, outside: 2_000_000 })
  expect(heldOf('é'.repeat(500_000), false)).toEqual({ heap: 1_000_000, outside: 0 })
  expect(misfit(needOfFile(900_000, true), { heap: 19 * mebi, outside: 0 }, small)?.of).toBe('heap')
  expect(misfit(needOfFile(900_000, true), { heap: 0, outside: 39 * mebi }, small)?.of).toBe('memory')
})

test('one statement is in memory twice more while it is sent', () => {
  const bytes = 13_000_000
  expect(misfit(needOfMessage(bytes), { heap: 0, outside: bytes }, small)).toBeUndefined()
  expect(misfit(needOfMessage(bytes), { heap: 0, outside: 2 * bytes }, small)?.of).toBe('memory')
})

test('no text is longer than Node allows, whatever memory there is', () => {
  const much = { total: 64 * 1024 * mebi, heap: 4 * 1024 * mebi }
  expect(misfit(needOfFile(600 * mebi, true), nothing, much, 600 * mebi)?.of).toBe('string')
  expect(misfit(needOfFile(500 * mebi, true), nothing, much, 500 * mebi)).toBeUndefined()
})

test('says the size, the limit and the ways out', () => {
  const error = tooLarge('m/1_rows.sql', 'reading its 40 MiB', { needed: 104 * mebi, limit: small.total, of: 'memory' })
  expect(error).toMatchObject({ kind: 'migration', place: { file: 'm/1_rows.sql' } })
  expect(error.message).toBe(
    'm/1_rows.sql is too large: reading its 40 MiB needs 104 MiB of memory, but this process has 64 MiB',
  )
  expect(error.hint).toBe(
    'give it more memory: at least 104 MiB; or load the rows as a seed from a CSV file, which takes little memory, whatever its size',
  )
})
