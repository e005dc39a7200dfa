import type { FormatName } from '../config/formats.ts'
import type { AppError } from '../errors.ts'
import type { Refusal, Sending } from './sending.ts'

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

/** What the database knows, in the order in which it was applied. */
export type History = {
  applied: Applied[]
  /** The repeatable migrations, each with what was run last. */
  repeated: Applied[]
  /** Highest `seq` of the chain of the versioned migrations, 0 when it is empty: the next row continues from here. */
  lastSeq: number
  /** The same of pgbosun.migration_details. */
  lastDetail: number
}

/** Something in the history that a run must not pass over. */
export type Problem = {
  code: 'edited' | 'missing' | 'out-of-order' | 'interrupted' | 'ahead' | 'invalid'
  /** Of the migration, without its ending. */
  name: string
  detail: string
  /** What to do about it. */
  hint: string
}

/** A file that will be applied, and why. */
export type MigrationStep = Migration & {
  reason: string
  /** How it is sent; a refusal when it cannot be. */
  sending: Sending | Refusal
  /** Only recorded, not run. */
  fake: boolean
  /** The migration before it in the format's order. */
  before: Migration | undefined
  /** Where an earlier run stopped, and the number of our row about it. */
  resume: (Progress & { seq: number }) | undefined
}

/** What to apply, in this order. Only to be applied when `problems` is empty. */
export type MigrationPlan = {
  steps: MigrationStep[]
  problems: Problem[]
  warnings: string[]
  /** Name of the applied migration with the highest version. */
  currentVersion: string | undefined
  /** See {@link History}. */
  lastSeq: number
  lastDetail: number
}

/** What became of a step. */
export type StepResult = { name: string; status: 'applied' | 'failed' | 'not-run'; durationMs: number }

export type { FormatName }
