// pure
import type { Condition, Operand } from '../config/condition.ts'
import { quoteIdent, quoteLiteral } from '../sql/quote.ts'

/** The condition as SQL, on the columns of a table with an alias. Every operator is PostgreSQL's own. */
export function renderCondition(condition: Condition, alias: string): string {
  const of = (operand: Operand) => renderOperand(operand, alias)
  const join = (list: Condition[], word: string) =>
    `(${list.map((one) => renderCondition(one, alias)).join(` ${word} `)})`
  if ('all' in condition) return join(condition.all, 'and')
  if ('any' in condition) return join(condition.any, 'or')
  if ('not' in condition) return `(not ${renderCondition(condition.not, alias)})`
  if ('is' in condition) return `(${of(condition.of)} is ${condition.is})`
  if ('value' in condition) return of(condition.value)
  return `(${of(condition.left)} operator(pg_catalog.${condition.compare}) ${of(condition.right)})`
}

function renderOperand(operand: Operand, alias: string): string {
  if ('column' in operand) return `${alias}.${quoteIdent(operand.column)}`
  return 'text' in operand ? quoteLiteral(operand.text) : operand.word
}
