/** A migration file. */
export type Migration = {
  /** Compared as a number: `001` and `1` are the same. */
  version: bigint
  /** File name without `.sql`: `001_create_users`. */
  name: string
  /** Path of the file as it was read. */
  path: string
  /** Of the text with CRLF and CR turned into LF. */
  sha256: string
  /** The text as it is sent: without a byte order mark, otherwise unchanged. */
  text: string
  /** False with `-- pgbosun: no-transaction`: the file is one statement that cannot run in a transaction. */
  transactional: boolean
  /** Path of the file that undoes it. */
  down?: string
}

/** `started` is a file outside a transaction that has not finished; `faked` and `adopted` were recorded without being run. */
export type AppliedStatus = 'applied' | 'started' | 'faked' | 'adopted'

/** A row of pgbosun.migrations. */
export type Applied = {
  seq: number
  version: bigint
  name: string
  sha256: string
  status: AppliedStatus
  /** An instant, RFC 3339 in UTC. */
  appliedAt: string
  durationMs: number | null
  appliedBy: string
  toolVersion: string
}

/** Something in the history that a run must not pass over. */
export type Problem = {
  code: 'edited' | 'missing' | 'out-of-order' | 'interrupted' | 'ahead' | 'invalid'
  /** Of the migration, without `.sql`. */
  name: string
  detail: string
  /** What to do about it. */
  hint: string
}

/** A file that will be applied, and why. */
export type MigrationStep = Migration & { reason: string }

/** What to apply, in this order. Only to be applied when `problems` is empty. */
export type MigrationPlan = {
  steps: MigrationStep[]
  problems: Problem[]
  warnings: string[]
  /** Name of the applied migration with the highest version. */
  currentVersion: string | undefined
  /** Highest `seq` in the history, 0 when it is empty: the next row continues the chain from here. */
  lastSeq: number
}

/** What became of a step. */
export type StepResult = { name: string; status: 'applied' | 'failed' | 'not-run'; durationMs: number }
