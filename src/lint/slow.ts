// pure
import type { Node } from 'libpg-query'
import type { FileContext } from './context.ts'
import { relationName } from './tree.ts'

/** Whether a statement may take long: it changes many rows, or reads much of an existing table, or builds an index on it. */
export function isSlow(node: Node, { isNew }: Pick<FileContext, 'isNew'>): boolean {
  if ('InsertStmt' in node) {
    const { selectStmt } = node.InsertStmt
    return selectStmt !== undefined && 'SelectStmt' in selectStmt && (selectStmt.SelectStmt.fromClause?.length ?? 0) > 0
  }
  if ('UpdateStmt' in node) return !isNew(relationName(node.UpdateStmt.relation ?? {}))
  if ('DeleteStmt' in node) return !isNew(relationName(node.DeleteStmt.relation ?? {}))
  if ('IndexStmt' in node) return !isNew(relationName(node.IndexStmt.relation ?? {}))
  return 'MergeStmt' in node || 'CreateTableAsStmt' in node || 'CopyStmt' in node
}
