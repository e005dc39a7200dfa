/** Makes the rules of src/config/rules.ts from the schema. */
import type * as z from 'zod'
import { predicates } from '../src/config/predicates.ts'
import type { Check, Compiled, Rule } from '../src/config/rules.ts'
import { configSchema } from '../src/config/schema.ts'
import { leaves } from '../src/config/walk.ts'
import { durationMs, sizeBytes } from '../src/units.ts'

export const compileSchema = (): Compiled => ({
  ...rulesOf(configSchema),
  leaves: leaves(configSchema).map(({ path, kind }) => ({ path, kind })),
})

type Def = {
  type: string
  format?: string
  checks?: { _zod: { def: CheckDef } }[]
  innerType: z.ZodType
  defaultValue?: unknown
  in: z.ZodType
  out: z.ZodType
  transform?: unknown
  shape: Record<string, z.ZodType>
  catchall?: z.ZodType
  element: z.ZodType
  keyType: z.ZodType
  valueType: z.ZodType
  entries: Record<string, string>
  values: unknown[]
  options: z.ZodType[]
}

type CheckDef = {
  check: string
  minimum?: number
  value?: number
  inclusive?: boolean
  pattern?: RegExp
  fn?: unknown
}

const defOf = (schema: z.ZodType) => schema._zod.def as unknown as Def

/** The rule of a schema; maps that are in it several times, such as the forms of a secret, are shared. */
export function rulesOf(schema: z.ZodType): Pick<Compiled, 'rule' | 'shared'> {
  const times = new Map<z.ZodType, number>()
  ruleOf(schema, (map) => {
    times.set(map, (times.get(map) ?? 0) + 1)
    return undefined
  })
  const shared: Rule[] = []
  const places = new Map<z.ZodType, number>()
  const rule = ruleOf(schema, (map, itself) => {
    if ((times.get(map) ?? 0) < 2) return undefined
    const at = places.get(map) ?? shared.push(itself()) - 1
    places.set(map, at)
    return { is: 'shared', at }
  })
  return { rule, shared }
}

/** Asked about each map; undefined: its rule is written here. */
type Elsewhere = (map: z.ZodType, itself: () => Rule) => Rule | undefined

/** @throws for something in the schema that has no rule yet */
function ruleOf(schema: z.ZodType, elsewhere: Elsewhere): Rule {
  const below = (part: z.ZodType) => ruleOf(part, elsewhere)
  const itself = () => ownRule(schema, below)
  return (defOf(schema).type === 'object' && elsewhere(schema, itself)) || itself()
}

function ownRule(schema: z.ZodType, below: (part: z.ZodType) => Rule): Rule {
  const def = defOf(schema)
  const checks = (def.checks ?? []).map(({ _zod }) => checkOf(_zod.def))
  const withChecks = checks.length > 0 && { checks }
  switch (def.type) {
    case 'object':
      if (!def.catchall || defOf(def.catchall).type !== 'never') throw new Error('a map must be strict')
      return {
        is: 'map',
        keys: Object.fromEntries(Object.entries(def.shape).map(([key, value]) => [key, below(value)])),
        ...withChecks,
      }
    case 'record':
      return { is: 'record', key: below(def.keyType), value: below(def.valueType), ...withChecks }
    case 'array':
      return { is: 'list', of: below(def.element), ...withChecks }
    case 'union':
      return { is: 'either', of: def.options.map(below) }
    case 'string':
      return { is: 'string', ...withChecks }
    case 'number': {
      const whole: Check[] = def.format === 'safeint' ? [{ check: 'whole' }] : []
      return { is: 'number', checks: [...whole, ...checks] }
    }
    case 'boolean':
      return { is: 'boolean' }
    case 'enum':
      return { is: 'one', of: Object.values(def.entries) }
    case 'literal':
      return { is: 'one', of: def.values }
    case 'optional':
    case 'nullable':
      return { is: def.type, of: below(def.innerType) }
    case 'prefault':
      return { is: 'default', of: below(def.innerType), value: def.defaultValue }
    case 'pipe':
      if (defOf(def.out).transform === durationMs) return { is: 'duration', of: below(def.in) }
      if (defOf(def.out).transform === sizeBytes) return { is: 'size', of: below(def.in) }
      throw new Error('only durations and sizes are transformed')
    default:
      throw new Error(`the schema has a type without a rule: ${def.type}`)
  }
}

const names = new Map<unknown, keyof typeof predicates>(
  Object.entries(predicates).map(([name, test]) => [test, name as keyof typeof predicates]),
)

function checkOf({ check, minimum, value, inclusive, pattern, fn }: CheckDef): Check {
  if (check === 'min_length' && minimum !== undefined) return { check: 'length', least: minimum }
  if (check === 'greater_than' && inclusive && value !== undefined) return { check: 'least', least: value }
  if (check === 'string_format' && pattern) return { check: 'pattern', source: pattern.source, flags: pattern.flags }
  const name = names.get(fn)
  return name === undefined ? { check: 'other' } : { check: 'named', name }
}
