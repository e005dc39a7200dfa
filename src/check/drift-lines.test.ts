import fc from 'fast-check'
import { expect, test } from 'vitest'
import { diffLines } from './drift-lines.ts'

const show = (before: string, after: string, context?: number) =>
  diffLines(before.split(''), after.split(''), context).map(({ sign, text }) => sign + text)

test('shows the shortest change, with the lines around it', () => {
  expect(show('abcdefghij', 'abcdXfghij')).toEqual(['…', ' c', ' d', '-e', '+X', ' f', ' g', '…'])
  expect(show('abc', 'abXc')).toEqual([' a', ' b', '+X', ' c'])
  expect(show('abc', 'bc')).toEqual(['-a', ' b', ' c'])
  expect(show('abcdefgh', 'Xbcdefgh', 0)).toEqual(['-a', '+X', '…'])
  expect(show('Xabcdefghi', 'Yabcdefghj', 1)).toEqual(['-X', '+Y', ' a', '…', ' h', '-i', '+j'])
  expect(show('', 'ab')).toEqual(['+a', '+b'])
  expect(show('ab', '')).toEqual(['-a', '-b'])
})

test('equal texts have no lines to show', () => {
  expect(show('abc', 'abc')).toEqual(['…'])
  expect(show('', '')).toEqual([])
})

const text = fc.array(fc.constantFrom('a', 'b', 'c', ''), { maxLength: 30 })

test('the lines not marked as added are the first text, those not marked as removed the second', () => {
  fc.assert(
    fc.property(text, text, (before, after) => {
      fc.pre(JSON.stringify(before) !== JSON.stringify(after))
      const lines = diffLines(before, after, Number.POSITIVE_INFINITY)
      const without = (sign: string) => lines.filter((line) => line.sign !== sign).map((line) => line.text)
      expect(without('+')).toEqual(before)
      expect(without('-')).toEqual(after)
    }),
  )
})

test('the differing part of long texts is shown as replaced, fast', () => {
  const [before, after] = ['a', 'b'].map((letter) => Array.from({ length: 30_000 }, (_, n) => letter + n))
  const lines = diffLines(['same', ...before!], ['same', ...after!])
  expect(lines).toHaveLength(60_001)
  expect(lines[1]).toEqual({ sign: '-', text: 'a0' })
})
