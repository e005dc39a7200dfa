// pure
import { isSameButLineEndings, isSameDefinition } from './drift-text.ts'
import { type DatabaseSchema, objectKinds, type SchemaObject } from './schema/types.ts'

/** A `note` is worth knowing, but no program depends on it. */
export type Severity = 'error' | 'note'

/** One object that is not as declared. */
export type Drift = {
  /** `missing`: declared, but not in the live database. `unexpected`: the other way round. */
  state: 'missing' | 'unexpected' | 'different'
  kind: SchemaObject['kind']
  /** As SQL would write it: `public.users`, `app.total(integer)`. */
  name: string
  severity: Severity
  /** Empty unless `different`. */
  differences: Difference[]
}

/** One fact about an object: null where one side does not have it. Definitions may be several lines long. */
export type Difference = { what: string; declared: string | null; live: string | null; severity: Severity }

/**
 * Compares what the migrations make (`declared`, read from a scratch database) with a live database.
 *
 * Renames are not guessed: they are one missing and one unexpected object. If a table is missing or unexpected, only the table is reported,
 * not what belongs to it. Notes are: the order of columns, comments, the version of an extension, tablespaces, the index that a table is
 * clustered on, line endings, and partitions that were added to a declared table, as rotation does.
 *
 * @returns by kind in the order of `objectKinds`, then by name, whatever the order of the arguments' objects
 */
export function compareSchemas({ declared, live }: { declared: DatabaseSchema; live: DatabaseSchema }): Drift[] {
  const [wanted, found] = [byKey(declared), byKey(live)]
  const missing = absentFrom(found, wanted).map((object) => whole('missing', object, 'error'))
  const unexpected = absentFrom(wanted, found).map((object) =>
    whole('unexpected', object, 'partition of' in object.facts ? 'note' : 'error'),
  )
  const different = [...wanted].flatMap(([key, object]) => {
    const other = found.get(key)
    return other === undefined ? [] : differing(object, other)
  })
  return [...missing, ...unexpected, ...different].sort(
    (a, b) => objectKinds.indexOf(a.kind) - objectKinds.indexOf(b.kind) || compareText(a.name, b.name),
  )
}

const byKey = ({ objects }: DatabaseSchema) =>
  new Map(objects.map((object) => [`${object.kind} ${object.name}`, object]))

/** The objects that one side lacks, except those whose table it lacks too. */
const absentFrom = (side: Map<string, SchemaObject>, objects: Map<string, SchemaObject>) =>
  [...objects]
    .filter(([key, { partOf }]) => !side.has(key) && (partOf === null || !objects.has(partOf) || side.has(partOf)))
    .map(([, object]) => object)

const whole = (state: Drift['state'], { kind, name }: SchemaObject, severity: Severity): Drift => ({
  state,
  kind,
  name,
  severity,
  differences: [],
})

function differing(declared: SchemaObject, live: SchemaObject): Drift[] {
  const { kind, name } = declared
  const differences = [...factsDiffering(declared, live), ...orderDiffering(declared, live)].sort(
    (a, b) => rank(a.what) - rank(b.what) || compareText(a.what, b.what),
  )
  if (differences.length === 0) return []
  const severity = differences.some((difference) => difference.severity === 'error') ? 'error' : 'note'
  return [{ state: 'different', kind, name, severity, differences }]
}

const factsDiffering = (declared: SchemaObject, live: SchemaObject): Difference[] =>
  [...new Set([...Object.keys(declared.facts), ...Object.keys(live.facts)])]
    .map((what) => ({ what, declared: declared.facts[what] ?? null, live: live.facts[what] ?? null }))
    .filter((fact) => !isSameDefinition(fact.declared, fact.live))
    .map((fact) => ({ ...fact, severity: isNote(declared.kind, fact) ? 'note' : 'error' }))

/** Only compares the columns that both have: any other column is a difference of its own. */
function orderDiffering(declared: SchemaObject, live: SchemaObject): Difference[] {
  const [before, after] = [common(declared.columns, live.columns), common(live.columns, declared.columns)]
  return before === after ? [] : [{ what: 'column order', declared: before, live: after, severity: 'note' }]
}

const common = (columns: string[], others: string[]) => {
  const known = new Set(others)
  return columns.filter((column) => known.has(column)).join(', ')
}

function isNote(kind: SchemaObject['kind'], { what, declared, live }: Omit<Difference, 'severity'>): boolean {
  if (what === 'comment' || what.startsWith('comment on ') || what === 'tablespace' || what === 'clustered on')
    return true
  if (kind === 'extension' && what === 'version') return true
  return isSameButLineEndings(declared, live)
}

/** Facts that are not listed are about the whole object, and come first. */
const ranks = ['column', 'constraint', 'index', 'statistics', 'trigger', 'rule', 'policy', 'privileges', 'comment']
const rank = (what: string) => ranks.indexOf(what.split(' ', 1)[0] ?? '')

/** Compares by code units, independent of any locale. */
const compareText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
