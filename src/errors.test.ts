import { describe, expect, test } from 'vitest'
import { AppError, type ErrorOptions, hasReason, withReport } from './errors.ts'

describe('an error that is told differently', () => {
  const all: ErrorOptions = {
    ...{ reason: 'pooler', hint: 'set a key', sqlstate: '08P01', excerpt: '1 | select', cause: new Error('below') },
    ...{ report: { id: 1 }, file: 'a.sql', line: 2, column: 3 },
  }
  const error = new AppError('refused', 'db:6432 is a pooler', all)
  const fieldsOf = ({ kind, message, reason, hint, sqlstate, excerpt, cause, report, place }: AppError) => ({
    ...{ kind, message, reason, hint, sqlstate, excerpt, cause, report, ...place },
  })

  test('keeps all that is not given', () => {
    expect(fieldsOf(error.with({}))).toEqual({ kind: 'refused', message: 'db:6432 is a pooler', ...all })
  })

  test('has what is given in its place', () => {
    const told = error.with({ kind: 'restore', message: 'it failed', hint: undefined, report: { id: 2 } })
    expect(fieldsOf(told)).toEqual({
      ...all,
      kind: 'restore',
      message: 'it failed',
      hint: undefined,
      report: { id: 2 },
    })
  })

  test('gets fields for the document, but none that it has already', () => {
    expect(withReport(error, { id: 9, steps: [] }).report).toEqual({ id: 1, steps: [] })
  })

  test('is known by its reason, whatever its message says', () => {
    expect(hasReason(error.with({ message: 'other words' }), 'pooler')).toBe(true)
    expect(hasReason(error, 'connection-lost')).toBe(false)
    expect(hasReason(new Error('a pooler'), 'pooler')).toBe(false)
  })
})
