import { planWarnings } from '../backup/databases.ts'
import type { DatabaseFacts, StoredFacts } from '../backup/facts.ts'
import { isPattern } from '../config/wildcards.ts'
import type { AppError } from '../errors.ts'
import type { Context } from '../run/context.ts'
import { databaseList, databasesNow } from '../up/backup-databases.ts'
import { planList } from './plan-list.ts'
import type { Rotation } from './rotate.ts'
import type { SchedulerOptions } from './scheduler.ts'
import { type BackupState, newBackupState, type ServeState } from './state.ts'
import { startTicking } from './ticks.ts'

/** What the schedulers ask of the store. */
type Work = Pick<SchedulerOptions, 'readStore' | 'backUp' | 'noteSlots' | 'recallSlots'>

export type DatabaseWatch = {
  /** The databases that are backed up: changed in place, never replaced. */
  active: BackupState[]
  /** Asks the server which databases the patterns mean now. If it does not answer, those that are known stay. Never rejects. */
  refresh(): Promise<void>
  /** Refreshes every minute. @param onNew called when there is a new one @returns a function that stops it */
  watch(onNew: () => void): () => void
  /**
   * The work of the scheduler, with what it cannot know: a database that was met while this process runs is backed up from the next slot
   * on, and one that is gone is not backed up, nor reported.
   */
  among(work: Work): Work
}

/** No turn waits longer for the server. */
const answerMs = 10_000

/** Keeps `state.backups` in accord with `backup.databases`, which may have patterns. Without any, it does nothing. */
export function watchDatabases(
  context: Context,
  state: ServeState,
  rotation: Pick<Rotation, 'loggingIn'>,
): DatabaseWatch {
  const list = databaseList(context)
  const { log, signal } = context
  const patterns = list.filter(isPattern)
  const active = state.backups
  if (patterns.length === 0) return { active, refresh: async () => {}, watch: () => () => {}, among: (work) => work }

  const named = new Set(list)
  /** When those were met that were not there at the first look. */
  const metAt = new Map<string, Date>()
  const told = new Set<string>()
  let ended: BackupState[] = []
  let looked = false
  let problem: string | undefined
  let refreshing: Promise<void> | undefined

  const show = () => {
    state.backups = [...(problem === undefined ? [] : patterns.map((pattern) => unknown(pattern, problem!))), ...active]
    state.backups.push(...ended)
  }
  const look = async () => {
    try {
      const plan = await rotation.loggingIn(() => databasesNow(context, answerMs))
      for (const warning of planWarnings(plan)) {
        if (!told.has(warning)) log.warn(warning)
        told.add(warning)
      }
      const next = planList({ active, ended }, plan.chosen, named)
      for (const { database } of next.met) {
        if (looked) metAt.set(database, new Date())
        log.info({ database }, 'this database is backed up from now on')
      }
      for (const { database } of next.ended) {
        metAt.delete(database)
        log.info({ database }, 'this database is not backed up any more: the server does not have it, or not as before')
      }
      active.splice(0, active.length, ...next.active)
      ended = next.allEnded
      looked = true
      problem = undefined
    } catch (error) {
      if (signal.aborted) return
      const { message, hint } = error as AppError
      if (problem !== message) log.error({ ...(hint && { hint }) }, `${unreadable}: ${message}`)
      problem = message
    }
    show()
  }
  const refresh = () => {
    refreshing ??= look().finally(() => {
      refreshing = undefined
    })
    return refreshing
  }
  const isActive = (database: string) => active.some((one) => one.database === database)
  return {
    active,
    refresh,
    watch(onNew) {
      return startTicking(async () => {
        const before = new Set(active)
        await refresh()
        if (!signal.aborted && active.some((one) => !before.has(one))) onNew()
      })
    },
    among({ readStore, backUp, ...others }) {
      const read: Work['readStore'] = async (database) => {
        const facts = await readStore(database)
        const met = metAt.get(database)
        return met === undefined ? facts : metSince(facts, met)
      }
      return {
        ...others,
        readStore: read,
        async backUp(database, slot, onMade, schedule) {
          await refresh()
          if (!isActive(database)) return read(database)
          try {
            return await backUp(database, slot, onMade, schedule)
          } catch (error) {
            if (!signal.aborted) await refresh()
            if (signal.aborted || isActive(database)) throw error
            log.info({ database, problem: (error as Error).message }, 'the database is gone, so this is no failure')
            return read(database)
          }
        },
      }
    },
  }
}

const unreadable = 'which databases backup.databases means cannot be read from the server'

/** What stands for a pattern while nobody knows what it means. */
const unknown = (pattern: string, problem: string): BackupState => ({
  ...newBackupState(pattern),
  lastError: `${unreadable}: ${problem}`,
})

/** Of a database that was met while we ran, nothing was due before. */
function metSince(facts: DatabaseFacts, met: Date): DatabaseFacts {
  const since = <T extends StoredFacts>(of: T): T => ({
    ...of,
    covered: of.covered ?? met,
    firstAt: of.firstAt ?? met,
  })
  const { bySchedule } = facts
  return {
    ...since(facts),
    ...(bySchedule && { bySchedule: new Map([...bySchedule].map(([name, of]) => [name, since(of)])) }),
  }
}
