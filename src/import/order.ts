// pure
/** A reference from one table to another, by name. */
export type Reference<Key> = { from: string; to: string; key: Key }

/**
 * The order in which rows can be written: parents first. Where tables refer to each other in a circle, `open` are the references whose
 * parent comes later. A reference of a table to itself needs no order.
 */
export function inOrder<Key>(
  tables: readonly string[],
  references: readonly Reference<Key>[],
): { order: string[]; open: Reference<Key>[] } {
  const others = references.filter(({ from, to }) => from !== to && tables.includes(to))
  const order: string[] = []
  const waiting = new Set(tables)
  while (waiting.size > 0) {
    const isFree = (name: string) => others.every(({ from, to }) => from !== name || !waiting.has(to))
    const free = [...waiting].filter(isFree)
    for (const name of free.length > 0 ? free : [inCircle(waiting, others)]) {
      order.push(name)
      waiting.delete(name)
    }
  }
  const at = new Map(order.map((name, i) => [name, i]))
  return { order, open: others.filter(({ from, to }) => at.get(from)! < at.get(to)!) }
}

/** A table that refers to itself through others: from any table that is not free, the way to its parents ends in a circle. */
function inCircle(waiting: ReadonlySet<string>, references: readonly Reference<unknown>[]): string {
  const seen = new Set<string>()
  let [name = ''] = waiting
  while (!seen.has(name)) {
    seen.add(name)
    name = references.find(({ from, to }) => from === name && waiting.has(to))?.to ?? name
  }
  return name
}
