import { normalVersion } from '../../formats/flyway-names.ts'
import type { FormatName } from '../../formats/types.ts'

/** What a history says about one version, as far as it matters to those who wait. */
export type SeenMigration = { id: string; name: string; done: boolean; baseline: boolean }

/** How a history is read: the order of two ids, and whether a version stands for all before it. */
export type Reading = { compare(a: string, b: string): number; ordered: boolean }

/**
 * Whether a version took effect. Its own row decides, where there is one. Without one, a baseline above it stands for it; and, in a
 * format whose files are applied strictly in order, any newer row: the files before may have been joined into one.
 */
export function isApplied(id: string, rows: SeenMigration[], { compare, ordered }: Reading): boolean {
  const own = rows.filter((row) => compare(row.id, id) === 0 || sameNumber(row.id, id))
  if (own.length > 0) return own.some(({ done }) => done)
  return rows.some((row) => compare(row.id, id) > 0 && (ordered || (row.baseline && row.done)))
}

/** `001` is the version of `001_users`, where the whole name is the id. */
const sameNumber = (id: string, wanted: string) =>
  /^\d+$/.test(wanted) &&
  /^\d+\D/.test(id) &&
  !/^\d+(\.\d+)+$/.test(id) &&
  BigInt(/^\d+/.exec(id)![0]) === BigInt(wanted)

/** The newest version that took effect. */
export const newestSeen = (rows: SeenMigration[], { compare }: Pick<Reading, 'compare'>): SeenMigration | undefined =>
  rows
    .filter(({ done }) => done)
    .sort((a, b) => compare(a.id, b.id))
    .at(-1)

/**
 * The id of the version that a person means: a version, or the name of its file, with or without `.sql`. Undefined when a file of that
 * format cannot be called like that.
 */
export function idOfVersion(format: FormatName, text: string): string | undefined {
  const name = text.replace(/\.sql$/i, '')
  switch (format) {
    case 'pgbosun':
    case 'golang-migrate':
    case 'goose':
    case 'sqlx':
      return number(/^(\d+)(_.*)?$/s.exec(name)?.[1])
    case 'dbmate':
      return /^(\d+)([_-].*)?$/s.exec(name)?.[1]
    case 'flyway': {
      const version = /^V?(\d+(?:[._]\d+)*)(__.*)?$/s.exec(name)?.[1]
      return version && normalVersion(version.replaceAll('_', '.'))
    }
    case 'node-pg-migrate':
      return /^\d+([_-].*)?$/s.test(name) ? name : undefined
    case 'graphile-migrate': {
      const digits = /^(\d+)(-.*)?$/s.exec(name)?.[1]
      return digits && `${digits.padStart(6, '0')}.sql`
    }
  }
}

const number = (digits: string | undefined) => (digits === undefined ? undefined : String(BigInt(digits)))
