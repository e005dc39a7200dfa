// pure
import type { Backup } from './backup.ts'

/** What one store knows of the backups of a database. */
export type Listed<S> = { store: S; name: string; backups: readonly Backup[] }

/** A backup, wherever it is: what its best copy says, and the stores that have it, the best one first. */
export type Merged<S> = { backup: Backup; stores: S[] }

/**
 * The backups of several stores, each once, oldest first. It is good where one copy is: the first store that has a good one is the best, and
 * is read first. A pin in any of them counts.
 */
export function mergeBackups<S>(listed: readonly Listed<S>[]): Merged<S>[] {
  const copies = new Map<string, { store: S; name: string; backup: Backup }[]>()
  for (const { store, name, backups } of listed)
    for (const backup of backups) copies.set(backup.id, [...(copies.get(backup.id) ?? []), { store, name, backup }])
  return [...copies.values()]
    .map((found) => {
      const ordered = found.toSorted((a, b) => rank(a.backup) - rank(b.backup))
      const [{ backup }] = ordered as [(typeof ordered)[number]]
      return {
        backup: {
          ...backup,
          pinned: found.some((one) => one.backup.pinned),
          restoreTest: newestTest(found.map((one) => one.backup)),
          stores: (isBad(backup) ? found : found.filter((one) => !isBad(one.backup))).map(({ name }) => name),
        },
        stores: ordered.map(({ store }) => store),
      }
    })
    .sort((a, b) => byInstant(a.backup, b.backup))
}

/** Oldest first; of two of one instant, by their ids. */
export const byInstant = (a: Backup, b: Backup) => a.takenAt.getTime() - b.takenAt.getTime() || (a.id < b.id ? -1 : 1)

/** Good copies come first, then those that nobody has found damaged, those that were, and those that cannot be read. */
const rank = ({ problem, verification }: Backup): number => {
  if (problem !== undefined) return 3
  if (verification === undefined) return 1
  return verification.ok ? 0 : 2
}

const isBad = (backup: Backup) => rank(backup) >= 2

const newestTest = (backups: readonly Backup[]): Backup['restoreTest'] =>
  backups
    .map(({ restoreTest }) => restoreTest)
    .reduce((best, test) => (test && (!best || test.at > best.at) ? test : best), undefined)
