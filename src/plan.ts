/** One thing that a plan will change, why, and nothing that is secret. */
export type Change = {
  /** A verb: `create`, `apply`, `grant`, `revoke`, `alter`, `load`. */
  action: string
  /** Kind and name of the thing: `role shop_owner`, `migration 001_users`. */
  object: string
  /** Why it is in the plan. */
  reason: string
}

/** What became of a step. `nothing`: there was nothing to change. `deferred`: can only be planned after an earlier step ran. */
export type StepState = 'done' | 'nothing' | 'deferred' | 'not-run' | 'failed'

/** One step of the story with what it changes. In a plan, `done` never occurs. */
export type Step = { name: string; state: StepState; changes: Change[]; durationMs: number }

/** Called before the first write of a run, as often as a part likes: it notes that the run is no longer free of effects. */
export type BeforeChange = () => Promise<void> | void
