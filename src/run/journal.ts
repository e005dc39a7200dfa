import { setTimeout as sleep } from 'node:timers/promises'
import { AppError, withReport } from '../errors.ts'
import type { Change } from '../plan.ts'
import { openSession } from '../postgres/connect.ts'
import type { Db } from '../postgres/db.ts'
import { connectionLost } from '../postgres/lost.ts'
import { deleteOldEvents, writeFinished, writeStarted } from '../state/events.ts'
import { refuseStrangeState } from '../state/state.ts'
import type { Context } from './context.ts'
import { asAppError } from './failure.ts'
import type { Run } from './run.ts'
import { jsonSteps, type Story } from './story.ts'

/** Writes the audit trail of one run into the target database; nothing for a run that changes nothing. */
export type Journal = {
  /** Records `started` before the first change, as soon as its table exists. */
  beforeChange(): Promise<void>
  /** Records how the run ended. */
  finish(changes: Change[], failure?: unknown): Promise<void>
}

/** Names of the migrations that were applied to a database. */
export type AppliedNames = (context: Context, db: Db) => Promise<string[]>

/**
 * The journal can only record changes once its table exists, and creating the table is itself a change.
 * @param appliedNames asked by a run that was stopped, because it did not see its last answers; needed where migrations are applied or undone
 */
export function createJournal(run: Run, appliedNames?: AppliedNames): Journal {
  const { command, runId, log, loaded, signal } = run.context
  /** Where the event `started` is: an import puts another database in the place of that one. */
  let startedIn: Run['target']

  return {
    async beforeChange() {
      run.guard()
      run.noteChange()
      if (!run.target || startedIn === run.target || !(await hasEvents(run))) return
      await refuseStrangeState(run.target.sql)
      startedIn = run.target
      await writeStarted(run.target.sql, { runId, command })
    },
    async finish(changes, failure) {
      // after an import, its own events are in the database that has the name now
      if (!startedIn || (run.target && run.target !== startedIn)) return
      const why = failure === undefined ? undefined : asAppError(signal.aborted ? signal.reason : failure)
      const exitCode = why?.exitCode ?? 0
      const detail = why ? { changes: happened(changes, failure), error: why.message } : { changes }
      try {
        if (!run.target) throw connectionLost(failure)
        await writeFinished(run.target.sql, { runId, command, exitCode, detail })
        await deleteOldEvents(run.target.sql, loaded.config.state.keepEvents)
      } catch (error) {
        if (failure === undefined) throw error
        if (await finishOnNewSession(run, { runId, command, exitCode, detail }, detail.changes, appliedNames)) return
        log.warn({ problem: (error as Error).message }, 'the end of this run could not be recorded in pgbosun.events')
      }
    },
  }
}

/**
 * A run that was told to stop has already closed its sessions, so it records its end on a new one, unless another run has started.
 * It does not know what its last statements did, but the history does.
 */
async function finishOnNewSession(
  { context, guard }: Run,
  event: Finished,
  changes: Change[],
  appliedNames: AppliedNames = async () => [],
): Promise<boolean> {
  const { connection, runId, log } = context
  const write = async () => {
    guard()
    const session = await openSession(connection(), { applicationName: `pgbosun ${runId}`, log })
    try {
      const applied = new Set((await appliedNames(context, session.sql)).map((name) => `migration ${name}`))
      const done = changes.filter(({ object }) => !object.startsWith('migration ') || applied.has(object))
      await writeFinished(session.sql, { ...event, detail: { ...event.detail, changes: done } })
      return true
    } finally {
      await session.end()
    }
  }
  return Promise.race([write().catch(() => false), sleep(2_000, false)])
}

type Finished = Parameters<typeof writeFinished>[1] & { detail: object }

/**
 * The changes of a failed run, without those that its results list as not done. What changes twice, as `redo` undoes and applies it, has two
 * results.
 */
function happened(changes: Change[], failure: unknown): Change[] {
  const { results = [], seeds = [] } = ((failure instanceof AppError && failure.report) || {}) as {
    results?: { name: string; status: string }[]
    seeds?: { name: string; state: string }[]
  }
  const outcomes = Map.groupBy(
    [
      ...results.map(({ name, status }) => ({ object: `migration ${name}`, done: status === 'applied' })),
      ...seeds.map(({ name, state }) => ({ object: `seed ${name}`, done: state === 'done' })),
    ],
    ({ object }) => object,
  )
  const known = new Map([...outcomes.keys()].map((object) => [object, 0]))
  return changes.filter(({ object }) => {
    const ofObject = outcomes.get(object)
    if (!ofObject) return true
    const at = known.get(object) ?? 0
    known.set(object, at + 1)
    return (ofObject[at] ?? ofObject.at(-1))?.done
  })
}

async function hasEvents({ target }: Run): Promise<boolean> {
  const [row] = await target!.sql.unsafe<{ found: boolean }[]>(
    "select pg_catalog.to_regclass('pgbosun.events') is not null as found",
  )
  return row?.found ?? false
}

/** An error with the steps so far. If no step was started, waiting failed, unless what the run was given is wrong. */
export function withSteps(error: unknown, story: Story): AppError {
  const failure = asAppError(error)
  const [first] = story.steps
  if (first?.name === 'wait' && first.state === 'not-run' && failure.kind !== 'usage') story.fail('wait')
  return withReport(failure, { steps: jsonSteps(story.steps) })
}

/** Does the work of a run and records its changes, which the story collects, in the journal. */
export async function withJournal<T>(
  run: Run,
  story: Story,
  appliedNames: AppliedNames,
  use: (run: Run, journal: Journal) => Promise<T>,
): Promise<T> {
  story.reset()
  const journal = createJournal(run, appliedNames)
  try {
    const result = await use(run, journal)
    await journal.finish(story.changes())
    return result
  } catch (error) {
    await journal.finish(story.changes(), error)
    throw error
  }
}
