// pure
import { yamlWord } from '../text.ts'
import { isInteger } from './convert.ts'
import type { Kind } from './kinds.ts'
import type { ColumnPlan, ImportPlan, TablePlan } from './plan.ts'
import { timeText, uuidText, type Value } from './values.ts'

/** How many values of a column have which shape. */
export type Shapes = {
  values: number
  uuid: number
  zoned: number
  instant: number
  json: number
  bit: number
  seconds: number
  millis: number
}

export const noShapes = (): Shapes => ({
  ...{ values: 0, uuid: 0, zoned: 0, instant: 0, json: 0, bit: 0, seconds: 0, millis: 0 },
})

/** Adds a value to the shapes. */
export function countShapes(shapes: Shapes, value: Value): void {
  if (value === null) return
  shapes.values++
  if (typeof value === 'bigint') {
    if (value === 0n || value === 1n) shapes.bit++
    // 2000 to 2100
    if (value >= 946_684_800n && value < 4_102_444_800n) shapes.seconds++
    if (value >= 946_684_800_000n && value < 4_102_444_800_000n) shapes.millis++
    return
  }
  if (uuidText(value) !== undefined) shapes.uuid++
  if (typeof value !== 'string') return
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

const refers = ({ foreignKeys }: TablePlan['source'], name: string) =>
  foreignKeys.some(({ columns }) => columns.includes(name))

/** Columns whose declaration may say less than their values: not those that only number or refer to rows. */
export const mayBeMore = ({ source }: TablePlan, { conversion, from }: ColumnPlan): boolean =>
  !conversion.byLine &&
  !refers(source, from.name) &&
  (from.key === 0 || !isInteger(conversion.type.kind)) &&
  (watched as Kind[]).includes(conversion.type.kind)

const watched: Kind[] = ['int8', 'numeric', 'text', 'varchar', 'bytea', 'timestamp', 'timestamptz', 'uuid']

/**
 * Lines for `types`, ready to paste, with the evidence. They are only proposed: what all values look like today may be a chance.
 * @param shapesOf undefined for a column that was not looked at
 */
export function propose(plan: ImportPlan, shapesOf: (column: ColumnPlan) => Shapes | undefined): string[] {
  return plan.tables.flatMap(({ source, columns }) =>
    columns.flatMap((column) => {
      const shapes = shapesOf(column)
      const found = shapes && shapes.values > 0 ? typeFor(column, shapes) : undefined
      if (found === undefined) return []
      const [type, evidence] = found
      if (column.target && !type.startsWith(column.conversion.type.kind)) return []
      return [`${yamlWord(`${source.name}.${column.from.name}`)}: ${type}  # ${evidence}`]
    }),
  )
}

function typeFor({ conversion }: ColumnPlan, shapes: Shapes): [type: string, evidence: string] | undefined {
  const { values } = shapes
  const all = values === 1 ? 'the only value' : `all ${values} values`
  const are = (what: string, one: string) => (values === 1 ? `${all} is ${one}` : `${all} are ${what}`)
  const kind = conversion.type.kind
  if (shapes.uuid === values && (kind !== 'uuid' || shapes.values > 0))
    return kind === 'uuid' ? ['uuid', are('UUIDs of 16 bytes or as text', 'a UUID')] : ['uuid', are('UUIDs', 'a UUID')]
  if (shapes.instant === values && kind !== 'timestamptz')
    return shapes.zoned === values
      ? ['timestamptz', are('instants with a zone', 'an instant with a zone')]
      : kind === 'timestamp'
        ? undefined
        : ['timestamp', are('instants, not all with a zone', 'an instant without a zone')]
  if (shapes.json === values && (kind === 'text' || kind === 'varchar')) return ['jsonb', are('JSON', 'JSON')]
  if (shapes.seconds === values) return ['timestamptz/s', `${all} could be seconds since 1970`]
  if (shapes.millis === values) return ['timestamptz/ms', `${all} could be milliseconds since 1970`]
  if (shapes.bit === values && values > 1 && kind === 'int8') return ['boolean', are('0 or 1', '0 or 1')]
  return undefined
}
