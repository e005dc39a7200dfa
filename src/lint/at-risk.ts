// pure
import { type LintLevel, type LintRuleName, lintRuleNames } from '../config/lint-rules.ts'
import type { Finding } from './types.ts'

/** Rules about data that is gone afterwards. Those about rewritten tables are told by their cost. */
const losing: LintRuleName[] = ['drop-column', 'drop-table', 'truncate']

/** Rewrites tables that it need not name. */
const rewriting: LintRuleName = 'vacuum-full'

/** What the rules cannot judge may be anything. */
const unread: LintRuleName = 'syntax-error'

/** Whether a finding is a reason to make a backup before the file is applied: data is lost, a table is rewritten, or nobody knows. */
export const putsDataAtRisk = ({ rule, cost }: Pick<Finding, 'rule' | 'cost'>): boolean =>
  cost === 'rewrite' || losing.includes(rule) || rule === rewriting || rule === unread

/** Levels for asking that: data is lost also where a rule is off. */
export const everyRule = Object.fromEntries(lintRuleNames.map((name) => [name, 'warn'])) as Record<
  LintRuleName,
  LintLevel
>
