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
