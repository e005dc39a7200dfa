import { describe, expect, test } from 'vitest'
import { AppError } from '../errors.ts'
import { choosePrimary, type SeenHost } from './primary.ts'

const at = (host: string, standby: boolean, system: string | undefined = '1'): SeenHost => ({
  endpoint: { host, port: 5432 },
  standby,
  system,
})
const standby = at('a', true)

function failureOf(others: SeenHost[], from = standby): AppError {
  try {
    choosePrimary(from, others, [{ endpoint: { host: 'z', port: 1 }, problem: 'no answer' }])
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  }
  throw new Error('one was chosen')
}

describe('the primary beside a standby', () => {
  test('is the only one that can be written to', () => {
    const primary = at('c', false)
    expect(choosePrimary(standby, [at('b', true), primary], [])).toBe(primary)
  })

  test('without a primary the error names what each host is', () => {
    const { kind, reason, message } = failureOf([at('b', true)])
    expect({ kind, reason }).toEqual({ kind: 'unreachable', reason: undefined })
    expect(message).toBe('a:5432 is a standby, and there is no primary: b:5432 is a standby too; z:1: no answer')
  })

  test.for<[string, SeenHost[], RegExp]>([
    ['there are two', [at('b', false), at('c', false, '2')], /b:5432, c:5432/],
    ['it is of another cluster', [at('b', false, '2')], /a:5432 .*b:5432.* 1 and 2/],
    [
      'its cluster is not known',
      [{ ...at('b', false), system: undefined }],
      /a:5432 .*b:5432.*pg_control_system\(\) at b:5432/,
    ],
  ])('cannot be told where %s', ([, others, message]) => {
    expect(failureOf(others)).toMatchObject({ reason: 'unclear-primary', message: expect.stringMatching(message) })
  })
})
