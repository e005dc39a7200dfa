import { expect, test } from 'vitest'
import { includes, isPattern, matches } from './wildcards.ts'

test('* stands for any characters, ? for one, and everything else for itself', () => {
  const cases: [string, string, boolean][] = [
    ['*', '', true],
    ['*', 'a\nb', true],
    ['shop_*', 'shop_', true],
    ['shop_*', 'shop_1', true],
    ['shop_*', 'shop', false],
    ['shop_*', 'my_shop_1', false],
    ['shop?', 'shop1', true],
    ['shop?', 'shop', false],
    ['shop?', 'shop😀', true],
    ['a**b', 'a/b', true],
    ['a.b*', 'aXb', false],
    ['a.b*', 'a.b', true],
    ['(a|b)[c]{2}$^\\+/-*', '(a|b)[c]{2}$^\\+/-', true],
    ['Shop*', 'shop', false],
    ['a*b?', 'a*b?', true],
  ]
  for (const [pattern, name, expected] of cases)
    expect(matches(pattern, name), `${pattern} on ${JSON.stringify(name)}`).toBe(expected)
})

test('a list has a name as itself or by a pattern', () => {
  expect(['shop', 'sh*', 'sh?p'].map(isPattern)).toEqual([false, true, true])
  expect(includes(['shop', 'log_*'], 'shop')).toBe(true)
  expect(includes(['shop', 'log_*'], 'log_1')).toBe(true)
  expect(includes(['shop', 'log_*'], 'other')).toBe(false)
})
