// pure
import type { AlterTableCmd, ColumnDef, Constraint, Node, RangeVar, TypeName } from 'libpg-query'
import type { TableName } from './types.ts'

/** The text of a string node; empty for anything else. */
export const textOf = (node: Node | undefined): string => (node && 'String' in node ? (node.String.sval ?? '') : '')

/** The texts of a list of string nodes: the columns of a key, the parts of a name. */
export const textsOf = (nodes: Node[] | undefined): string[] => (nodes ?? []).map(textOf)

/** The name of a relation as in the statement. */
export const relationName = ({ schemaname, relname = '' }: RangeVar): TableName =>
  schemaname === undefined ? { name: relname } : { schema: schemaname, name: relname }

/** A name with or without a schema, from its parts: `["app", "mood"]`. */
export function nameOf(nodes: Node[] | undefined): TableName {
  const parts = textsOf(nodes)
  const name = parts.at(-1) ?? ''
  const schema = parts.at(-2)
  return schema === undefined ? { name } : { schema, name }
}

/** Names of the objects in a DROP: each node is a list of name parts, or a type name. */
export function droppedNames(objects: Node[] | undefined): TableName[] {
  return (objects ?? []).map((object) => {
    if ('List' in object) return nameOf(object.List.items)
    if ('TypeName' in object) return nameOf(object.TypeName.names)
    return nameOf([object])
  })
}

/** Type names by their other spellings: the catalog's name for each. */
const typeAliases: Record<string, string> = {
  int: 'int4',
  integer: 'int4',
  smallint: 'int2',
  bigint: 'int8',
  real: 'float4',
  decimal: 'numeric',
  serial: 'int4',
  serial4: 'int4',
  smallserial: 'int2',
  serial2: 'int2',
  bigserial: 'int8',
  serial8: 'int8',
}

/** A column's type: `int8`, `varchar` with its numbers, `app.mood`, and whether it is an array. */
export type ColumnType = { schema?: string; name: string; numbers: number[]; array: boolean }

/** The type of a type name; a serial is its integer type. */
export function typeOf(type: TypeName | undefined): ColumnType {
  const { schema, name } = nameOf(type?.names)
  const numbers = (type?.typmods ?? []).map((node) => ('A_Const' in node ? (node.A_Const.ival?.ival ?? 0) : 0))
  return {
    ...(schema !== undefined && schema !== 'pg_catalog' && { schema }),
    name: typeAliases[name] ?? name,
    numbers,
    array: (type?.arrayBounds?.length ?? 0) > 0,
  }
}

/** Whether a type name is serial, bigserial or smallserial, in any spelling. */
export const isSerial = (type: TypeName | undefined): boolean =>
  /^(small|big)?serial[248]?$/.test(nameOf(type?.names).name)

const typeWords: Record<string, string> = {
  int2: 'smallint',
  int4: 'integer',
  int8: 'bigint',
  float4: 'real',
  float8: 'double precision',
  bool: 'boolean',
}

/** A type as people write it: `bigint`, `varchar(20)`, `text[]`. */
export function printType({ schema, name, numbers, array }: ColumnType): string {
  const word = schema === undefined ? (typeWords[name] ?? name) : `${schema}.${name}`
  return `${word}${numbers.length > 0 ? `(${numbers.join(',')})` : ''}${array ? '[]' : ''}`
}

/** The constraints of a column definition. */
export const constraintsOf = ({ constraints = [] }: ColumnDef): Constraint[] =>
  constraints.flatMap((node) => ('Constraint' in node ? [node.Constraint] : []))

/** The column that a command of ALTER TABLE defines. */
export const columnOf = ({ def }: AlterTableCmd): ColumnDef | undefined =>
  def && 'ColumnDef' in def ? def.ColumnDef : undefined

/** The constraint that a command of ALTER TABLE defines. */
export const constraintOf = ({ def }: AlterTableCmd): Constraint | undefined =>
  def && 'Constraint' in def ? def.Constraint : undefined

/** Every node of a tree as `[kind, content]`, parents before children. */
export function* walk(value: unknown): Generator<[string, Record<string, unknown>]> {
  if (Array.isArray(value)) {
    for (const item of value) yield* walk(item)
  } else if (value !== null && typeof value === 'object') {
    for (const [key, content] of Object.entries(value)) {
      if (/^[A-Z]/.test(key) && content !== null && typeof content === 'object')
        yield [key, content as Record<string, unknown>]
      yield* walk(content)
    }
  }
}
