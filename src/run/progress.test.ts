import { expect, test } from 'vitest'
import { silentLog } from '../log.ts'
import { type AtRows, type AtTable, withProgress } from './progress.ts'

/** What the last line on a terminal says after its bar. */
async function drawn(what: string, at: AtTable | AtRows): Promise<string> {
  let last = ''
  const out = { terminal: () => (text: string) => (last = text.length > 10 ? text : last) }
  await withProgress({ log: silentLog, out: out as never }, what, async (onProgress) => {
    await new Promise((resolve) => setTimeout(resolve, 110))
    onProgress(1, 4, undefined, undefined, at)
  })
  return last.slice('\r\u001b[K'.length + 26)
}

test('a bar tells the table that it is at, cut to what fits on a line', async () => {
  const at = { table: 'public.a', tablesDone: 1, tablesTotal: 20 }
  expect(await drawn('MB dumped', at)).toBe('1/4 MB dumped, 1/20 tables, public.a')
  expect(await drawn('MB dumped', { ...at, table: null })).toBe('1/4 MB dumped, 1/20 tables')
  const long = await drawn('MB dumped', { ...at, table: `public.${'x'.repeat(60)}` })
  expect(long).toMatch(/^1\/4 MB dumped, 1\/20 tables, public\.x+…$/)
  expect(25 + 1 + long.length).toBe(79)
  expect(await drawn('MB of the present state backed up', at)).toBe(
    '1/4 MB of the present state backed up, 1/20 tables',
  )
  expect(await drawn('x'.repeat(48), at)).toBe(`1/4 ${'x'.repeat(48)}`)
})

test('a bar tells how fast the rows of a file go', async () => {
  const at = { file: 'seeds/a.csv', rows: 300_000, rowsPerSecond: 456_789 }
  expect(await drawn('MB of seeds', at)).toBe('1/4 MB of seeds, 456,789 rows/s, seeds/a.csv')
})
