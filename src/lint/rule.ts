import type { LintLevel, LintRuleName } from '../config/lint-rules.ts'
import type { FileContext } from './context.ts'
import type { LintStatement } from './statement.ts'
import type { Hit, LintFile, LockMode } from './types.ts'

export type Rule = {
  name: LintRuleName
  /** The default level. */
  level: LintLevel
  lock?: LockMode
  why: string
  /** For docs/lint.md: SQL in which the rule finds something; `mode`: how that file runs, default `wrapped`. */
  example: string
  mode?: LintFile['mode']
  check(statement: LintStatement, context: FileContext): Hit[]
}
