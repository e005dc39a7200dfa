// pure
import type { AlterTableCmd, AlterTableStmt, Node } from 'libpg-query'
import { type Catalog, type Table, tableOf } from './catalog.ts'
import { addColumn, addConstraint, addTable } from './declare-table.ts'
import { inPasses, type Pass } from './passes.ts'
import { columnOf, constraintOf, relationName, typeOf } from './tree.ts'
import type { TableName } from './types.ts'

/** Applies an ALTER TABLE to the catalog. @param before only the commands that run before this pass */
export function alterTable(catalog: Catalog, { relation, cmds = [] }: AlterTableStmt, before?: Pass): void {
  if (!relation) return
  const table = tableOf(catalog, relationName(relation)) ?? unknownTable(catalog, relationName(relation))
  for (const command of inPasses(cmds, before)) alter(catalog, table, command)
}

/** The catalog as the commands of a pass see it: with the changes of the earlier passes of the same statement. */
export function seenBy(pass: Pass, catalog: Catalog, node: Node): Catalog {
  const statement = 'AlterTableStmt' in node ? node.AlterTableStmt : undefined
  if (!statement?.relation || inPasses(statement.cmds ?? [], pass).length === 0) return catalog
  const table = tableOf(catalog, relationName(statement.relation))
  const seen = { ...catalog, tables: new Map(catalog.tables) }
  if (table) seen.tables.set(table.key, copyOf(table))
  alterTable(seen, statement, pass)
  return seen
}

const copyOf = (table: Table): Table => ({
  ...table,
  columns: new Map([...table.columns].map(([name, column]) => [name, { ...column }])),
  constraints: new Map([...table.constraints].map(([name, constraint]) => [name, { ...constraint }])),
})

/** A table that no file creates: only what ALTER TABLE says about it is known. */
const unknownTable = (catalog: Catalog, name: TableName) => addTable(catalog, name, -1)

function alter(catalog: Catalog, table: Table, command: AlterTableCmd): void {
  const { subtype, name = '', def } = command
  const column = table.columns.get(name)
  const defined = columnOf(command)
  const constraint = constraintOf(command)
  if (subtype === 'AT_AddColumn' && defined) {
    // Nobody knows whether a table that no file creates already has the column.
    if (command.missing_ok && table.file === -1) return
    if (!command.missing_ok || !table.columns.has(defined.colname ?? '')) addColumn(catalog, table, defined)
  } else if (subtype === 'AT_DropColumn') dropColumn(table, name)
  else if (subtype === 'AT_SetNotNull' && column) column.notNull = true
  else if (subtype === 'AT_DropNotNull' && column) column.notNull = false
  else if (subtype === 'AT_AlterColumnType' && column && defined) column.type = typeOf(defined.typeName)
  else if (subtype === 'AT_AddConstraint' && constraint) addConstraint(catalog, table, constraint)
  else if (subtype === 'AT_DropConstraint') table.constraints.delete(name)
  else if (subtype === 'AT_ValidateConstraint') {
    const known = table.constraints.get(name)
    if (known) known.validated = true
  } else if (subtype === 'AT_AttachPartition' && def && 'PartitionCmd' in def && def.PartitionCmd.name) {
    tableOf(catalog, relationName(def.PartitionCmd.name))?.parents.push(table.key)
  } else if (subtype === 'AT_DetachPartition' && def && 'PartitionCmd' in def && def.PartitionCmd.name) {
    const part = tableOf(catalog, relationName(def.PartitionCmd.name))
    if (part) part.parents = part.parents.filter((key) => key !== table.key)
  }
}

/** Also drops the constraints that need the column. */
function dropColumn(table: Table, name: string): void {
  table.columns.delete(name)
  for (const [key, { columns }] of table.constraints) if (columns.includes(name)) table.constraints.delete(key)
}
