import type { LintLevel, LintRuleName } from '../config/lint-rules.ts'
import type { FileContext } from './context.ts'
import type { Statement } from './statement.ts'
import type { Hit, LintFile, LockMode } from './types.ts'

export type Rule = {
  name: LintRuleName
  /** Default. */
  level: LintLevel
  lock?: LockMode
  why: string
  /** For the reference: a statement that it finds, on a table that exists; and the file's mode, if not wrapped. */
  example: string
  mode?: LintFile['mode']
  check(statement: Statement, context: FileContext): Hit[]
}
