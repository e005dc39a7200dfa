// pure
import type * as z from 'zod'

type Def = {
  type: string
  innerType?: z.ZodType
  in?: z.ZodType
  shape?: Record<string, z.ZodType>
  element?: z.ZodType
  keyType?: z.ZodType
  valueType?: z.ZodType
  entries?: Record<string, string>
  options?: z.ZodType[]
}

const defOf = (schema: z.ZodType) => schema._zod.def as unknown as Def

/** The schema inside defaults, `optional`, `nullable` and transforms. */
function unwrap(schema: z.ZodType): z.ZodType {
  const { innerType, in: input } = defOf(schema)
  const next = innerType ?? input
  return next === undefined ? schema : unwrap(next)
}

/** A key that holds a scalar, a list of scalars or a secret: one that an environment variable can set. `paths`: a path, or a list of them. */
export type Leaf = {
  path: string[]
  schema: z.ZodType
  kind: 'string' | 'number' | 'boolean' | 'list' | 'paths' | 'secret'
}

const kinds: Record<string, Leaf['kind']> = {
  string: 'string',
  literal: 'string',
  enum: 'string',
  number: 'number',
  boolean: 'boolean',
}

/** Every {@link Leaf} below a schema, in the order of the schema. Maps and lists of objects can only be set in the file. */
export function leaves(schema: z.ZodType, path: string[] = []): Leaf[] {
  const inner = unwrap(schema)
  const { type, shape, element, options } = defOf(inner)
  if (shape) return Object.entries(shape).flatMap(([key, value]) => leaves(value, [...path, key]))
  if (type === 'array') return element && kinds[defOf(unwrap(element)).type] ? [{ path, schema, kind: 'list' }] : []
  if (options) {
    const isSecret = options.some(isSecretPart) && options.every((option) => isSecretPart(option) || isText(option))
    if (isSecret) return [{ path, schema, kind: 'secret' }]
    // in the file it may be a list of objects
    if (options.some((option) => isListOfMaps(unwrap(option)))) return []
    const either = options.flatMap((option) => leaves(option, path))
    return isOneOrMany(either) ? [{ path, schema, kind: 'paths' }] : either
  }
  const kind = kinds[type]
  return kind === undefined ? [] : [{ path, schema, kind }]
}

const isListOfMaps = (schema: z.ZodType) => {
  const { element } = defOf(schema)
  return element !== undefined && kinds[defOf(unwrap(element)).type] === undefined
}

const isOneOrMany = (options: Leaf[]) => options.map(({ kind }) => kind).join() === 'string,list'

/** The forms of a secret, by their keys. */
export const secretForms = ['env', 'file', 'command,env,ttl', 'http,headers,json,ttl', 'awsRds']

const isSecretPart = (schema: z.ZodType) => secretForms.includes(Object.keys(defOf(schema).shape ?? {}).join())

const isText = (schema: z.ZodType) => defOf(unwrap(schema)).type === 'string'

/** The keys that are allowed at a path, for "did you mean". */
export function keysAt(schema: z.ZodType, path: PropertyKey[]): string[] {
  const { shape, element, keyType, valueType, options } = defOf(unwrap(schema))
  if (options) return options.flatMap((option) => keysAt(option, path))
  const [key, ...rest] = path
  if (key === undefined) return Object.keys(shape ?? (keyType && defOf(keyType).entries) ?? {})
  const next = shape?.[String(key)] ?? valueType ?? element
  return next === undefined ? [] : keysAt(next, rest)
}

/** The variable of a key: `PGBOSUN_MIGRATE_LOCK_TIMEOUT` for `migrate.lockTimeout`. */
export const variableOf = (path: string[]) =>
  `PGBOSUN_${path.map((part) => part.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()).join('_')}`
