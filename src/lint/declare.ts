// pure
import type { AlterTableStmt, CreateStmt, IndexStmt, Node, RenameStmt } from 'libpg-query'
import { type Catalog, keyOf, type Table, tableOf } from './catalog.ts'
import { alterTable } from './declare-alter.ts'
import { drop } from './declare-drop.ts'
import { addColumn, addConstraint, addTable } from './declare-table.ts'
import { joinName } from './sql.ts'
import { nameOf, relationName, textsOf, typeOf } from './tree.ts'
import type { TableName } from './types.ts'

/** Applies a statement to the catalog. @param file number of the file that contains it */
export function declare(catalog: Catalog, node: Node, file: number): void {
  if ('CreateStmt' in node) createTable(catalog, node.CreateStmt, file)
  else if ('CreateForeignTableStmt' in node)
    createTable(catalog, node.CreateForeignTableStmt.base ?? {}, file, 'foreign')
  else if ('CreateTableAsStmt' in node) {
    const { into, objtype } = node.CreateTableAsStmt
    if (into?.rel) addTable(catalog, relationName(into.rel), file, objtype === 'OBJECT_MATVIEW' ? 'matview' : 'table')
  } else if ('SelectStmt' in node) {
    const { intoClause } = node.SelectStmt
    if (intoClause?.rel) addTable(catalog, relationName(intoClause.rel), file)
  } else if ('CreateSchemaStmt' in node) {
    const inside = { ...catalog, schema: node.CreateSchemaStmt.schemaname ?? catalog.schema }
    for (const element of node.CreateSchemaStmt.schemaElts ?? []) declare(inside, element, file)
  } else if ('IndexStmt' in node) createIndex(catalog, node.IndexStmt, file)
  else if ('AlterTableStmt' in node) alterTable(catalog, node.AlterTableStmt as AlterTableStmt)
  else if ('RenameStmt' in node) rename(catalog, node.RenameStmt)
  else if ('AlterObjectSchemaStmt' in node) {
    const { relation, newschema } = node.AlterObjectSchemaStmt
    if (relation && newschema !== undefined)
      move(catalog, relationName(relation), { schema: newschema, name: relation.relname ?? '' })
  } else if ('DropStmt' in node) drop(catalog, node.DropStmt)
  else if ('VariableSetStmt' in node) {
    const { name, kind, args } = node.VariableSetStmt
    if (name === 'search_path') catalog.schema = kind === 'VAR_SET_VALUE' ? firstSchema(args) : 'public'
  } else declareType(catalog, node, file)
}

function declareType(catalog: Catalog, node: Node, file: number): void {
  if ('CreateEnumStmt' in node) {
    const { typeName, vals } = node.CreateEnumStmt
    catalog.enums.set(keyOf(catalog, nameOf(typeName)), { file, values: textsOf(vals) })
  } else if ('AlterEnumStmt' in node) {
    const { typeName, newVal, oldVal, skipIfNewValExists } = node.AlterEnumStmt
    const values = catalog.enums.get(keyOf(catalog, nameOf(typeName)))?.values
    if (skipIfNewValExists && (!values || values.includes(newVal ?? ''))) catalog.idle.add(node)
    else if (values && newVal !== undefined)
      values.splice(oldVal === undefined ? values.length : values.indexOf(oldVal), oldVal === undefined ? 0 : 1, newVal)
  } else if ('CreateDomainStmt' in node) {
    const { domainname, typeName, constraints = [] } = node.CreateDomainStmt
    const constrained = constraints.some(
      (one) => 'Constraint' in one && /CHECK|NOTNULL/.test(one.Constraint.contype ?? ''),
    )
    catalog.domains.set(keyOf(catalog, nameOf(domainname)), { file, base: typeOf(typeName), constrained })
  } else if ('AlterDomainStmt' in node) {
    const { typeName, subtype } = node.AlterDomainStmt
    const domain = catalog.domains.get(keyOf(catalog, nameOf(typeName)))
    if (domain && (subtype === 'C' || subtype === 'O')) domain.constrained = true
  }
}

function firstSchema(args: Node[] | undefined): string {
  const names = (args ?? []).map((node) => ('A_Const' in node ? (node.A_Const.sval?.sval ?? '') : ''))
  return names.find((name) => name !== '' && name !== '$user') ?? 'public'
}

function createTable(catalog: Catalog, statement: CreateStmt, file: number, kind: Table['kind'] = 'table'): void {
  const { relation, tableElts = [], inhRelations = [], partspec, constraints = [], if_not_exists } = statement
  if (!relation) return
  if (if_not_exists && tableOf(catalog, relationName(relation))) return
  const table = addTable(catalog, relationName(relation), file, kind)
  table.partitionKey = partspec?.partParams?.map((node) =>
    'PartitionElem' in node ? (node.PartitionElem.name ?? '') : '',
  )
  for (const node of inhRelations) {
    const parent = 'RangeVar' in node ? tableOf(catalog, relationName(node.RangeVar)) : undefined
    if (parent) copyColumns(parent, table)
    if (parent) table.parents.push(parent.key)
  }
  for (const node of [...tableElts, ...constraints]) {
    if ('ColumnDef' in node) addColumn(catalog, table, node.ColumnDef)
    else if ('Constraint' in node) addConstraint(catalog, table, node.Constraint)
    else if ('TableLikeClause' in node && node.TableLikeClause.relation) {
      const source = tableOf(catalog, relationName(node.TableLikeClause.relation))
      if (source) copyColumns(source, table)
    }
  }
}

function copyColumns(from: Table, to: Table): void {
  for (const [name, column] of from.columns) to.columns.set(name, { ...column })
  for (const [name, constraint] of from.constraints)
    if (constraint.kind === 'primary') to.constraints.set(name, constraint)
}

function createIndex(catalog: Catalog, statement: IndexStmt, file: number): void {
  const { idxname, relation, indexParams = [], unique = false, if_not_exists } = statement
  if (!relation) return
  const table = tableOf(catalog, relationName(relation))
  const name = relationName(relation)
  const columns = indexParams.map((node) => ('IndexElem' in node ? (node.IndexElem.name ?? '') : ''))
  const own = idxname ?? joinName(name.name, ...columns.map((column) => column || 'expr'), 'idx')
  const key = keyOf({ schema: (table?.key ?? keyOf(catalog, name)).split('.')[0] ?? '' }, { name: own })
  if (if_not_exists && catalog.indexes.has(key)) return
  catalog.indexes.set(key, { table: table?.key ?? keyOf(catalog, name), columns, unique, file })
}

function rename(catalog: Catalog, { renameType, relation, object, subname = '', newname = '' }: RenameStmt): void {
  if (renameType === 'OBJECT_TYPE' || renameType === 'OBJECT_DOMAIN')
    renameTypeTo(catalog, nameOf(object && 'List' in object ? object.List.items : []), newname)
  if (!relation) return
  const name = relationName(relation)
  const table = tableOf(catalog, name)
  if (renameType === 'OBJECT_TABLE' || renameType === 'OBJECT_MATVIEW') {
    move(catalog, name, { ...(name.schema !== undefined && { schema: name.schema }), name: newname })
  } else if (renameType === 'OBJECT_INDEX') {
    const index = catalog.indexes.get(keyOf(catalog, name))
    if (!index) return
    catalog.indexes.delete(keyOf(catalog, name))
    catalog.indexes.set(keyOf(catalog, { ...name, name: newname }), index)
  } else if (renameType === 'OBJECT_COLUMN' && table) renameColumn(table, subname, newname)
  else if (renameType === 'OBJECT_TABCONSTRAINT' && table) {
    const constraint = table.constraints.get(subname)
    if (!constraint) return
    table.constraints.delete(subname)
    table.constraints.set(newname, constraint)
  }
}

/** Renames a type, also in the columns that have it. */
function renameTypeTo(catalog: Catalog, name: TableName, newname: string): void {
  for (const kinds of [catalog.enums, catalog.domains] as Map<string, unknown>[]) {
    const known = kinds.get(keyOf(catalog, name))
    if (known === undefined) continue
    kinds.delete(keyOf(catalog, name))
    kinds.set(keyOf(catalog, { ...name, name: newname }), known)
  }
  for (const { columns } of catalog.tables.values())
    for (const { type } of columns.values())
      if (type?.name === name.name && (type.schema ?? catalog.schema) === (name.schema ?? catalog.schema))
        type.name = newname
}

function renameColumn(table: Table, from: string, to: string): void {
  const column = table.columns.get(from)
  if (column) table.columns.set(to, column)
  table.columns.delete(from)
  for (const constraint of table.constraints.values())
    constraint.columns = constraint.columns.map((name) => (name === from ? to : name))
}

function move(catalog: Catalog, from: TableName, to: TableName): void {
  const table = tableOf(catalog, from)
  if (!table) return
  const old = table.key
  catalog.tables.delete(old)
  table.key = to.schema === undefined ? `${old.split('.')[0]}.${to.name}` : keyOf(catalog, to)
  catalog.tables.set(table.key, table)
  for (const index of catalog.indexes.values()) if (index.table === old) index.table = table.key
}
