// pure
import { domainOf } from '../catalog.ts'
import type { FileContext } from '../context.ts'
import type { Rule } from '../rule.ts'
import { printIdent, printName } from '../sql.ts'
import type { LintStatement } from '../statement.ts'
import { typeOf } from '../tree.ts'
import { newColumns } from './columns.ts'

/** New constraints on domains, and new columns of domains that have constraints. */
export const domainWithConstraint: Rule = {
  name: 'domain-with-constraint',
  level: 'warn',
  lock: 'ShareLock',
  why:
    'A new constraint on a domain is checked in every table that uses the domain, and blocks writes to tables that the statement does not name. ' +
    'Adding a column of a domain with constraints rewrites the whole table.',
  example: 'alter domain positive add constraint positive_small check (value < 1000)',
  check(statement, context) {
    return [...alteredDomain(statement, context), ...domainColumns(statement, context)]
  },
}

function alteredDomain(
  { node, text, start }: LintStatement,
  { catalog, isNewIn }: FileContext,
): ReturnType<Rule['check']> {
  if (!('AlterDomainStmt' in node)) return []
  const { subtype, typeName, def } = node.AlterDomainStmt
  const constraint = def && 'Constraint' in def ? def.Constraint : undefined
  if (subtype !== 'O' && (subtype !== 'C' || constraint?.contype !== 'CONSTR_CHECK' || constraint.skip_validation))
    return []
  const parts = (typeName ?? []).map((part) => ('String' in part ? (part.String.sval ?? '') : ''))
  const name = { schema: parts.at(-2), name: parts.at(-1) ?? '' }
  const domain = domainOf(catalog, { name: name.name, ...(name.schema !== undefined && { schema: name.schema }) })
  if (isNewIn(domain?.file)) return []
  const label = constraint?.conname
  return [
    {
      at: start,
      message: `every table with a column of ${printName(name)} is scanned while writes to it are blocked`,
      rewrite:
        subtype === 'C' && label !== undefined
          ? [
              { sql: `${text} not valid;` },
              { sql: `alter domain ${printName(name)} validate constraint ${printIdent(label)};` },
            ]
          : undefined,
    },
  ]
}

const domainColumns = (statement: LintStatement, context: FileContext) =>
  newColumns(statement, context)
    .filter(({ column }) => domainOf(context.catalog, typeOf(column.typeName))?.constrained)
    .map(({ clause, name, type, at }) => ({
      at,
      message: `the domain ${type} has constraints: adding ${printIdent(name)} rewrites the whole table ${printName(clause.table)} while reads and writes are blocked`,
      table: clause.table,
      cost: 'rewrite' as const,
      lock: 'AccessExclusiveLock' as const,
    }))
