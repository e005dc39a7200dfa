// pure
/** One thing that a plan will change, and why. It contains nothing secret. */
export type Change = {
  /** A verb: `create`, `apply`, `grant`, `revoke`, `alter`, `load`. */
  action: string
  /** Kind and name of the thing: `role shop_owner`, `migration 001_users`. */
  object: string
  /** Why it is in the plan. */
  reason: string
}

/** Result of a step. `nothing`: there was nothing to change. `deferred`: can only be planned after an earlier step has run. */
export type StepState = 'done' | 'nothing' | 'deferred' | 'not-run' | 'failed'

/** One step of `up`, with its changes. In a plan, `done` never occurs. */
export type Step = { name: string; state: StepState; changes: Change[]; durationMs: number }

/** Called before the first write of a run, to record that the run has changed something. May be called repeatedly. */
export type BeforeChange = () => Promise<void> | void

/** What is not an error, but should be known; a list is of one kind, and told in one line. */
export type Warning = string | readonly string[]

/** Warnings of one kind: few are told one by one, many in one line. */
export const ofOneKind = (messages: readonly string[]): Warning[] => (messages.length > 3 ? [messages] : [...messages])

/** A change with what a reviewed plan compares besides its words. It contains nothing secret either. */
export type Item = Change & {
  /** The SQL that makes it, where that is no secret. */
  sql?: readonly string[]
  /** Checksum of the file, or of what the SQL does not show. */
  sha256?: string
  /** What it does, privilege by privilege, where it can only be planned completely after other changes. */
  atoms?: readonly Atom[]
  /** It follows from other changes, or was asked for by a flag: nothing to review. */
  implied?: boolean
}

/** One privilege on one thing: an object in a schema, a schema, or a database. */
export type Atom = { key: string; thing: string }
