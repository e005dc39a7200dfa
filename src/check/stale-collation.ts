// pure
import { visibleSql } from '../text.ts'
import { counted, plural, someOf } from '../units.ts'

/** A collation of another version than the one that its indexes were built with. Names are quoted where SQL requires it. */
export type StaleCollation = {
  kind: 'database' | 'collation'
  name: string
  version: string
  actual: string
  /** Indexes in its order. */
  indexes: string[]
  /** Tables that are partitioned in its order. */
  partitioned: string[]
}

/** What is wrong, and the statements that put it right, in their order. */
export function describeCollation({ kind, name, version, actual, indexes, partitioned }: StaleCollation): string {
  const shown = visibleSql(name)
  const what = kind === 'database' ? `the collation of the database ${shown}` : `the collation ${shown}`
  const refresh =
    kind === 'database'
      ? `alter database ${shown} refresh collation version`
      : `alter collation ${shown} refresh version`
  const harm =
    indexes.length === 0
      ? 'no index depends on it'
      : `${counted(indexes.length, 'index', 'indexes')} ${plural(indexes.length, 'depends', 'depend')} on it and may miss rows: ${visibleSql(someOf(indexes))}`
  const parts =
    partitioned.length === 0
      ? ''
      : `; rows may lie in the wrong partition of ${visibleSql(someOf(partitioned))}: compare them with the bounds`
  return `${what} had version ${version}, and the server now sorts by ${actual}; ${harm}${parts}: run ${rebuild(indexes)}\`${refresh}\``
}

/** A few indexes are named one by one. */
function rebuild(indexes: string[]): string {
  if (indexes.length === 0) return ''
  if (indexes.length > 3) return '`reindex index concurrently …` for each of them, then '
  return `\`${indexes.map((index) => `reindex index concurrently ${visibleSql(index)}`).join('; ')}\`, then `
}
