// pure
import type { Node, ResTarget } from 'libpg-query'
import type { FileContext } from '../context.ts'
import { deleteInBatches, updateInBatches } from '../rewrites.ts'
import type { Rule } from '../rule.ts'
import { printIdent, printName, splitClauses } from '../sql.ts'
import type { LintStatement } from '../statement.ts'
import { relationName } from '../tree.ts'
import type { Rewrite } from '../types.ts'

/** UPDATE and DELETE of much of a table. */
export const unbatchedUpdate: Rule = {
  name: 'unbatched-update',
  level: 'warn',
  lock: 'RowExclusiveLock',
  why: 'One transaction that changes many rows keeps them all locked until it ends, bloats the table and makes replicas lag. Change the rows in small batches.',
  example: 'update users set active = true where active is null',
  check(statement, context) {
    const { node, start } = statement
    const change = 'UpdateStmt' in node ? node.UpdateStmt : 'DeleteStmt' in node ? node.DeleteStmt : undefined
    if (!change?.relation || !isWide(change.whereClause) || isLimited(node)) return []
    const table = relationName(change.relation)
    if (context.isNew(table)) return []
    const rewrite = inBatches(statement, context)
    return [
      {
        at: start,
        message: `one ${'UpdateStmt' in node ? 'UPDATE changes' : 'DELETE removes'} ${change.whereClause ? 'many' : 'all'} rows of ${printName(table)}`,
        table,
        cost: 'rewrite',
        rewrite: rewrite && [rewrite],
      },
    ]
  },
}

/** No condition, or only conditions that hold for a column that has just been added: `c is null`. */
function isWide(where: Node | undefined): boolean {
  if (!where || 'NullTest' in where) return true
  if ('BoolExpr' in where && where.BoolExpr.boolop !== 'NOT_EXPR') return (where.BoolExpr.args ?? []).every(isWide)
  return 'A_Expr' in where && where.A_Expr.kind === 'AEXPR_DISTINCT'
}

/** Whether another table is joined, which may limit the rows. */
const isLimited = (node: Node) =>
  ('UpdateStmt' in node && (node.UpdateStmt.fromClause?.length ?? 0) > 0) ||
  ('DeleteStmt' in node && (node.DeleteStmt.usingClause?.length ?? 0) > 0)

/** The same change in batches; undefined if it is not simple enough to be split. */
export function inBatches({ node, text, start, at }: LintStatement, context: FileContext): Rewrite[number] | undefined {
  if (isLimited(node) || /\breturning\b/i.test(text)) return undefined
  if ('DeleteStmt' in node && node.DeleteStmt.relation && !node.DeleteStmt.withClause)
    return deleteInBatches(relationName(node.DeleteStmt.relation), whereText(text))
  if (!('UpdateStmt' in node) || !node.UpdateStmt.relation || node.UpdateStmt.withClause) return undefined
  const { relation, targetList = [] } = node.UpdateStmt
  const targets = targetList.flatMap((one) => ('ResTarget' in one ? [one.ResTarget] : []))
  const [first] = targets
  if (!first || relation.alias || context.isNew(relationName(relation))) return undefined
  const where = whereText(text)
  const from = at(first.location) - start
  const set = text
    .slice(from, where === undefined ? undefined : text.length - where.length)
    .replace(/\s*\bwhere\s*$/i, '')
  const pending = stillToChange(targets, set)
  if (pending === undefined) return undefined
  return updateInBatches(relationName(relation), set, where === undefined ? pending : `(${where}) and ${pending}`)
}

/** What follows the last WHERE, if that is outside brackets: a WHERE in a subquery does not count. */
function whereText(text: string): string | undefined {
  const found = /\bwhere\s+((?:(?!\bwhere\b)[\s\S])*)$/i.exec(text)
  if (!found?.[1]) return undefined
  const depth = [...text.slice(0, found.index)].reduce((sum, c) => sum + (c === '(' ? 1 : c === ')' ? -1 : 0), 0)
  return depth === 0 ? found[1] : undefined
}

/** A condition that holds for the rows still to be changed, without which the batches never end. Only for `column = value`. */
function stillToChange(targets: ResTarget[], set: string): string | undefined {
  const clauses = splitClauses(set).map(({ text }) => /^[^=(]*=\s*([\s\S]*)$/.exec(text)?.[1])
  const values = clauses.filter((value) => value !== undefined && !/^default$/i.test(value))
  if (values.length !== targets.length || targets.some(({ indirection }) => indirection)) return undefined
  const columns = targets.map(({ name = '' }) => printIdent(name))
  return columns.length === 1
    ? `${columns[0]} is distinct from (${values[0]})`
    : `(${columns.join(', ')}) is distinct from (${values.join(', ')})`
}
