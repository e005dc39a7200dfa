import type { AlterTableCmd, AlterTableStmt } from 'libpg-query'
import { type Catalog, type Table, tableOf } from './catalog.ts'
import { addColumn, addConstraint, addTable } from './declare.ts'
import { columnOf, constraintOf, relationName, typeOf } from './tree.ts'
import type { TableName } from './types.ts'

/** What an ALTER TABLE changes in the catalog. */
export function alterTable(catalog: Catalog, { relation, cmds = [] }: AlterTableStmt): void {
  if (!relation) return
  const table = tableOf(catalog, relationName(relation)) ?? unknownTable(catalog, relationName(relation))
  for (const node of cmds) if ('AlterTableCmd' in node) alter(catalog, table, node.AlterTableCmd)
}

/** A table that no file creates: what is altered of it is known all the same. */
const unknownTable = (catalog: Catalog, name: TableName) => addTable(catalog, name, -1)

function alter(catalog: Catalog, table: Table, command: AlterTableCmd): void {
  const { subtype, name = '', def } = command
  const column = table.columns.get(name)
  const defined = columnOf(command)
  const constraint = constraintOf(command)
  if (subtype === 'AT_AddColumn' && defined) {
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

/** With it go the constraints that need it. */
function dropColumn(table: Table, name: string): void {
  table.columns.delete(name)
  for (const [key, { columns }] of table.constraints) if (columns.includes(name)) table.constraints.delete(key)
}
