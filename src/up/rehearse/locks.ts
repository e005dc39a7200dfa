// pure

/** Lock modes of relations, the weakest first, as pg_locks names them. */
const modes = [
  'AccessShareLock',
  'RowShareLock',
  'RowExclusiveLock',
  'ShareUpdateExclusiveLock',
  'ShareLock',
  'ShareRowExclusiveLock',
  'ExclusiveLock',
  'AccessExclusiveLock',
]

/** A relation as it is before a file runs, by its oid. */
export type Relation = {
  oid: number
  /** `public.users`, quoted where SQL needs it. */
  name: string
  /** For an index, its table. */
  table: number | null
  /** Number of the file that its rows are in; null for what has none, and for an index. */
  file: number | null
}

export type Relations = ReadonlyMap<number, Relation>

/** A lock of a session, as pg_locks has it. */
export type HeldLock = { oid: number; mode: string }

/** The strongest lock on something that existed before. */
export type StrongestLock = { object: string; mode: string }

/**
 * The strongest lock that was held on each relation which existed before, the strongest first. An index is only named if its own lock is
 * stronger than that on its table: it stands in the way of nobody else.
 */
export function strongestLocks(held: readonly HeldLock[], before: Relations): StrongestLock[] {
  const strongest = new Map<number, string>()
  for (const { oid, mode } of held)
    if (before.has(oid) && rank(mode) > rank(strongest.get(oid))) strongest.set(oid, mode)
  return [...strongest]
    .map(([oid, mode]) => ({ ...before.get(oid)!, mode }))
    .filter(({ table, mode }) => table === null || rank(mode) > rank(strongest.get(table)))
    .sort((a, b) => rank(b.mode) - rank(a.mode) || compareText(a.name, b.name))
    .map(({ name, mode }) => ({ object: name, mode }))
}

/** Relations that existed before, and whose rows are in another file now: all of them were written again, or removed at once. */
export const rewritten = (before: Relations, after: Relations): Relation[] =>
  [...before.values()]
    .filter(({ oid, file }) => file !== null && after.has(oid) && after.get(oid)!.file !== file)
    .sort((a, b) => compareText(a.name, b.name))

/** -1 for none, and for what is no lock on a relation, such as SIReadLock. */
const rank = (mode: string | undefined) => modes.indexOf(mode ?? '')

const compareText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
