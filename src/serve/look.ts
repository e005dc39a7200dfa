import { setTimeout as sleep } from 'node:timers/promises'
import type { ConditionName } from '../check/condition-catalogue.ts'
import { databaseConditionNames } from '../check/health-conditions.ts'
import { silentLog } from '../log.ts'
import type { Context } from '../run/context.ts'
import { asAppError } from '../run/failure.ts'
import { withRun } from '../run/run.ts'
import { readEvents } from '../state/events.ts'
import { renderDuration } from '../units.ts'
import { readHealth, type Seen } from '../up/read-health.ts'
import { readDeclaredToLook } from '../up/roles/declared.ts'
import { mainTarget, migrateTargets } from '../up/targets.ts'
import { replaceConditions } from './conditions.ts'
import type { Rotation } from './rotate.ts'
import type { ServeState } from './state.ts'

const pauseMs = 300_000

/** What takes longer may wait for a lock, or for a server that does not answer any more. */
const lateMs = 120_000

/** So many events are shown. */
const shownEvents = 20

/** The others are watched by those who change them: see watch-files.ts and client.ts. */
const names = databaseConditionNames.filter((name) => name !== 'migrations-pending' && name !== 'client-missing')

export type Look = {
  /** Looks now, because something has changed. */
  again(): void
  stop(): Promise<void>
}

/**
 * Looks every five minutes whether the database is what is declared, as `check` does, and keeps what it found in the state. A look that
 * fails makes what is declared unknown; why the database cannot be reached is told by whoever watches that.
 * @param before called before each look; never fails
 */
export function watchDeclared(
  context: Context,
  state: ServeState,
  { rotation, before }: { rotation: Pick<Rotation, 'asApplied'>; before: (() => Promise<void>) | undefined },
): Look {
  const stop = new AbortController()
  const ended = AbortSignal.any([stop.signal, context.signal])
  let wake = new AbortController()
  const work = async () => {
    while (!ended.aborted) {
      // a server that does not answer keeps nobody from looking
      if (before)
        await Promise.race([before(), sleep(lateMs, undefined, { signal: ended, ref: false }).catch(() => {})])
      await look({ ...context, signal: ended, log: silentLog }, { state, rotation, heard: context })
      await sleep(pauseMs, undefined, { signal: AbortSignal.any([wake.signal, ended]), ref: false }).catch(() => {})
      if (wake.signal.aborted) wake = new AbortController()
    }
  }
  const working = work()
  return {
    again: () => wake.abort(),
    async stop() {
      stop.abort()
      await working
    },
  }
}

type Looking = { state: ServeState; rotation: Pick<Rotation, 'asApplied'>; heard: Pick<Context, 'log' | 'signal'> }

async function look(context: Context, { state, rotation, heard: { log, signal } }: Looking): Promise<void> {
  const fail = (problem: string) => {
    if (state.declared?.problem !== problem) log.warn({ problem }, 'could not look whether the database is as declared')
    state.declared = { problem, unlooked: [], shown: state.declared?.shown }
  }
  const late = setTimeout(() => fail(`the look takes longer than ${renderDuration(lateMs)}`), lateMs).unref()
  try {
    const target = mainTarget(await migrateTargets(context))
    const read = await readDeclaredToLook(context)
    const declared = read && { ...read, secrets: rotation.asApplied(read.secrets) }
    let seen: Seen | undefined
    const see = (found: Seen) => {
      seen = found
    }
    const { health, events } = await withRun(context, { locks: 'none' }, async (run) => ({
      health: await readHealth(run, { target, declared, backups: false }, see),
      events: run.target ? await readEvents(run.target.sql) : [],
    }))
    const now = new Date()
    const isOurs = ({ name }: { name: ConditionName }) => (names as readonly ConditionName[]).includes(name)
    const known = (name: ConditionName) => state.conditions.find((one) => one.name === name)?.since
    // what no fact tells the beginning of keeps that of the look before
    const open = health.conditions
      .filter(isOurs)
      .map((one) => (one.since === health.lookedAt ? { ...one, since: known(one.name) ?? one.since } : one))
    replaceConditions(state, names, open, { log, now })
    state.declared = {
      problem: undefined,
      unlooked: health.unlooked,
      shown: {
        lines: health.lines,
        ...(seen?.migrations ?? { migrations: [], pending: [] }),
        events: events.slice(-shownEvents).map(({ exit_code, at, actor, command, phase, changes }) => ({
          ...{ at, actor, command, phase, changes },
          exitCode: exit_code,
        })),
      },
    }
  } catch (error) {
    if (signal.aborted) return
    fail(asAppError(error).message)
  } finally {
    clearTimeout(late)
  }
}
