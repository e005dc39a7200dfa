// pure
import type { Node, RangeVar } from 'libpg-query'
import { type Catalog, tableOf } from '../catalog.ts'
import { clausesOf } from '../clauses.ts'
import type { FileContext } from '../context.ts'
import { seenBy } from '../declare-alter.ts'
import type { Rule } from '../rule.ts'
import { printName } from '../sql.ts'
import type { LintStatement } from '../statement.ts'
import { columnOf, constraintsOf, nameOf, relationName, typeOf, walk } from '../tree.ts'
import type { Hit, TableName } from '../types.ts'

/** A value that the transaction has added to a type that existed before it. */
type NewValue = { type: TableName; value: string; added: LintStatement }

function newValues({ before, catalog }: FileContext): NewValue[] {
  return before.flatMap((added) => {
    const { node } = added
    if (!('AlterEnumStmt' in node) || node.AlterEnumStmt.oldVal !== undefined || catalog.idle.has(node)) return []
    const type = nameOf(node.AlterEnumStmt.typeName)
    return isCreated(type, before) ? [] : [{ type, value: node.AlterEnumStmt.newVal ?? '', added }]
  })
}

/** The values of a type that the same transaction creates may be used at once. */
const isCreated = (type: TableName, before: LintStatement[]) =>
  before.some(({ node }) => 'CreateEnumStmt' in node && nameOf(node.CreateEnumStmt.typeName).name === type.name)

const usedInSameTransaction: Rule = {
  name: 'enum-add-value-used-same-tx',
  level: 'error',
  why: 'PostgreSQL does not let a transaction use an enum value that it has just added (55P04). Add the value in a file of its own, before this one.',
  example: "alter type mood add value 'calm';\nalter table people alter column mood set default 'calm'::mood",
  check(statement, context) {
    if (!context.addsEnumValues) return []
    const literals = usedLiterals(statement, context)
    const values = literals.length > 0 ? newValues(context) : []
    return literals.flatMap(({ type, value, at }): Hit[] => {
      const found = values.find((one) => one.value === value && isSameType(one.type, type, context))
      if (!found) return []
      return [
        {
          at,
          message: `'${value}' was added to ${printName(found.type)} in the same transaction`,
          rewrite: [{ sql: `${found.added.text};` }, { sql: `${statement.text};` }],
        },
      ]
    })
  },
}

const isSameType = (one: TableName, other: TableName, { catalog }: FileContext) =>
  one.name === other.name && (one.schema ?? catalog.schema) === (other.schema ?? catalog.schema)

/** A literal of a type that is known for certain. */
type Literal = { type: TableName; value: string; at: number }

/** Literals with a cast, in defaults of columns, and those that INSERT and UPDATE write to columns that the files declare. */
function usedLiterals(statement: LintStatement, context: FileContext): Literal[] {
  return [...casts(statement), ...defaults(statement, context), ...written(statement, context)]
}

function literalOf(node: Node | undefined): { value: string; location: number | undefined } | undefined {
  if (!node || !('A_Const' in node) || node.A_Const.sval === undefined) return undefined
  return { value: node.A_Const.sval.sval ?? '', location: node.A_Const.location }
}

function casts(statement: LintStatement): Literal[] {
  return [...walk(statement.node)].flatMap(([kind, content]): Literal[] => {
    if (kind !== 'TypeCast') return []
    const literal = literalOf(content.arg as Node)
    const { names, arrayBounds } = content.typeName as { names?: Node[]; arrayBounds?: Node[] }
    if (!literal || arrayBounds) return []
    return [{ type: nameOf(names), value: literal.value, at: statement.at(literal.location) }]
  })
}

function defaults(statement: LintStatement, { catalog }: FileContext): Literal[] {
  const { node } = statement
  if ('CreateStmt' in node && node.CreateStmt.if_not_exists && isKnown(catalog, node.CreateStmt.relation)) return []
  const seen = seenBy('otherConstraint', catalog, node)
  const note = (type: TableName | undefined, expression: Node | undefined): Literal[] => {
    const literal = literalOf(expression)
    return literal && type ? [{ type, value: literal.value, at: statement.at(literal.location) }] : []
  }
  const created = 'CreateStmt' in node ? (node.CreateStmt.tableElts ?? []) : []
  const columns = [
    ...created.flatMap((one) => ('ColumnDef' in one ? [one.ColumnDef] : [])),
    // PostgreSQL ignores the definition of a column that already exists.
    ...clausesOf(statement).flatMap(({ command }) => (command.missing_ok ? [] : (columnOf(command) ?? []))),
  ]
  return [
    ...columns.flatMap((column) => {
      const type = typeOf(column.typeName)
      return constraintsOf(column).flatMap(({ contype, raw_expr }) =>
        contype === 'CONSTR_DEFAULT' && !type.array ? note(type, raw_expr) : [],
      )
    }),
    ...clausesOf(statement).flatMap(({ command, table }) => {
      if (command.subtype !== 'AT_ColumnDefault') return []
      const type = tableOf(seen, table)?.columns.get(command.name ?? '')?.type
      return type && !type.array ? note(type, command.def) : []
    }),
  ]
}

const isKnown = (catalog: Catalog, relation: RangeVar | undefined) =>
  relation !== undefined && tableOf(catalog, relationName(relation)) !== undefined

function written(statement: LintStatement, { table: find }: FileContext): Literal[] {
  const { node } = statement
  const of = (
    relation: Parameters<typeof relationName>[0] | undefined,
    column: string,
    value: Node | undefined,
  ): Literal[] => {
    const type = relation && find(relationName(relation))?.columns.get(column)?.type
    const literal = literalOf(value)
    return type && literal && !type.array ? [{ type, value: literal.value, at: statement.at(literal.location) }] : []
  }
  if ('UpdateStmt' in node)
    return (node.UpdateStmt.targetList ?? []).flatMap((target) =>
      'ResTarget' in target ? of(node.UpdateStmt.relation, target.ResTarget.name ?? '', target.ResTarget.val) : [],
    )
  if (!('InsertStmt' in node)) return []
  const { relation, cols = [], selectStmt } = node.InsertStmt
  const rows = selectStmt && 'SelectStmt' in selectStmt ? (selectStmt.SelectStmt.valuesLists ?? []) : []
  const names = cols.map((one) => ('ResTarget' in one ? (one.ResTarget.name ?? '') : ''))
  return rows.flatMap((row) =>
    ('List' in row ? (row.List.items ?? []) : []).flatMap((value, i) => of(relation, names[i] ?? '', value)),
  )
}

const addWithoutPosition: Rule = {
  name: 'enum-add-without-position',
  level: 'off',
  why: 'Enum values sort in the order of their list, and a new value goes to its end. Write BEFORE or AFTER to show that the order is intended.',
  example: "alter type mood add value 'calm'",
  check({ node, start }) {
    if (
      !('AlterEnumStmt' in node) ||
      node.AlterEnumStmt.oldVal !== undefined ||
      node.AlterEnumStmt.newValNeighbor !== undefined
    )
      return []
    return [
      {
        at: start,
        message: `'${node.AlterEnumStmt.newVal ?? ''}' sorts after all other values of ${printName(nameOf(node.AlterEnumStmt.typeName))}`,
      },
    ]
  },
}

/** Rules about enums. */
export const enumRules: Rule[] = [usedInSameTransaction, addWithoutPosition]
