import type { Manifest } from '../../archive/manifest.ts'
import type { RestoreTestDetails } from '../../archive/restore-test.ts'
import type { Session } from '../../postgres/session.ts'
import { counted, someOf } from '../../units.ts'
import { compareRows, compareSamples } from '../compare.ts'
import { renderDifference } from '../differences.ts'
import { NotAsBackedUp } from './judge.ts'

/** How much was compared. */
export type Compared = Pick<RestoreTestDetails, 'tablesCompared' | 'rowsCompared' | 'rowsSampled'>

/** @throws NotAsBackedUp if the rows differ */
export async function compare({ sql }: Session, { rows, samples = {} }: Manifest): Promise<Compared> {
  const counts = await compareRows(sql, rows)
  const { rows: rowsSampled, differing } = await compareSamples(sql, samples)
  const differences = [
    ...counts.differences.map(renderDifference),
    ...differing.filter((table) => counts.differences.every((difference) => difference.table !== table)).map(changed),
  ]
  if (differences.length > 0)
    throw new NotAsBackedUp(`the restored rows differ from what was backed up: ${someOf(differences, '; ')}`)
  return { tablesCompared: counts.tables, rowsCompared: counts.rows, rowsSampled }
}

const changed = (table: string) => `rows of ${table} have other contents`

/** For people: `12 rows in 3 tables, 12 of them with their contents`. */
export const renderCompared = ({ rowsCompared, tablesCompared, rowsSampled }: Compared) =>
  `${counted(rowsCompared, 'row')} in ${counted(tablesCompared, 'table')}, ${rowsSampled} of them with their contents`
