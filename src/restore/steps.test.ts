import { expect, test } from 'vitest'
import type { TocEntry } from '../archive/toc.ts'
import { codeLast } from './steps.ts'

const entry = (id: number, tag: string, ...dependencies: number[]): TocEntry => ({
  ...{ id, tag, dependencies, desc: 'TABLE', defn: '', dropStmt: '', tablespace: '', owner: 'app' },
  ...{ section: 'pre-data', namespace: 'app' },
})

const order = (...entries: TocEntry[]) =>
  codeLast(entries, ({ tag }) => tag.startsWith('code'))
    .map(({ tag }) => tag)
    .join(' ')

test('tables that run code come in one step, and what belongs to them in another', () => {
  const tables = [1, 2, 3].flatMap((n) => [
    entry(10 * n, `code${n}`, 1),
    entry(10 * n + 1, `seq${n}`, 10 * n),
    entry(10 * n + 2, `owned${n}`, 10 * n + 1),
  ])
  expect(order(entry(1, 'f'), ...tables, entry(90, 'v', 20), entry(91, 't'))).toBe(
    'f t code1 code2 code3 seq1 owned1 seq2 owned2 seq3 owned3 v',
  )
})

test('without code the order stays, whatever depends on what', () => {
  expect(order(entry(1, 'a'), entry(2, 'b'), entry(3, 'c', 1))).toBe('a b c')
})

test('what waits for a second one that runs code comes after it; ids from elsewhere and circles hold back nothing', () => {
  expect(order(entry(1, 'code1'), entry(2, 'a', 1), entry(3, 'code2', 2), entry(4, 'b', 3), entry(5, 'c', 99))).toBe(
    'c code1 a code2 b',
  )
  expect(order(entry(1, 'a', 2), entry(2, 'b', 1), entry(3, 'c'), entry(4, 'd', 4))).toBe('c d a b')
})
