// pure
import type { Atom, Item } from '../../plan.ts'
import { keyOf } from './compare.ts'

/** What may be done without asking again: the plan that is equal to the reviewed one. */
export type Allowed = {
  /** By step. */
  items: ReadonlyMap<string, readonly Item[]>
  /** What existed when it was made, as an atom names it. */
  things: ReadonlySet<string>
}

/**
 * The changes of a step that were not reviewed. Privileges are compared one by one: on what the reviewed changes have just created, those
 * that are declared are given and taken; on what existed before, only those that were reviewed.
 */
export function unreviewed(step: string, items: readonly Item[], { items: all, things }: Allowed): Item[] {
  const reviewed = all.get(step) ?? []
  const known = new Set(reviewed.map(keyOf))
  const atoms = new Set(reviewed.flatMap((item) => (item.atoms ?? []).map(({ key }) => key)))
  const isNew = ({ thing }: Atom) => !things.has(thing)
  const covered = (item: Item) =>
    item.atoms !== undefined && item.atoms.length > 0 && item.atoms.every((atom) => atoms.has(atom.key) || isNew(atom))
  return items.filter((item) => !item.implied && !known.has(keyOf(item)) && !(step === 'grant' && covered(item)))
}
