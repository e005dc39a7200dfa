import type { LintLevel, LintRuleName } from '../config/lint-rules.ts'

/** What is sent for one migration, and how. */
export type LintFile = {
  /** As shown to people. */
  name: string
  path: string
  /** The text that is sent: of formats with sections only that for `up`. */
  text: string
  /** Line of the file, from 1, that the text begins in. */
  line: number
  /** `wrapped`: in one transaction; `split`: statement by statement, outside transactions but those the file begins itself. */
  mode: 'wrapped' | 'split'
  /** The file does not ask to be split: one of its statements demands it. */
  demanded?: boolean
  /** Known to be not applied yet: what one such file creates is new and empty for those behind it. */
  pending?: boolean
  /** How a file of this format asks to run outside a transaction; default that of pgbosun. */
  outside?: string
}

/** Modes of table locks, as pg_locks names them. */
export type LockMode =
  | 'RowExclusiveLock'
  | 'ShareUpdateExclusiveLock'
  | 'ShareLock'
  | 'ShareRowExclusiveLock'
  | 'ExclusiveLock'
  | 'AccessExclusiveLock'

/** What the time of a statement grows with: it writes the table anew, reads all of it, or builds an index. */
export type Cost = 'rewrite' | 'scan' | 'build'

/** A table as the statement names it; without a schema the search path decides. */
export type TableName = { schema?: string | undefined; name: string }

/** A safe way to get the same: files in this order, of which some run outside a transaction. */
export type Rewrite = { sql: string; outside?: boolean }[]

/** What a rule found in a statement. */
export type Hit = {
  /** Offset in the file's text, in UTF-16 units. */
  at: number
  /** What happens to which thing. */
  message: string
  rewrite?: Rewrite | undefined
  table?: TableName | undefined
  cost?: Cost | undefined
  /** Where it differs from that of the rule. */
  lock?: LockMode | undefined
}

/** A broken rule at a place. Line and column count from 1, the column in code points. */
export type Finding = {
  rule: LintRuleName
  level: Exclude<LintLevel, 'off'>
  file: string
  path: string
  line: number
  column: number
  message: string
  why: string
  lock: LockMode | null
  /** SQL with the user's names filled in; null where there is no other way. */
  rewrite: string | null
  table: TableName | null
  cost: Cost | null
  /** The line with a caret. */
  excerpt: string
  /** Whether the file is applied already; left out where nobody knows. */
  applied?: boolean
}
