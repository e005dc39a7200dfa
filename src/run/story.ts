import { AppError } from '../errors.ts'
import type { Change, Item, Step } from '../plan.ts'
import { counted, seconds, someLines } from '../units.ts'
import { jsonStep, type Output } from './output.ts'

/**
 * Tells what is about to be done. `again`: an earlier attempt has told its plan already; what both plan is told and counted once.
 * `refused`: none of it will be done, and why follows. `items`: the same for a reviewed plan; default: the changes.
 */
export type Show = (
  changes: Change[],
  options?: { again?: boolean; refused?: boolean; items?: () => readonly Item[] },
) => void

/** The steps of a command as they happen: written to stdout, and collected for the JSON document. */
export type Story = {
  steps: Step[]
  /**
   * Runs one step. The work calls `show` with its plan before it applies it; `quiet` is printed when there was nothing to do.
   * @param startedAt reading of the monotonic clock; default: now
   */
  step<T>(name: string, work: (show: Show) => Promise<T>, quiet?: string, startedAt?: number): Promise<T>
  /** Records that a step can only be planned after an earlier one has run. */
  defer(name: string, reason: string): void
  /** Records that a step failed before it was started: what it was waiting for since the story began did not come. */
  fail(name: string): void
  /** All changes so far. */
  changes(): Change[]
  /** Forgets everything: the run starts over. */
  reset(): void
}

/**
 * @param names of the steps, in order; they start as `not-run`
 * @param planning whether this is a plan: steps with changes then stay `not-run`, otherwise they end as `done`
 */
export function createStory(names: string[], out: Output, { planning = false } = {}): Story {
  const steps: Step[] = []
  const createdAt = performance.now()
  const reset = () => {
    steps.length = 0
    steps.push(...names.map((name): Step => ({ name, state: 'not-run', changes: [], durationMs: 0 })))
  }
  reset()
  const find = (name: string) => steps.find((step) => step.name === name)!
  const width = Math.max(...names.map((name) => name.length))
  const label = (name: string) => name.padEnd(width)

  return {
    steps,
    reset,
    changes: () => steps.flatMap(({ changes }) => changes),
    fail: (name) => {
      const step = find(name)
      step.state = 'failed'
      step.durationMs = Math.round(performance.now() - createdAt)
      out.ended(step)
    },
    async step(name, work, quiet = 'nothing to do', startedAt = performance.now()) {
      const step = find(name)
      try {
        const result = await work((planned, { again = false, refused = false } = {}) => {
          const changes = again ? planned.filter((change) => !isKnown(step.changes, change)) : planned
          step.changes.push(...changes)
          const most = refused ? mostRefused : planning ? changes.length : mostApplied
          if (changes.length > 0) out.print(renderChanges(label(name), changes, most))
        })
        step.state = step.changes.length === 0 ? 'nothing' : planning ? 'not-run' : 'done'
        step.durationMs = Math.round(performance.now() - startedAt)
        if (step.changes.length === 0) out.print(`${label(name)}  ${quiet}`)
        else if (!planning) out.print(`${label('')}  done in ${seconds(step.durationMs)}`)
        out.ended(step)
        return result
      } catch (error) {
        step.state = 'failed'
        step.durationMs = Math.round(performance.now() - startedAt)
        if (step.changes.length > 0 && !planning)
          out.print(`${label('')}  failed after ${seconds(step.durationMs)}${countResults(error)}`)
        out.ended(step)
        throw error
      }
    },
    defer(name, reason) {
      const step = find(name)
      step.state = 'deferred'
      step.changes = [{ action: 'plan', object: name, reason }]
      out.print(`${label(name)}  deferred: ${reason}`)
      out.ended(step)
    },
  }
}

/** So many changes are printed before the result: when they are applied, and when they are refused. A plan shows all of them. */
const [mostApplied, mostRefused] = [20, 3]

const isKnown = (known: Change[], { action, object }: Change) =>
  known.some((change) => change.action === action && change.object === object)

/** `: 2 applied, 1 failed, 2 not run` when the error has results: a failed step may have done some of its work. */
function countResults(error: unknown): string {
  const results = (error instanceof AppError && (error.report?.results as { status: string }[] | undefined)) || []
  const counts = Map.groupBy(results, ({ status }) => status)
  return results.length > 0
    ? `: ${[...counts].map(([status, { length }]) => `${length} ${status.replace('-', ' ')}`).join(', ')}`
    : ''
}

/** Steps as the JSON document has them. */
export const jsonSteps = (steps: Step[]) => steps.map(jsonStep)

function renderChanges(label: string, changes: Change[], most: number): string[] {
  const width = Math.min(64, Math.max(...changes.map(({ action, object }) => action.length + object.length + 1)))
  const lines = changes.map(
    ({ action, object, reason }) => `${' '.repeat(label.length + 4)}${`${action} ${object}`.padEnd(width)}  ${reason}`,
  )
  return [`${label}  ${counted(changes.length, 'change')}`, ...someLines(lines, most)]
}
