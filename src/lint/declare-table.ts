// pure
import type { ColumnDef, Constraint, Node } from 'libpg-query'
import { type Catalog, keyOf, type Table, type TableConstraint, tableOf } from './catalog.ts'
import { joinName } from './sql.ts'
import { constraintsOf, isSerial, relationName, textOf, textsOf, typeOf } from './tree.ts'
import type { TableName } from './types.ts'

/** Adds a table about which nothing is known yet. */
export function addTable(catalog: Catalog, name: TableName, file: number, kind: Table['kind'] = 'table'): Table {
  const key = keyOf(catalog, name)
  const table: Table = {
    key,
    kind,
    file,
    columns: new Map(),
    constraints: new Map(),
    partitionKey: undefined,
    parents: [],
  }
  catalog.tables.set(key, table)
  return table
}

/** Adds a column and the constraints in its definition. */
export function addColumn(catalog: Catalog, table: Table, column: ColumnDef): void {
  const { colname = '', typeName } = column
  const constraints = constraintsOf(column)
  const notNull =
    isSerial(typeName) ||
    constraints.some(({ contype = '' }) => ['CONSTR_NOTNULL', 'CONSTR_PRIMARY', 'CONSTR_IDENTITY'].includes(contype))
  table.columns.set(colname, { type: typeOf(typeName), notNull })
  for (const constraint of constraints) addConstraint(catalog, table, constraint, colname)
}

const kinds: Partial<Record<string, TableConstraint['kind']>> = {
  CONSTR_PRIMARY: 'primary',
  CONSTR_UNIQUE: 'unique',
  CONSTR_FOREIGN: 'foreign',
  CONSTR_CHECK: 'check',
  CONSTR_EXCLUSION: 'exclusion',
}

/** Adds a constraint; one without a name gets the name that PostgreSQL would choose. */
export function addConstraint(catalog: Catalog, table: Table, constraint: Constraint, column?: string): void {
  const { contype = '', conname, keys, fk_attrs, pktable, skip_validation, raw_expr, indexname } = constraint
  const kind = kinds[contype]
  if (!kind) return
  const index =
    indexname === undefined
      ? undefined
      : catalog.indexes.get(keyOf({ schema: table.key.split('.')[0] ?? '' }, { name: indexname }))
  const own = kind === 'foreign' ? textsOf(fk_attrs) : index ? index.columns : textsOf(keys)
  const columns = column === undefined ? own : [column]
  if (kind === 'primary') {
    for (const name of columns) setNotNull(table, name)
    // A table has one primary key: an earlier one was dropped, under a name that the files do not mention.
    for (const [name, other] of table.constraints) if (other.kind === 'primary') table.constraints.delete(name)
  }
  const notNullColumn = kind === 'check' ? notNullCheck(raw_expr) : undefined
  table.constraints.set(conname ?? defaultName(table, kind, columns), {
    kind,
    columns,
    validated: skip_validation !== true,
    ...(pktable && {
      references: tableOf(catalog, relationName(pktable))?.key ?? keyOf(catalog, relationName(pktable)),
    }),
    ...(notNullColumn !== undefined && { notNullColumn }),
  })
}

function setNotNull(table: Table, name: string): void {
  const column = table.columns.get(name)
  if (column) column.notNull = true
}

const suffixes = {
  primary: 'pkey',
  unique: 'key',
  foreign: 'fkey',
  check: 'check',
  exclusion: 'excl',
  'not-null': 'not_null',
}

function defaultName(table: Table, kind: TableConstraint['kind'], columns: string[]): string {
  const name = table.key.slice(table.key.indexOf('.') + 1)
  return kind === 'primary' ? joinName(name, 'pkey') : joinName(name, ...columns, suffixes[kind])
}

/** The column `c` of a check `c is not null`. */
function notNullCheck(expression: Node | undefined): string | undefined {
  if (!expression || !('NullTest' in expression)) return undefined
  const { arg, nulltesttype } = expression.NullTest
  if (nulltesttype !== 'IS_NOT_NULL' || !arg || !('ColumnRef' in arg)) return undefined
  return textOf(arg.ColumnRef.fields?.at(-1))
}
