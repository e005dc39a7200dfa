// pure
import { parseCondition } from '../config/condition.ts'
import { usage } from '../errors.ts'
import type { RowsSeed, Seed } from './types.ts'

/**
 * Refuses files of one table that would delete each other's rows at every run, where that can be known: one of them stands for the whole
 * table, or two for the same part of it.
 * @throws {AppError} `usage` naming both
 */
export function refuseRivals(seeds: Seed[]): void {
  const rows = seeds.filter((seed) => seed.kind === 'rows')
  for (const [i, seed] of rows.entries()) {
    if (seed.mode !== 'sync') continue
    const { name, scope, table } = seed
    const others = rows.filter((other) => other.name !== name && isOfTable(other, seed))
    if (scope === undefined && others[0])
      throw usage(`${name} would delete the rows of ${others[0].name}: both load ${table.schema}.${table.name}`, {
        file: name,
        hint: `give ${name} a \`scope\`, or another \`mode\``,
      })
    const twin = rows.slice(i + 1).find((other) => others.includes(other) && hasSameScope(other, seed))
    if (twin)
      throw usage(
        `${name} and ${twin.name} would delete the rows of each other: both load ${table.schema}.${table.name} in the same scope`,
        { file: name, hint: 'put their rows into one file, or give each a `scope` that the other one does not meet' },
      )
  }
}

/** Adds to each file of rows what other files say they alone stand for. */
export const withRivals = (seeds: Seed[]): Seed[] =>
  seeds.map((seed) => (seed.kind === 'rows' ? { ...seed, rivals: rivalsOf(seed, seeds) } : seed))

const rivalsOf = (seed: RowsSeed, seeds: Seed[]): RowsSeed['rivals'] =>
  seeds.flatMap((other) =>
    other.kind === 'rows' && other.name !== seed.name && other.scope !== undefined && isOfTable(other, seed)
      ? [{ name: other.name, scope: other.scope }]
      : [],
  )

const isOfTable = ({ table }: RowsSeed, { table: other }: RowsSeed) =>
  table.schema === other.schema && table.name === other.name

const hasSameScope = ({ mode, scope }: RowsSeed, other: RowsSeed) =>
  mode === 'sync' && scope !== undefined && other.scope !== undefined && meaning(scope) === meaning(other.scope)

const meaning = (scope: string) => JSON.stringify(parseCondition(scope) ?? scope)
