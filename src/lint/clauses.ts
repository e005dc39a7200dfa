// pure
import type { AlterTableCmd, RangeVar } from 'libpg-query'
import { printName, splitClauses } from './sql.ts'
import type { LintStatement } from './statement.ts'
import { relationName } from './tree.ts'
import type { TableName } from './types.ts'

/** One command of an ALTER TABLE. */
export type Clause = {
  command: AlterTableCmd
  /** As written in the statement; rewrites start from it. */
  text: string
  at: number
  table: TableName
  /** `alter table users`. */
  alter: string
}

const name = /^(?:"(?:[^"]|"")*"|[^\s."(]+)(?:\s*\.\s*(?:"(?:[^"]|"")*"|[^\s."(]+))*\s*\*?/

/** A cache: most rules ask for the clauses of the same statement. */
const known = new WeakMap<LintStatement, Clause[]>()

/** The commands of an ALTER TABLE on a table or materialized view; none for any other statement. */
export function clausesOf(statement: LintStatement): Clause[] {
  const clauses = known.get(statement) ?? readClauses(statement)
  known.set(statement, clauses)
  return clauses
}

function readClauses(statement: LintStatement): Clause[] {
  const { node, text, start } = statement
  if (!('AlterTableStmt' in node)) return []
  const { relation, cmds = [], objtype } = node.AlterTableStmt
  if (!relation || (objtype !== 'OBJECT_TABLE' && objtype !== 'OBJECT_MATVIEW')) return []
  const from = statement.at(relation.location) - start
  const afterName = from + (name.exec(text.slice(from))?.[0].length ?? 0)
  const pieces = splitClauses(text, afterName)
  return cmds.flatMap((node, i) => {
    if (!('AlterTableCmd' in node)) return []
    const piece = pieces.length === cmds.length ? pieces[i] : undefined
    return [
      {
        command: node.AlterTableCmd,
        text: piece?.text ?? '',
        at: start + (piece?.start ?? 0),
        ...target(relation),
      },
    ]
  })
}

const target = (relation: RangeVar) => ({
  table: relationName(relation),
  alter: `alter table ${printName(relationName(relation))}`,
})
