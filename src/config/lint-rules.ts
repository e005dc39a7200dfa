// pure
/** Names of the lint rules, in the order of docs/lint.md. The rules themselves are in lint/rules; a test compares the two. */
export const lintRuleNames = [
  'syntax-error',
  'psql-meta-command',
  'concurrently-in-transaction',
  'concurrently-not-alone',
  'forbidden-in-transaction',
  'nested-or-uncommitted-transaction',
  'enum-add-value-used-same-tx',
  'fk-type-mismatch',
  'fk-type-differs',
  'index-not-concurrent',
  'drop-index-not-concurrent',
  'reindex-not-concurrent',
  'invalid-index-left',
  'fk-without-index',
  'detach-partition-not-concurrent',
  'attach-partition-scan',
  'fk-validates',
  'check-validates',
  'not-valid-and-validate-same-tx',
  'set-not-null-scan',
  'add-unique-constraint',
  'add-primary-key',
  'add-exclusion-constraint',
  'drop-constraint-fk',
  'create-table-with-fk',
  'domain-with-constraint',
  'add-required-column',
  'add-column-volatile-default',
  'add-serial-column',
  'add-stored-generated-column',
  'alter-column-type',
  'drop-not-null',
  'drop-column',
  'drop-table',
  'truncate',
  'rename',
  'vacuum-full',
  'refresh-matview-not-concurrent',
  'several-hot-tables-in-one-tx',
  'ddl-and-backfill-same-tx',
  'unbatched-update',
  'missing-lock-timeout',
  'session-leak',
  'not-idempotent',
  'unqualified-name',
  'identifier-too-long',
  'enum-add-without-position',
  'json-column',
  'small-integer-key',
  'type-with-later-cost',
  'unused-allow',
] as const

/** Name of a lint rule. */
export type LintRuleName = (typeof lintRuleNames)[number]

/** What a finding of a rule means for a run: an `error` stops it (exit 22). */
const lintLevels = ['error', 'warn', 'off'] as const

export type LintLevel = (typeof lintLevels)[number]
