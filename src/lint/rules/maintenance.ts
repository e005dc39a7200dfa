// pure
import type { Rule } from '../rule.ts'
import { printName } from '../sql.ts'
import { relationName } from '../tree.ts'
import type { TableName } from '../types.ts'

const vacuumFull: Rule = {
  name: 'vacuum-full',
  level: 'warn',
  lock: 'AccessExclusiveLock',
  why: 'VACUUM FULL and CLUSTER rewrite the whole table while nobody can read or write it. Plain VACUUM does not block anybody. A table in use is shrunk by REPACK (CONCURRENTLY) from PostgreSQL 19 on, and by pg_repack before.',
  example: 'vacuum full users',
  mode: 'split',
  check({ node, start }, { isNew, server = 0 }) {
    const safely = (table: TableName, index = '') =>
      server >= 19 ? `repack (concurrently) ${printName(table)}${index};` : `vacuum (analyze) ${printName(table)};`
    if ('ClusterStmt' in node) {
      const { relation, indexname } = node.ClusterStmt
      const table = relation && relationName(relation)
      if (table && isNew(table)) return []
      const index = indexname === undefined ? '' : ` using index ${printName({ name: indexname })}`
      const rewrite = table && [{ outside: true, sql: safely(table, index) }]
      return [
        {
          at: start,
          message: `${table ? `the whole table ${printName(table)}` : 'every clustered table'} is rewritten while reads and writes are blocked`,
          table,
          cost: 'rewrite',
          rewrite,
        },
      ]
    }
    if (!('VacuumStmt' in node)) return []
    const { options = [], rels = [] } = node.VacuumStmt
    if (!options.some((option) => 'DefElem' in option && option.DefElem.defname === 'full')) return []
    const tables = rels.flatMap((rel) =>
      'VacuumRelation' in rel && rel.VacuumRelation.relation ? [relationName(rel.VacuumRelation.relation)] : [],
    )
    if (tables.length === 0)
      return [
        {
          at: start,
          message: 'every table is rewritten while reads and writes are blocked',
          rewrite: [{ outside: true, sql: 'vacuum (analyze);' }],
        },
      ]
    return tables
      .filter((table) => !isNew(table))
      .map((table) => ({
        at: start,
        message: `the whole table ${printName(table)} is rewritten while reads and writes are blocked`,
        table,
        cost: 'rewrite' as const,
        rewrite: [{ outside: true, sql: safely(table) }],
      }))
  },
}

const refreshMatview: Rule = {
  name: 'refresh-matview-not-concurrent',
  level: 'warn',
  lock: 'AccessExclusiveLock',
  why: 'Nobody can read the materialized view until the refresh is done. With CONCURRENTLY it stays readable; that needs a unique index on columns of the view.',
  example: 'refresh materialized view daily_sales',
  check({ node, start }, { isNew }) {
    if (!('RefreshMatViewStmt' in node)) return []
    const { concurrent, skipData, relation } = node.RefreshMatViewStmt
    if (concurrent || skipData || !relation) return []
    const table = relationName(relation)
    if (isNew(table)) return []
    const rewrite = [{ sql: `refresh materialized view concurrently ${printName(table)};` }]
    return [{ at: start, message: `${printName(table)} cannot be read until the refresh is done`, table, rewrite }]
  },
}

/** Rules about maintenance that blocks. */
export const maintenanceRules: Rule[] = [vacuumFull, refreshMatview]
