import { describe, expect, test } from 'vitest'
import { columnsIn, parseCondition } from './condition.ts'

describe('a condition', () => {
  test.for([
    '',
    ' ',
    'f(a)',
    'a = f()',
    'app.a',
    'a::text = 1',
    'a = 1; drop table t',
    'a = 1 -- b',
    'a /* b */ = 1',
    'a = (select 1)',
    '(select a)',
    'a in (select b from c)',
    "a = E'\\n'",
    "a = 'x\\'",
    "a = date '2026-01-01'",
    'a = $$x$$',
    'a + 1 = 2',
    'a =',
    '(a = 1',
    'a = 1)',
    'a = 1abc',
    'a = "b',
    'a not',
    'and',
    'a in ()',
    'a and',
    "a = 'x\0'",
    'a = any (b)',
    'a is distinct from b',
  ])('is nothing that could run code: %j', (text) => {
    expect(parseCondition(text)).toBeUndefined()
  })

  test('knows its columns', () => {
    expect(columnsIn(parseCondition('a = 1 and (b in (c, 2) or not "D" is null) and e')!)).toEqual([
      'a',
      'b',
      'c',
      'b',
      'D',
      'e',
    ])
  })
})
