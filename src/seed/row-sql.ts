// pure
import { quoteIdent } from '../sql/quote.ts'
import type { SeedTable } from './match.ts'

/** The temporary tables: one for all rows of the file, one for those that have to be written. */
export const stage = 'pg_temp.pgbosun_stage'
export const delta = 'pg_temp.pgbosun_delta'

/** The column of these tables that says which columns a row of the file has: one digit for each. */
export const given = 'pgbosun_given'

export const list = (columns: readonly string[], alias?: string) =>
  columns.map((column) => `${alias === undefined ? '' : `${alias}.`}${quoteIdent(column)}`).join(', ')

export const sameKey = (key: readonly string[], other = 's') =>
  key.map((column) => `r.${quoteIdent(column)} = ${other}.${quoteIdent(column)}`).join(' and ')

/** All columns of the temporary tables. */
export const staged = ({ header, sparse }: SeedTable, alias?: string) =>
  sparse ? `${list(header, alias)}, ${alias === undefined ? '' : `${alias}.`}${given}` : list(header, alias)

/** A value of a row of the file, with the alias `row`, or what stands in for it where the row lacks its column. */
export function valueOr({ header, sparse }: SeedTable, row: string, column: string, otherwise: string): string {
  const value = `${row}.${quoteIdent(column)}`
  if (!sparse) return value
  const digit = `pg_catalog.substr(${row}.${given}, ${header.indexOf(column) + 1}, 1)`
  return `case when ${digit} operator(pg_catalog.=) '1' then ${value} else ${otherwise} end`
}

/** The values of a new row: where it lacks a column, the default of that column. */
export const newValues = (table: SeedTable, row: string) =>
  table.header.map((column) => valueOr(table, row, column, table.defaults.get(column) ?? 'null')).join(', ')

/** Assignments for a row that exists, with the alias `r`: what the file lacks stays as it is. */
export const assignments = (table: SeedTable, row: string, existing = 'r.') =>
  table.updated
    .map((column) => `${quoteIdent(column)} = ${valueOr(table, row, column, `${existing}${quoteIdent(column)}`)}`)
    .join(', ')

/**
 * Whether a row of the table, with the alias `r`, differs from one of the file, with the alias `s`. NULL equals NULL. Types whose equal
 * values may still differ, or that have no `=`, are compared as they are stored, which takes longer (`*<>`).
 */
export function differs(table: SeedTable): string {
  const { updated, exact } = table
  const value = (column: string) => valueOr(table, 's', column, `r.${quoteIdent(column)}`)
  const each = updated
    .filter((column) => exact.get(column) !== 'no')
    .map((column) => {
      const [mine, theirs] = [`r.${quoteIdent(column)}`, value(column)]
      const collate = exact.get(column) === 'collate' ? ' collate pg_catalog."C"' : ''
      return `${mine} operator(pg_catalog.<>) ${theirs}${collate} or (${mine} is null) operator(pg_catalog.<>) (${theirs} is null)`
    })
  const others = updated.filter((column) => exact.get(column) === 'no')
  const stored =
    others.length > 0
      ? [`row(${list(others, 'r')})::record operator(pg_catalog.*<>) row(${others.map(value).join(', ')})::record`]
      : []
  return `(${[...each, ...stored].join(' or ')})`
}
