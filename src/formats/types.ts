import type { FormatName } from '../config/formats.ts'
import type { AppError } from '../errors.ts'

/** SQL for one direction of a migration: a file, or a section of one. */
export type Script = {
  /** Path of the file as it was read. */
  path: string
  /** The text as it is sent: without a byte order mark, otherwise unchanged unless the format says so (placeholders). */
  text: string
  /**
   * What people may see of the text, where environment variables were put into it, which may be secrets: the same lines without
   * their values. Columns differ.
   */
  shown?: string
  /** Line of the file, from 1, that the text begins in. */
  line: number
  /** False where the file asks to run outside a transaction. Other files may have to as well: see inspect.ts. */
  transactional: boolean
  /** Settings that the tool makes in its session before the text, by name, with values as set_config takes them. */
  settings?: Readonly<Record<string, string>>
}

/** A migration: what is sent to apply it, and what the history knows it by. */
export type Migration = Script & {
  /** What the format identifies it by; unique among the migrations of a folder. `1` for `001_create_users.sql` of pgbosun. */
  id: string
  /** File name without its ending, as shown to people: `001_create_users`. */
  name: string
  /** `versioned` ones run once, in order; `repeatable` ones after them, again whenever they changed. */
  kind: 'versioned' | 'repeatable'
  /** Ours: sha256 of the file's text without byte order mark, with CRLF and CR turned into LF. */
  sha256: string
  /** What the tool's history compares, as it stores it; null where the tool keeps none. For pgbosun the sha256. */
  checksum: string | null
  /** Whether another checksum stands for the same content: other line ends, an older algorithm of the tool. */
  accepts?: (recorded: string) => boolean
  /** Why it cannot be applied, where the tool does not mind as long as it need not: an old file that is applied already. */
  refused?: AppError
  /** What undoes it, read when it is needed; undefined when there is nothing. */
  down?: () => Script
  /** What else the format's history records of the file: a description, the hash before. */
  native: Readonly<Record<string, string | number | boolean | null>>
}

/**
 * `started` has not finished: it runs outside a transaction. `failed` was recorded by another tool, which waits for a person.
 * `faked` and `adopted` were recorded without being run; `baseline` stands for everything up to it.
 */
export type AppliedStatus = 'applied' | 'started' | 'failed' | 'faked' | 'adopted' | 'baseline'

/** How far a script that runs outside a transaction has come. */
export type Progress = {
  direction: 'up' | 'down'
  /** Statements that have finished. */
  done: number
  /** Whether the next one, which cannot be in a transaction with this record, was begun. */
  running: boolean
  /** sha256 of the text up to the end of the last finished statement: it must not change before the rest is run. */
  sha256: string
  /** Names of the table's indexes before an index without a name was begun. */
  indexes?: string[]
}

/** A migration that the database knows of. */
export type Applied = {
  id: string
  name: string
  /** As the format's history has it. */
  checksum: string | null
  /** Null where another tool applied it. */
  sha256: string | null
  status: AppliedStatus
  /** An instant, RFC 3339 in UTC; null where the history does not say. */
  appliedAt: string | null
  durationMs: number | null
  appliedBy: string | null
  toolVersion: string | null
  progress: Progress | null
  /** Number of our own row about it; 0 where there is none. */
  seq: number
  /** As the tool's history has it, where the tool compares it with that of the file. */
  description?: string
}

export type { FormatName }
