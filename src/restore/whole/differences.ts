// pure
import type { Expected } from '../../archive/live.ts'
import type { RowsHash, SequenceValue } from '../../postgres/row-hashes.ts'
import { quoteName } from '../../sql/quote.ts'
import { counted } from '../../units.ts'
import { type RowDifference, renderDifference } from '../differences.ts'

/** What was loaded. `counts`: where only the number of rows was compared. */
type Actual = {
  tables: ReadonlyMap<string, RowsHash>
  sequences: readonly SequenceValue[]
  largeObjects: number
  counts: readonly RowDifference[]
}

/** Lines about what differs from the source. */
export function findDifferences(
  expected: Pick<Expected, 'tables' | 'sequences' | 'largeObjects'>,
  actual: Actual,
): string[] {
  const lines = actual.counts.map(renderDifference)
  for (const [table, { rows, hash }] of actual.tables) {
    const wanted = expected.tables.get(table)
    if (!wanted) continue
    if (wanted.rows !== rows) lines.push(renderDifference({ table, expected: wanted.rows, actual: rows }))
    else if (wanted.hash !== hash) lines.push(`${table} has ${counted(rows, 'row')}, but with other values`)
  }
  lines.push(...sequenceDifferences(expected.sequences, actual.sequences))
  if (expected.largeObjects !== actual.largeObjects)
    lines.push(`there are ${counted(actual.largeObjects, 'large object')} instead of ${expected.largeObjects}`)
  return lines
}

/** A sequence that somebody used meanwhile may be anywhere between what it was before and after. */
function sequenceDifferences(
  [before, after]: readonly [readonly SequenceValue[], readonly SequenceValue[]],
  actual: readonly SequenceValue[],
): string[] {
  const found = new Map(actual.map((one) => [nameOf(one), one]))
  const later = new Map(after.map((one) => [nameOf(one), one]))
  return before.flatMap((one) => {
    const name = nameOf(one)
    const loaded = found.get(name)
    const end = later.get(name)
    // dropped meanwhile, or left out
    if (!loaded || !end || one.cycles) return []
    return isBetween(loaded.last, one.last, end.last)
      ? []
      : [`the sequence ${name} is at ${loaded.last ?? 'its start'} instead of ${end.last ?? 'its start'}`]
  })
}

/** Null is the start, which a sequence leaves for good. */
function isBetween(value: string | null, one: string | null, other: string | null): boolean {
  if (value === one || value === other) return true
  if (value === null || other === null) return false
  const [least, most] = [one ?? other, other].map(BigInt).sort((a, b) => (a < b ? -1 : 1)) as [bigint, bigint]
  return one === null || (BigInt(value) >= least && BigInt(value) <= most)
}

const nameOf = ({ schema, name }: SequenceValue) => quoteName(schema, name)
