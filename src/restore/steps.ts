// pure
import type { TocEntry } from '../archive/toc.ts'
import type { RelationName } from './tamper.ts'

/** Entries of an archive that are created one after another, by the login of the restore or by the session user. */
export type LoadStep = {
  by: 'login' | 'us'
  entries: TocEntry[]
  /** Whether code of the application may run during the step. It must not change existing objects, except `relations`. */
  runsCode: boolean
  relations: RelationName[]
  /** Whether the step creates new objects, other than those that belong to a relation. */
  creates: boolean
}

/** How an entry is created. */
export type Manner = Pick<LoadStep, 'by' | 'runsCode' | 'relations'>

/** Groups consecutive entries that are created in the same way. */
export function groupSteps(entries: readonly TocEntry[], mannerOf: (entry: TocEntry) => Manner): LoadStep[] {
  const steps: LoadStep[] = []
  for (const entry of entries) {
    const { by, runsCode, relations } = mannerOf(entry)
    const last = steps.at(-1)
    if (last?.by !== by || last.runsCode !== runsCode)
      steps.push({ by, entries: [entry], runsCode, relations: [...relations], creates: entry.section !== 'post-data' })
    else {
      last.entries.push(entry)
      last.relations.push(...relations)
    }
  }
  return steps
}

/**
 * Puts off entries that may run code until nothing else can be created without them. Each step is a session of its own, and the objects
 * are looked at before and after each that runs code: so 50 tables with generated columns, each with its sequence, are three steps and
 * not a hundred. Apart from that, the order stays.
 */
export function codeLast(entries: readonly TocEntry[], runsCode: (entry: TocEntry) => boolean): TocEntry[] {
  const ordered: TocEntry[] = []
  const missing = new Set(entries.map(({ id }) => id))
  const take = (list: readonly TocEntry[], wanted: (entry: TocEntry) => boolean) =>
    list.filter((entry) => {
      if (!wanted(entry) || entry.dependencies.some((id) => id !== entry.id && missing.has(id))) return true
      missing.delete(entry.id)
      ordered.push(entry)
      return false
    })
  const code = new Set(entries.filter(runsCode))
  for (let left = entries; left.length > 0; ) {
    const after = take(
      take(left, (entry) => !code.has(entry)),
      (entry) => code.has(entry),
    )
    // they depend on each other, which pg_dump does not write
    if (after.length === left.length) return [...ordered, ...left]
    left = after
  }
  return ordered
}
