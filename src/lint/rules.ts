// pure
import { lintRuleNames } from '../config/lint-rules.ts'
import { grammarMajor } from './grammar.ts'
import type { Rule } from './rule.ts'
import { alterColumnType } from './rules/column-type.ts'
import { columnRules } from './rules/columns.ts'
import { constraintRules } from './rules/constraints.ts'
import { destructiveRules } from './rules/destructive.ts'
import { domainWithConstraint } from './rules/domains.ts'
import { enumRules } from './rules/enums.ts'
import { foreignKeyRules } from './rules/foreign-keys.ts'
import { indexRules } from './rules/indexes.ts'
import { maintenanceRules } from './rules/maintenance.ts'
import { nameRules } from './rules/names.ts'
import { partitionRules } from './rules/partitions.ts'
import { sessionRules } from './rules/session.ts'
import { transactionRules } from './rules/transactions.ts'
import { typeRules } from './rules/types.ts'
import { unbatchedUpdate } from './rules/updates.ts'

/** Rules with findings from elsewhere: the parser, the scanner and the comments. */
const ofText: Rule[] = [
  {
    name: 'syntax-error',
    level: 'error',
    why: `PostgreSQL’s own grammar (version ${grammarMajor}) does not accept this. For a newer server it is a warning, because that may know the statement.`,
    example: 'alter tabel users add column note text',
    check: () => [],
  },
  {
    name: 'psql-meta-command',
    level: 'error',
    why: 'Commands that start with a backslash exist only in psql; the server refuses them. Put what the command includes or copies into the file itself.',
    example: '\\i other.sql\nselect 1',
    check: () => [],
  },
  {
    name: 'unused-allow',
    level: 'warn',
    why: 'An allow comment that is not needed would hide the next such statement, which may be a mistake. Remove the comment.',
    example: '-- pgbosun: allow drop-table it is empty\nselect 1',
    check: () => [],
  },
]

/** Every rule, in the order of config/lint-rules.ts. */
export const rules: Rule[] = [
  ...ofText,
  ...transactionRules,
  ...enumRules,
  ...foreignKeyRules,
  ...indexRules,
  ...partitionRules,
  ...constraintRules,
  ...columnRules,
  domainWithConstraint,
  alterColumnType,
  ...destructiveRules,
  ...maintenanceRules,
  unbatchedUpdate,
  ...sessionRules,
  ...nameRules,
  ...typeRules,
].sort((a, b) => lintRuleNames.indexOf(a.name) - lintRuleNames.indexOf(b.name))
