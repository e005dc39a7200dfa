// pure
import { quoteIdent, quoteName } from '../sql/quote.ts'
import { visibleSql } from '../text.ts'
import type { SeedStep } from './plan.ts'

/** A foreign key between two tables that seeds are loaded into. */
export type Reference = {
  name: string
  from: TableName
  to: TableName
  /** The columns of `from`. */
  columns: string[]
  deferrable: boolean
}

type TableName = { schema: string; name: string }

/** `from` refers to `to`: indexes of steps. */
type Edge = { from: number; to: number; reference: Reference }

/**
 * Puts seeds before those that refer to them, and keeps the order otherwise. Seeds that refer to each other are loaded together, if
 * their foreign keys can be checked afterwards.
 * @param headers the columns of each file of rows, by the name of its seed
 */
export function arrangeSteps(
  steps: readonly SeedStep[],
  references: readonly Reference[],
  headers: ReadonlyMap<string, readonly string[]>,
): SeedStep[] {
  const edges = edgesOf(steps, references, headers)
  const components = componentsOf(steps.length, edges)
  const placed = new Set<number>()
  const arranged: SeedStep[] = []
  const inside = (at: number) => edges.filter(({ from, to }) => from === at && components[to] === components[at])
  const outside = (at: number) => edges.filter(({ from, to }) => from === at && components[to] !== components[at])

  const place = (at: number, before?: Edge) => {
    if (placed.has(at)) return
    const members = steps.flatMap((_, i) => (components[i] === components[at] ? [i] : []))
    for (const member of members) for (const edge of outside(member)) place(edge.to, edge)
    if (placed.has(at)) return
    const order = members.length > 1 ? orderWithin(members, members.flatMap(inside)) : members
    const cycle = order ? undefined : cycleHint(members.flatMap(inside))
    for (const member of order ?? members) {
      placed.add(member)
      const moved = before !== undefined && member > before.from
      arranged.push({
        ...steps[member]!,
        ...(moved && { change: movedBefore(steps[member]!, steps[before.from]!) }),
        ...(members.length > 1 && order && { together: components[at] }),
        ...(cycle !== undefined && { cycle }),
      })
    }
  }
  for (const at of steps.keys()) place(at)
  return arranged
}

const movedBefore = ({ change }: SeedStep, { seed }: SeedStep) => ({
  ...change,
  reason: `${change.reason}; before ${seed.name}, which refers to it`,
})

function edgesOf(
  steps: readonly SeedStep[],
  references: readonly Reference[],
  headers: ReadonlyMap<string, readonly string[]>,
): Edge[] {
  const into = (table: TableName) =>
    steps.flatMap(({ seed }, i) => (seed.kind === 'rows' && isSame(seed.table, table) ? [i] : []))
  return references
    .filter(({ from, to }) => !isSame(from, to))
    .flatMap((reference) =>
      into(reference.from)
        .filter((from) => {
          const header = headers.get(steps[from]!.seed.name) ?? []
          return reference.columns.every((column) => header.includes(column))
        })
        .flatMap((from) => into(reference.to).map((to) => ({ from, to, reference }))),
    )
}

const isSame = (a: TableName, b: TableName) => a.schema === b.schema && a.name === b.name

/** For each step, the number of the first step that it and that refers to it, directly or through others, refer back to. */
function componentsOf(count: number, edges: readonly Edge[]): number[] {
  const reached = Array.from({ length: count }, (_, from) => reachedFrom(from, edges))
  return reached.map((mine, at) => [...mine].filter((other) => reached[other]!.has(at)).sort((a, b) => a - b)[0]!)
}

function reachedFrom(from: number, edges: readonly Edge[]): Set<number> {
  const reached = new Set([from])
  for (const at of reached) for (const edge of edges) if (edge.from === at) reached.add(edge.to)
  return reached
}

/** An order in which only deferrable foreign keys are broken in between; undefined if there is none. */
function orderWithin(members: readonly number[], edges: readonly Edge[]): number[] | undefined {
  const order: number[] = []
  const strict = edges.filter(({ reference }) => !reference.deferrable)
  while (order.length < members.length) {
    const next = members.find(
      (member) =>
        !order.includes(member) && strict.every(({ from, to }) => from !== member || to === from || order.includes(to)),
    )
    if (next === undefined) return undefined
    order.push(next)
  }
  return order
}

function cycleHint(edges: readonly Edge[]): string | undefined {
  const strict = edges.find(({ reference }) => !reference.deferrable)?.reference
  if (!strict) return undefined
  const { name, from } = strict
  const statement = `alter table ${quoteName(from.schema, from.name)} alter constraint ${quoteIdent(name)} deferrable`
  return `the tables of these seeds refer to each other; let ${visibleSql(quoteIdent(name))} be checked when all are loaded: ${visibleSql(statement)}`
}
