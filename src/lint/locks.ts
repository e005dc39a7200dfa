// pure
import { clausesOf } from './clauses.ts'
import type { FileContext } from './context.ts'
import type { LintStatement } from './statement.ts'
import { droppedNames, relationName } from './tree.ts'
import type { TableName } from './types.ts'

/** Commands of ALTER TABLE that take a weaker lock than ACCESS EXCLUSIVE: see AlterTableGetLockLevel in PostgreSQL. */
const weaker = new Set([
  'AT_ValidateConstraint',
  'AT_SetStatistics',
  'AT_SetOptions',
  'AT_ResetOptions',
  'AT_SetRelOptions',
  'AT_ResetRelOptions',
  'AT_ClusterOn',
  'AT_DropCluster',
  'AT_AttachPartition',
  'AT_DetachPartitionFinalize',
  'AT_EnableTrig',
  'AT_EnableAlwaysTrig',
  'AT_EnableReplicaTrig',
  'AT_DisableTrig',
  'AT_EnableTrigAll',
  'AT_DisableTrigAll',
  'AT_EnableTrigUser',
  'AT_DisableTrigUser',
])

/** Existing tables that a statement blocks, for reads too, until the end of its transaction; named as in the statement. */
export function blockedTables(statement: LintStatement, { isNew }: Pick<FileContext, 'isNew'>): TableName[] {
  const { node } = statement
  return named().filter((table) => !isNew(table))

  function named(): TableName[] {
    if ('AlterTableStmt' in node)
      return clausesOf(statement)
        .filter(isStrong)
        .map(({ table }) => table)
        .slice(0, 1)
    if ('TruncateStmt' in node)
      return (node.TruncateStmt.relations ?? []).flatMap((one) =>
        'RangeVar' in one ? [relationName(one.RangeVar)] : [],
      )
    if ('DropStmt' in node && node.DropStmt.removeType === 'OBJECT_TABLE') return droppedNames(node.DropStmt.objects)
    const isRename =
      'RenameStmt' in node && /^OBJECT_(TABLE|COLUMN|TABCONSTRAINT)$/.test(node.RenameStmt.renameType ?? '')
    return isRename && node.RenameStmt.relation ? [relationName(node.RenameStmt.relation)] : []
  }
}

function isStrong({ command: { subtype, def } }: ReturnType<typeof clausesOf>[number]): boolean {
  if (subtype && weaker.has(subtype)) return false
  if (subtype === 'AT_DetachPartition') return !(def && 'PartitionCmd' in def && def.PartitionCmd.concurrent)
  const isForeignKey = def && 'Constraint' in def && def.Constraint.contype === 'CONSTR_FOREIGN'
  return !(subtype === 'AT_AddConstraint' && isForeignKey)
}
