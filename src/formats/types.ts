import type { FormatName } from '../config/formats.ts'
import type { AppError } from '../errors.ts'

/** SQL for one direction of a migration: a file, or a section of one. */
export type Script = {
  /** Path of the file as it was read. */
  path: string
  /** The text as it is sent: without a byte order mark, otherwise unchanged unless the format says so (placeholders). */
  text: string
  /**
   * The text that may be shown, if values of environment variables, which may be secret, were substituted in it: the same lines
   * without the values. Columns differ.
   */
  shown?: string
  /** Line of the file, counted from 1, where the text starts. */
  line: number
  /** False if the file asks to run outside a transaction. Other files may have to, too: see planSending. */
  transactional: boolean
  /** Settings that the tool sets in its session before the text, by name, with values for set_config. */
  settings?: Readonly<Record<string, string>>
}

/** A migration: the SQL that applies it, and what identifies it in the history. */
export type Migration = Script & {
  /** What identifies it in its format; unique among the migrations of a folder. `1` for `001_create_users.sql` of pgbosun. */
  id: string
  /** File name without its ending, as shown to people: `001_create_users`. */
  name: string
  /** `versioned` migrations run once, in order; `repeatable` ones run after them, and again whenever they change. */
  kind: 'versioned' | 'repeatable'
  /** Ours: sha256 of the file's text without byte order mark, with CRLF and CR turned into LF. */
  sha256: string
  /** The checksum in the tool's history, in its own form; null if the tool stores none. For pgbosun the sha256. */
  checksum: string | null
  /** Whether another checksum means the same content: other line endings, an older algorithm of the tool. */
  accepts?: (recorded: string) => boolean
  /** Why it cannot be applied. This only matters if it has to be: an old file may already be applied. */
  refused?: AppError
  /** Reads the script that undoes it; undefined if there is none. */
  down?: () => Script
  /** What else the format's history records about the file: a description, the hash of the previous file. */
  native: Readonly<Record<string, string | number | boolean | null>>
}

/**
 * `started`: runs outside a transaction and has not finished. `failed`: recorded by another tool, and a person has to decide.
 * `faked` and `adopted`: recorded without being run. `baseline`: stands for everything up to it.
 */
export type AppliedStatus = 'applied' | 'started' | 'failed' | 'faked' | 'adopted' | 'baseline'

/** The progress of a script that runs outside a transaction. */
export type Progress = {
  direction: 'up' | 'down'
  /** How many statements have finished. */
  done: number
  /** Whether the next statement, which cannot share a transaction with this record, was started. */
  running: boolean
  /** sha256 of the text up to the end of the last finished statement: that part must not change before the rest has run. */
  sha256: string
  /** Names of the table's indexes before the creation of an index without a name started. */
  indexes?: string[]
}

/** A migration in the history of a database. */
export type Applied = {
  id: string
  name: string
  /** As in the format's history. */
  checksum: string | null
  /** Null if another tool applied it. */
  sha256: string | null
  status: AppliedStatus
  /** An instant, RFC 3339 in UTC; null if the history does not record it. */
  appliedAt: string | null
  durationMs: number | null
  appliedBy: string | null
  toolVersion: string | null
  progress: Progress | null
  /** Number of our own row about it; 0 if there is none. */
  seq: number
  /** As in the tool's history, if the tool compares it with that of the file. */
  description?: string
}

export type { FormatName }
