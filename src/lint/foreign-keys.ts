// pure
import type { ColumnDef, Constraint, RangeVar } from 'libpg-query'
import { clausesOf } from './clauses.ts'
import type { LintStatement } from './statement.ts'
import { columnOf, constraintOf, constraintsOf, relationName, textsOf } from './tree.ts'
import type { TableName } from './types.ts'

/** A foreign key that a statement declares. `defined`: the columns that this statement defines itself. */
export type ForeignKey = {
  constraint: Constraint
  table: TableName
  columns: string[]
  pktable: RangeVar
  defined: Map<string, ColumnDef>
  /** The column, if this is part of its ADD COLUMN IF NOT EXISTS: if the column exists, the foreign key is not added. */
  ifNoColumn?: string
  at: number
}

/** Every foreign key of a CREATE TABLE or an ALTER TABLE. */
export function foreignKeys(statement: LintStatement): ForeignKey[] {
  const { node } = statement
  const defined = new Map<string, ColumnDef>()
  const found: ForeignKey[] = []
  const note = (table: TableName, constraint: Constraint | undefined, column?: string, isOptional = false) => {
    if (constraint?.contype !== 'CONSTR_FOREIGN' || !constraint.pktable) return
    const columns = column === undefined ? textsOf(constraint.fk_attrs) : [column]
    found.push({
      constraint,
      table,
      columns,
      pktable: constraint.pktable,
      defined,
      ...(isOptional && column !== undefined && { ifNoColumn: column }),
      at: statement.at(constraint.location),
    })
  }
  if ('CreateStmt' in node && node.CreateStmt.relation) {
    const table = relationName(node.CreateStmt.relation)
    for (const element of [...(node.CreateStmt.tableElts ?? []), ...(node.CreateStmt.constraints ?? [])]) {
      if ('Constraint' in element) note(table, element.Constraint)
      if (!('ColumnDef' in element)) continue
      defined.set(element.ColumnDef.colname ?? '', element.ColumnDef)
      for (const constraint of constraintsOf(element.ColumnDef)) note(table, constraint, element.ColumnDef.colname)
    }
  }
  for (const { command, table } of clausesOf(statement)) {
    note(table, constraintOf(command))
    const column = command.subtype === 'AT_AddColumn' ? columnOf(command) : undefined
    // IF NOT EXISTS skips a column that an earlier command has added.
    if (!column || (command.missing_ok && defined.has(column.colname ?? ''))) continue
    defined.set(column.colname ?? '', column)
    for (const constraint of constraintsOf(column)) note(table, constraint, column.colname, command.missing_ok)
  }
  return found
}
