import type { LintLevel, LintRuleName } from '../config/lint-rules.ts'

/** The SQL that is sent for one migration, and how it is sent. */
export type LintFile = {
  /** Shown to people. */
  name: string
  path: string
  /** The text that is sent: in formats with sections, only the `up` section. */
  text: string
  /** Line of the file, counted from 1, where the text starts. */
  line: number
  /** `wrapped`: in one transaction; `split`: statement by statement, in no transaction but those that the file itself begins. */
  mode: 'wrapped' | 'split'
  /** Split because one of its statements requires it, not because the file asks for it. */
  demanded?: boolean
  /** Known not to be applied yet: what one pending file creates is new and empty for the files after it. */
  pending?: boolean
  /** The line with which a file of this format asks to run outside a transaction; default: that of pgbosun. */
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

/** Why a statement takes longer on a bigger table: it rewrites the table, reads all of it, or builds an index. */
export type Cost = 'rewrite' | 'scan' | 'build'

/** A table as named in a statement; without a schema, the search path decides. */
export type TableName = { schema?: string | undefined; name: string }

/** A safe way to reach the same result: files to apply in this order; `outside`: outside a transaction. */
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
  /** Only if it differs from the lock of the rule. */
  lock?: LockMode | undefined
}

/** A broken rule at a place in a file. Line and column count from 1, the column in code points. */
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
  /** The safe way, as SQL with the user's names; null if there is none. */
  rewrite: string | null
  table: TableName | null
  cost: Cost | null
  /** The line of the file, with a caret below it. */
  excerpt: string
  /** Whether the file is already applied; left out if that is not known. */
  applied?: boolean
}
