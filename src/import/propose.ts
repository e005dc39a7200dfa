// pure
import { yamlWord } from '../text.ts'
import type { Kind } from './kinds.ts'
import type { ColumnPlan, TablePlan } from './mapping.ts'
import type { ImportPlan } from './plan.ts'
import { referredBy } from './references.ts'
import { timeText, uuidText, type Value } from './values.ts'

/** How many values of a column have which shape. */
export type Shapes = {
  values: number
  uuid: number
  text: number
  number: number
  zoned: number
  instant: number
  json: number
  bit: number
  seconds: number
  millis: number
}

export const noShapes = (): Shapes => ({
  ...{ values: 0, uuid: 0, text: 0, number: 0, zoned: 0, instant: 0, json: 0, bit: 0, seconds: 0, millis: 0 },
})

/** Adds a value to the shapes. */
export function countShapes(shapes: Shapes, value: Value): void {
  if (value === null) return
  shapes.values++
  if (typeof value === 'bigint') {
    shapes.number++
    if (value === 0n || value === 1n) shapes.bit++
    // 2000 to 2100
    if (value >= 946_684_800n && value < 4_102_444_800n) shapes.seconds++
    if (value >= 946_684_800_000n && value < 4_102_444_800_000n) shapes.millis++
    return
  }
  if (uuidText(value) !== undefined) shapes.uuid++
  if (typeof value !== 'string') return
  shapes.text++
  if (value.length >= 16 && timeText(value, 'timestamptz', undefined) !== undefined) {
    shapes.instant++
    if (timeText(value, 'timestamp', undefined) === undefined) shapes.zoned++
  }
  if (/^\s*[[{]/.test(value)) {
    try {
      JSON.parse(value)
      shapes.json++
    } catch {
      // not JSON, so not counted
    }
  }
}

/** Columns whose declaration may say less than their values. */
export const mayBeMore = ({ conversion }: ColumnPlan): boolean =>
  !conversion.byLine && (watched as Kind[]).includes(conversion.type.kind)

const watched: Kind[] = ['int8', 'numeric', 'text', 'varchar', 'bytea', 'timestamp', 'timestamptz', 'uuid']

/**
 * Lines for `types`, ready to paste, with the evidence. They are only proposed: what all values look like today may be a chance.
 * @param shapesOf undefined for a column that was not looked at
 */
export function propose(plan: ImportPlan, shapesOf: (column: ColumnPlan) => Shapes | undefined): string[] {
  const found = new Map<ColumnPlan, [type: string, evidence: string]>()
  for (const { source, columns } of plan.tables)
    for (const column of columns) {
      const shapes = shapesOf(column)
      const one = shapes && shapes.values > 0 ? typeFor(column, shapes, numbers(source, column)) : undefined
      if (one && (!column.target || one[0].startsWith(column.conversion.type.kind))) found.set(column, one)
    }
  if (plan.derived) alignKeys(plan.tables, found)
  return plan.tables.flatMap(({ source, columns }) =>
    columns.flatMap((column) => {
      const [type, evidence] = found.get(column) ?? []
      return type === undefined ? [] : [`${yamlWord(`${source.name}.${column.from.name}`)}: ${type}  # ${evidence}`]
    }),
  )
}

/** Both sides of a foreign key need one type: where one of them has to be text, so has the other. */
function alignKeys(tables: readonly TablePlan[], found: Map<ColumnPlan, [type: string, evidence: string]>): void {
  const pairs = tables.flatMap((table) =>
    table.source.foreignKeys.flatMap((key) => referredBy(key, table, tables).pairs),
  )
  const isText = (column: ColumnPlan) => (found.get(column)?.[0] ?? column.conversion.type.kind) === 'text'
  for (let before = -1; before !== found.size; ) {
    before = found.size
    for (const { from, to } of pairs) {
      if (!to || isText(from) === isText(to)) continue
      const [column, evidence] = isText(from) ? [to, 'what refers to it is text'] : [from, 'what it refers to is text']
      found.set(column, ['text', evidence])
    }
  }
}

/** Whether a column only numbers rows, or refers to them. */
const numbers = ({ foreignKeys }: TablePlan['source'], { from }: ColumnPlan) =>
  from.key > 0 || foreignKeys.some(({ columns }) => columns.includes(from.name))

function typeFor(
  { conversion }: ColumnPlan,
  shapes: Shapes,
  isNumber: boolean,
): [type: string, evidence: string] | undefined {
  const { values } = shapes
  const all = values === 1 ? 'the only value' : `all ${values} values`
  const are = (what: string, one: string) => (values === 1 ? `${all} is ${one}` : `${all} are ${what}`)
  const kind = conversion.type.kind
  if (shapes.uuid === values)
    return kind === 'uuid' ? ['uuid', are('UUIDs of 16 bytes or as text', 'a UUID')] : ['uuid', are('UUIDs', 'a UUID')]
  if (shapes.instant === values && kind !== 'timestamptz')
    return shapes.zoned === values
      ? ['timestamptz', are('instants with a zone', 'an instant with a zone')]
      : kind === 'timestamp'
        ? undefined
        : ['timestamp', are('instants, not all with a zone', 'an instant without a zone')]
  if (kind === 'int8' && shapes.text > 0 && shapes.text + shapes.number === values)
    return ['text', `${shapes.text} of ${values} values are text`]
  if (shapes.json === values && (kind === 'text' || kind === 'varchar')) return ['jsonb', are('JSON', 'JSON')]
  if (isNumber) return undefined
  if (shapes.seconds === values) return ['timestamptz/s', `${all} could be seconds since 1970`]
  if (shapes.millis === values) return ['timestamptz/ms', `${all} could be milliseconds since 1970`]
  if (shapes.bit === values && values > 1 && kind === 'int8') return ['boolean', are('0 or 1', '0 or 1')]
  return undefined
}
