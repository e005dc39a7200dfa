// pure
import type { ColumnDef, Constraint } from 'libpg-query'
import { type Catalog, domainOf, enumKeyOf, primaryKey, type Table, tableOf } from '../catalog.ts'
import type { FileContext } from '../context.ts'
import { seenBy } from '../declare-alter.ts'
import { type ForeignKey, foreignKeys } from '../foreign-keys.ts'
import type { Rule } from '../rule.ts'
import { isSlow } from '../slow.ts'
import { endOfItem, joinName, printIdent, printList, printName } from '../sql.ts'
import type { LintStatement } from '../statement.ts'
import { type ColumnType, constraintsOf, printType, relationName, textsOf, typeOf } from '../tree.ts'
import type { Hit, Rewrite, TableName } from '../types.ts'

/** A column, the key column that it references, and the types of both, if the files declare them. */
type Pair = {
  column: string
  type: ColumnType
  key: string
  keyType: ColumnType
  keyTable: string
  at: number
  fk: ForeignKey
}

function pairs(statement: LintStatement, { catalog: before }: FileContext): Pair[] {
  const keys = foreignKeys(statement).filter((fk) => isAdded(statement, fk, before))
  if (keys.length === 0) return []
  const catalog = seenBy('otherConstraint', before, statement.node)
  return keys.flatMap((fk) => {
    const self = keyOfSelf(statement, fk)
    const target = self ?? tableOf(catalog, relationName(fk.pktable))
    if (!target) return []
    const keys = fk.constraint.pk_attrs ? textsOf(fk.constraint.pk_attrs) : (primaryKey(target) ?? [])
    if (keys.length !== fk.columns.length) return []
    return fk.columns.flatMap((column, i): Pair[] => {
      const key = keys[i]!
      const own = tableOf(catalog, fk.table)?.columns.get(column)
      const definition = 'CreateStmt' in statement.node ? fk.defined.get(column) : undefined
      const type = definition ? typeOf(definition.typeName) : own?.type
      const keyType = target.columns.get(key)?.type
      if (!type || !keyType) return []
      const keyTable = printName(relationName(fk.pktable))
      return [
        { column, type: resolve(catalog, type), key, keyType: resolve(catalog, keyType), keyTable, at: fk.at, fk },
      ]
    })
  })
}

/** Whether the foreign key is certain to be added: IF EXISTS and IF NOT EXISTS may skip it. */
function isAdded({ node }: LintStatement, { table: name, ifNoColumn }: ForeignKey, catalog: Catalog): boolean {
  const table = tableOf(catalog, name)
  if ('CreateStmt' in node) return !node.CreateStmt.if_not_exists || !table
  if ('AlterTableStmt' in node && node.AlterTableStmt.missing_ok && !table) return false
  if (ifNoColumn === undefined) return true
  const seen = tableOf(seenBy('addColumn', catalog, node), name)
  return seen !== undefined && seen.file !== -1 && !seen.columns.has(ifNoColumn)
}

/** A table that references itself in the statement that creates it: its columns are not in the catalog yet. */
function keyOfSelf({ node }: LintStatement, { pktable, table, defined }: ForeignKey): Table | undefined {
  if (!('CreateStmt' in node) || printName(relationName(pktable)) !== printName(table)) return undefined
  const columns = new Map(
    [...defined].map(([name, { typeName }]) => [name, { type: typeOf(typeName), notNull: false }]),
  )
  const primary = (node.CreateStmt.tableElts ?? []).flatMap((element) => {
    if ('Constraint' in element && element.Constraint.contype === 'CONSTR_PRIMARY')
      return textsOf(element.Constraint.keys)
    const isKey =
      'ColumnDef' in element && constraintsOf(element.ColumnDef).some(({ contype }) => contype === 'CONSTR_PRIMARY')
    return isKey ? [element.ColumnDef.colname ?? ''] : []
  })
  const constraints = new Map([['pkey', { kind: 'primary' as const, columns: primary, validated: true }]])
  return { key: '', kind: 'table', file: 0, columns, constraints, partitionKey: undefined, parents: [] }
}

/** A domain is compared as its base type. */
const resolve = (catalog: Catalog, type: ColumnType): ColumnType => domainOf(catalog, type)?.base ?? type

/**
 * Families of built-in types. Types of different families cannot be compared, those of one family usually can:
 * test/lint-locks.int.test.ts checks this on a server.
 */
export const families: Record<string, string> = {
  int2: 'number',
  int4: 'number',
  int8: 'number',
  numeric: 'number',
  float4: 'number',
  float8: 'number',
  text: 'text',
  varchar: 'text',
  bpchar: 'text',
  name: 'text',
  citext: 'text',
  uuid: 'uuid',
  bool: 'bool',
  date: 'date',
  timestamp: 'date',
  timestamptz: 'date',
  time: 'time',
  timetz: 'time',
  interval: 'interval',
  bytea: 'bytea',
  inet: 'network',
  cidr: 'network',
}

/** The exceptions, as `column key`: pairs of one family that are refused, and pairs of two families that are not. */
const refusedWithin = new Set([
  ...['numeric', 'float4', 'float8'].flatMap((own) => ['int2', 'int4', 'int8'].map((key) => `${own} ${key}`)),
  ...['float4 numeric', 'float8 numeric', 'name bpchar', 'timetz time'],
])
const acceptedAcross = new Set(['time interval'])

/** The family of a type; an enum is a family of its own. Undefined for a type that the files do not declare. */
function familyOf(catalog: Catalog, type: ColumnType): string | undefined {
  if (type.array) return undefined
  const own = enumKeyOf(catalog, type)
  if (own !== undefined) return `enum ${own}`
  return type.schema === undefined ? families[type.name] : undefined
}

const isRefused = (catalog: Catalog, { type, keyType }: Pair) => {
  const [own, key] = [familyOf(catalog, type), familyOf(catalog, keyType)]
  if (own === undefined || key === undefined) return false
  const pair = `${type.name} ${keyType.name}`
  return own === key ? refusedWithin.has(pair) : !acceptedAcross.has(pair)
}

const fkTypeMismatch: Rule = {
  name: 'fk-type-mismatch',
  level: 'error',
  why: 'PostgreSQL cannot compare the two types and refuses the foreign key (42804). Give the column the type of the key.',
  example: 'create table ships (id uuid primary key);\ncreate table crews (ship_id integer references ships (id))',
  check: (statement, context) =>
    pairs(statement, context)
      .filter((pair) => isRefused(context.catalog, pair))
      .map((pair) => differs(statement, pair, 'cannot reference')),
}

/** Whether a key of one type is stored and compared like a key of the other. */
const isSame = ({ name }: ColumnType, { name: other }: ColumnType) =>
  name === other || (['text', 'varchar'].includes(name) && ['text', 'varchar'].includes(other))

const fkTypeDiffers: Rule = {
  name: 'fk-type-differs',
  level: 'warn',
  why: 'The foreign key works, but the smaller type overflows one day, and comparing different types can prevent the use of an index. Give the column the type of the key.',
  example: 'create table ships (id bigint primary key);\ncreate table crews (ship_id integer references ships (id))',
  check: (statement, context) =>
    pairs(statement, context)
      .filter((pair) => familyOf(context.catalog, pair.type) !== undefined)
      .filter((pair) => familyOf(context.catalog, pair.type) === familyOf(context.catalog, pair.keyType))
      .filter((pair) => !isSame(pair.type, pair.keyType) && !isRefused(context.catalog, pair))
      .map((pair) => differs(statement, pair, 'references')),
}

function differs(statement: LintStatement, { column, type, key, keyType, keyTable, at, fk }: Pair, verb: string): Hit {
  return {
    at,
    message: `${printIdent(column)} is ${printType(type)} and ${verb} ${keyTable} (${printIdent(key)}), which is ${printType(keyType)}`,
    table: fk.table,
    rewrite: withType(statement, fk.defined.get(column), printType(keyType)),
  }
}

/** The statement, with the type of one column that it defines replaced. */
function withType(
  { text, start, at }: LintStatement,
  column: ColumnDef | undefined,
  type: string,
): Rewrite | undefined {
  if (!column) return undefined
  const from = at(column.typeName?.location) - start
  const [first] = constraintsOf(column)
  const to = first ? at(first.location) - start : endOfItem(text, from)
  const gap = /\s*$/.exec(text.slice(from, to))?.[0] ?? ''
  return [{ sql: `${text.slice(0, from)}${type}${gap}${text.slice(to)};` }]
}

const createTableWithFk: Rule = {
  name: 'create-table-with-fk',
  level: 'warn',
  lock: 'ShareRowExclusiveLock',
  why:
    'A foreign key of a new table blocks writes to the referenced table until the end of the transaction. ' +
    'That is only a moment, unless slow work follows in the same file.',
  example: 'create table orders (user_id bigint references users (id));\ninsert into orders select id from users',
  check(statement, context) {
    const { node, text } = statement
    if (!('CreateStmt' in node)) return []
    const locked = foreignKeys(statement).filter(
      ({ pktable, table }) =>
        printName(relationName(pktable)) !== printName(table) && !context.isNew(relationName(pktable)),
    )
    const isSlowBehind = ({ node: other }: LintStatement) => isSlow(other, { isNew: context.isNewBehind })
    const slow = locked.length > 0 ? context.after.find(isSlowBehind) : undefined
    if (!slow) return []
    return locked.map(({ pktable, at }) => ({
      at,
      message: `writes to ${printName(relationName(pktable))} are blocked until the rest of the file has run`,
      table: relationName(pktable),
      rewrite: [{ sql: `${text};` }, { sql: `${slow.text};` }],
    }))
  },
}

const fkWithoutIndex: Rule = {
  name: 'fk-without-index',
  level: 'off',
  why: 'Without an index on the referencing columns, deleting a row of the referenced table scans this whole table.',
  example: 'create table orders (user_id bigint references users (id))',
  check(statement, context) {
    return foreignKeys(statement)
      .filter((fk) => !hasIndex(statement, fk, context))
      .map(({ table, columns, at }) => ({
        at,
        message: `no index of ${printName(table)} starts with ${printList(columns)}`,
        table,
        rewrite: withIndex(statement, table, columns),
      }))
  },
}

/** For a new table in the same file; for an existing one without blocking it. */
function withIndex({ node, text }: LintStatement, table: TableName, columns: string[]): Rewrite {
  const index = `${printIdent(joinName(table.name, ...columns, 'idx'))} on ${printName(table)} (${printList(columns)});`
  return 'CreateStmt' in node
    ? [{ sql: `${text};\ncreate index ${index}` }]
    : [{ outside: true, sql: `create index concurrently ${index}` }]
}

/** An index of this file, an earlier one, or a key of the table. */
function hasIndex(
  statement: LintStatement,
  { table, columns }: ForeignKey,
  { catalog, statements }: FileContext,
): boolean {
  const begins = (keys: string[]) => columns.every((column) => keys.slice(0, columns.length).includes(column))
  const own = tableOf(catalog, table)
  const created = statements.flatMap(({ node }) =>
    'IndexStmt' in node && node.IndexStmt.relation?.relname === table.name
      ? [(node.IndexStmt.indexParams ?? []).map((one) => ('IndexElem' in one ? (one.IndexElem.name ?? '') : ''))]
      : [],
  )
  const indexed = [...catalog.indexes.values()]
    .filter((index) => index.table === own?.key)
    .map((index) => index.columns)
  const keys = [...(own?.constraints.values() ?? [])].filter(({ kind }) => kind === 'primary' || kind === 'unique')
  return [...created, ...indexed, ...keys.map((key) => key.columns), ...keysOfStatement(statement)].some(begins)
}

/** Primary and unique keys of the statement itself. */
function keysOfStatement({ node }: LintStatement): string[][] {
  const elements = 'CreateStmt' in node ? (node.CreateStmt.tableElts ?? []) : []
  const isKey = ({ contype }: Constraint) => contype === 'CONSTR_PRIMARY' || contype === 'CONSTR_UNIQUE'
  return elements.flatMap((element) => {
    if ('Constraint' in element) return isKey(element.Constraint) ? [textsOf(element.Constraint.keys)] : []
    return 'ColumnDef' in element && constraintsOf(element.ColumnDef).some(isKey)
      ? [[element.ColumnDef.colname ?? '']]
      : []
  })
}

/** Rules about foreign keys. */
export const foreignKeyRules: Rule[] = [fkTypeMismatch, fkTypeDiffers, createTableWithFk, fkWithoutIndex]
