// pure
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
