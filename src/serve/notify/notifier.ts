import { setTimeout as sleep } from 'node:timers/promises'
import type { Condition } from '../../check/condition-catalogue.ts'
import type { Context } from '../../run/context.ts'
import type { Store } from '../../store/store.ts'
import { isKnown, replaceConditions } from '../conditions.ts'
import type { ServeState } from '../state.ts'
import { noteOpening, type Openings, withoutFlapping } from './flapping.ts'
import { asOnlyOne } from './lock.ts'
import { type Message, messagesFor, type Present, settled, type Told, toldAfter } from './messages.ts'
import { readNotes, writeNotes } from './notes.ts'
import { posted } from './render.ts'
import type { Target } from './targets.ts'

/** How often it looks whether something has to be said. */
const lookMs = 5_000
const firstPauseMs = 5_000
const longestPauseMs = 300_000
/** So many attempts fail before that is a condition of its own. */
const patience = 10

/** What is open so soon after the start may have been said by the process before. */
const maybeToldMs = 300_000

/** When the process ends because `up` failed, that has to be said before. */
const lastMs = 10_000

export type Notifier = {
  /** Stops, and waits for what is being sent. @param finish says first what there is to say, where that can be noted */
  stop(options?: { finish?: boolean }): Promise<void>
}

/** What is known of one target. */
type Listener = {
  target: Target
  /** What it was told; undefined before that was read, or where another replica may have told it more. */
  told: readonly Told[] | undefined
  /** Whether the store has all of that. */
  isNoted: boolean
  /** Attempts that failed since the last that did not. */
  failures: number
  problem: string | undefined
  /** Not before, in milliseconds of a monotonic clock. */
  nextMs: number
  /** Called for each attempt that failed. */
  onFailure(target: Target): void
  /** When each condition was told as opened. */
  openings: Openings
}

/**
 * Tells the targets of `notify` what is wrong and what is over, at least once each, in the background. What was told is noted in the
 * store, so that a restart neither loses nor repeats it; without a store, what is open is said again after a restart.
 *
 * @param store undefined: where there are no backups, nothing is written
 * @param onFailure called for each attempt that failed
 * @returns stops it, and waits for what is being sent
 */
export function startNotifier(
  context: Context,
  state: ServeState,
  {
    targets,
    store,
    onFailure = () => {},
  }: { targets: readonly Target[]; store: Store | undefined; onFailure?: (target: Target) => void },
): Notifier {
  const listeners = targets
    .filter(({ events }) => events.length > 0)
    .map(
      (target): Listener => ({
        target,
        told: undefined,
        isNoted: false,
        failures: 0,
        problem: undefined,
        nextMs: 0,
        onFailure,
        openings: new Map(),
      }),
    )
  const pinged = targets.filter(({ jobs }) => jobs.length > 0)
  if (targets.length === 0) return { stop: async () => {} }
  const stop = new AbortController()
  const work = async () => {
    while (!stop.signal.aborted) {
      for (const listener of listeners) await turn(context, state, listener, store, stop.signal)
      noteFailing(context, state, [...listeners.flatMap(failingOf), ...pinged.flatMap(unpinged)])
      await sleep(lookMs, undefined, { signal: stop.signal, ref: false }).catch(() => {})
    }
  }
  const working = work()
  return {
    async stop({ finish = false } = {}) {
      stop.abort()
      // a store that hangs keeps nobody from ending
      await Promise.race([working, sleep(lastMs, undefined, { ref: false })])
      if (!finish || !store) return
      // what is not noted would be said again with every start
      const late = AbortSignal.timeout(lastMs)
      for (const listener of listeners) await turn(context, state, listener, store, late)
    },
  }
}

async function turn(
  context: Context,
  state: ServeState,
  listener: Listener,
  store: Store | undefined,
  signal: AbortSignal,
): Promise<void> {
  if (performance.now() < listener.nextMs) return
  try {
    if (listener.told === undefined) await recall(listener, store)
    if (plan(state, listener).length === 0) return await settle(state, listener, store)
    const what = `${store?.name ?? context.connection().database} ${listener.target.name}`
    const mine = await asOnlyOne(context, what, async () => {
      // another replica may have told it meanwhile
      if (listener.isNoted) await recall(listener, store)
      await tell(state, listener, store, signal)
    })
    if (!mine) listener.told = undefined
  } catch (error) {
    if (!signal.aborted) failed(context, listener, (error as Error).message)
  }
}

/** A store that cannot be read is one of the things to be told: what this process has told itself, it knows. */
async function recall(listener: Listener, store: Store | undefined): Promise<void> {
  const notes = store && (await readNotes(store, listener.target.name).catch(() => 'unread' as const))
  listener.isNoted = notes !== undefined && notes !== 'unread'
  listener.told = listener.isNoted ? (notes as Told[]) : (listener.told ?? [])
}

function plan(state: ServeState, { target: { events }, told = [], isNoted, openings }: Listener): Message[] {
  const now = new Date()
  const maybeTold = new Date(isNoted ? 0 : Date.parse(state.startedAt) + maybeToldMs)
  return withoutFlapping(messagesFor(presentIn(state), told, { events, now, maybeTold }), openings, now)
}

/** What changes in silence is noted too: a restart must not take what opens again for what was told before. */
async function settle(state: ServeState, listener: Listener, store: Store | undefined): Promise<void> {
  const { target, told = [] } = listener
  listener.told = settled(told, presentIn(state), { events: target.events, now: new Date() })
  if (listener.told.length !== told.length) await note(listener, store)
}

const presentIn = (state: ServeState): Present => ({
  conditions: state.conditions,
  isKnown: (condition) => isKnown(state, condition),
})

/** Says everything that has to be said, one after the other. @throws whatever keeps it from being received */
async function tell(
  state: ServeState,
  listener: Listener,
  store: Store | undefined,
  signal: AbortSignal,
): Promise<void> {
  const { target } = listener
  for (const message of plan(state, listener)) {
    signal.throwIfAborted()
    if (target.as === 'healthchecks') return
    const { url, secret } = await target.read(signal)
    const problem = await target.post(url, posted(target.as, message, { now: new Date(), url, secret }), signal)
    if (problem !== undefined) throw new Error(problem)
    noteOpening(listener.openings, message, new Date())
    listener.told = toldAfter(listener.told ?? [], message, new Date())
    listener.failures = 0
    listener.problem = undefined
    await note(listener, store)
  }
}

/** It was said, so a store that cannot be written does not make it be said again by this process. */
async function note(listener: Listener, store: Store | undefined): Promise<void> {
  if (!store) return
  listener.isNoted = await writeNotes(store, listener.target.name, listener.told ?? []).then(
    () => true,
    () => false,
  )
}

function failed({ log }: Context, listener: Listener, problem: string): void {
  const { target } = listener
  listener.failures++
  listener.onFailure(target)
  const pauseMs = Math.min(firstPauseMs * 2 ** (listener.failures - 1), longestPauseMs)
  listener.nextMs = performance.now() + pauseMs
  if (listener.problem !== problem)
    log.warn({ target: target.name, problem, retry_ms: pauseMs }, `${target.name} was not told: ${problem}`)
  listener.problem = problem
}

/** A target that receives nothing, and why. */
type Failing = { name: string; problem: string | undefined }

const failingOf = ({ target: { name }, failures, problem }: Listener): Failing[] =>
  failures >= patience ? [{ name, problem }] : []

const unpinged = ({ name, pings: { problem } }: Target): Failing[] => (problem === undefined ? [] : [{ name, problem }])

function noteFailing({ log }: Context, state: ServeState, failing: readonly Failing[]): void {
  const now = new Date()
  const since = state.conditions.find(({ name }) => name === 'notify-failing')?.since ?? now.toISOString()
  replaceConditions(state, ['notify-failing'], failing.length === 0 ? [] : [conditionOf(failing, since)], { log, now })
}

const conditionOf = (failing: readonly Failing[], since: string): Condition => ({
  name: 'notify-failing',
  severity: 'warning',
  roles: [],
  message: `nobody is told through ${failing.map(({ name, problem }) => `${name} (${problem})`).join(', ')}`,
  hint: 'check the URL, its secret and the network; then: pgbosun notify test',
  since,
})
