import { hash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { quoteIdent } from '../../sql/quote.ts'
import { type Sample, spelled } from '../compare.ts'
import type { Value } from '../values.ts'
import type { Reading } from './rows.ts'

/** The hash of the rows in the sample, as the server computes it: the sum of the first 60 bits of the MD5 of each row. */
export async function hashRows(reading: Reading, sample: Sample): Promise<string> {
  const { db, table } = reading
  const columns = table.columns.filter(({ conversion }) => spelled(conversion, null) !== undefined)
  const names = columns.map(({ from }) => quoteIdent(from.name))
  const by = sample && quoteIdent(table.columns[sample.column]!.from.name)
  const where = by === undefined ? '' : ` where ${by} is not null and cast(${by} as integer) % ${sample!.divisor} = 0`
  const query = db.prepare(
    `select ${names.length > 0 ? names.join(', ') : '1'} from ${quoteIdent(table.source.name)}${where}`,
  )
  query.setReadBigInts(true)
  query.setReturnArrays(true)
  let sum = 0n
  // Halves as numbers: adding up 60 bits at once takes longer than computing them.
  let [high, low] = [0, 0]
  let rows = 0
  for (const values of query.iterate() as unknown as Iterable<Value[]>) {
    const text = columns.map(({ conversion }, i) => spelled(conversion, values[i]!)).join('\u001f')
    const bits = hash('md5', text)
    high += Number.parseInt(bits.slice(0, 7), 16)
    low += Number.parseInt(bits.slice(7, 15), 16)
    if (++rows % 2000 === 0) {
      sum += (BigInt(high) << 32n) + BigInt(low)
      high = low = 0
      reading.onRows(0)
      await setImmediate()
    }
  }
  return String(sum + (BigInt(high) << 32n) + BigInt(low))
}
