// pure

/** What a history says about one version, as far as `migrate wait-for` needs it. */
export type SeenMigration = { id: string; name: string; done: boolean; baseline: boolean }

/** How a history is read: the order of two ids, and whether a version stands for all before it. */
export type Reading = { compare(a: string, b: string): number; ordered: boolean }

/**
 * Whether a version took effect. If it has a row, that row decides. Otherwise it did if there is a newer baseline; or, in a format
 * that applies files strictly in order, any newer row, because earlier files may have been merged into one.
 */
export function isApplied(id: string, rows: SeenMigration[], { compare, ordered }: Reading): boolean {
  const own = rows.filter((row) => compare(row.id, id) === 0 || sameNumber(row.id, id))
  if (own.length > 0) return own.some(({ done }) => done)
  return rows.some((row) => compare(row.id, id) > 0 && (ordered || (row.baseline && row.done)))
}

/** `001` also means `001_users`, in a format that uses the whole name as the id. */
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
