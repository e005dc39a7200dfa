// pure

import { isSame } from '../check/backup-conditions.ts'
import type { Condition } from '../check/condition-catalogue.ts'
import { isPattern } from '../config/wildcards.ts'
import type { Log } from '../log.ts'
import type { ServeState } from './state.ts'

type Name = Condition['name']

/** Conditions of backups are compared by database and schedule, because their message changes with time. Others are logged again when their message changes. */
const contentOf = ({ name, database, schedule, roles, message }: Condition) =>
  JSON.stringify(database === undefined ? [name, roles, message] : [name, database, schedule])

/** What to log: conditions that are new or have a new message, and those that are over. Pure. */
export function newsOf(before: readonly Condition[], after: readonly Condition[]) {
  const known = new Set(before.map(contentOf))
  const left = (gone: Condition) => after.some((condition) => isSame(condition, gone))
  return {
    opened: after.filter((condition) => !known.has(contentOf(condition))),
    closed: before.filter((condition) => !left(condition)),
  }
}

/**
 * Replaces the conditions of one watcher, and logs which are new and which are over.
 * @param told conditions whose start was already logged as an error
 */
export function replaceConditions(
  state: ServeState,
  names: readonly Name[],
  after: Condition[],
  { log, now, told = [] }: { log: Log; now: Date; told?: readonly Name[] },
): void {
  for (const name of names) state.looked.add(name)
  const before = state.conditions.filter(({ name }) => names.includes(name))
  state.conditions = [...state.conditions.filter(({ name }) => !names.includes(name)), ...after]
  const { opened, closed } = newsOf(before, after)
  const until = now.toISOString()
  state.closed = [...closed.map((one) => ({ ...one, until })), ...(state.closed ?? [])].slice(0, mostClosed)
  for (const condition of opened)
    if (!told.includes(condition.name)) log.warn({ ...about(condition), hint: condition.hint }, condition.message)
  for (const condition of closed)
    log.info(
      { ...about(condition), condition_ms: now.getTime() - Date.parse(condition.since) },
      `${condition.name} is over`,
    )
}

/**
 * Whether this process knows of a condition that is not open that it is over: those of backups for a database whose store was read, others
 * once somebody has looked. A pattern among the databases stands for those that nobody knows now. Pure.
 */
export function isKnown(
  { looked, backups }: Pick<ServeState, 'looked' | 'backups'>,
  { name, database }: Pick<Condition, 'name' | 'database'>,
): boolean {
  if (!looked.has(name)) return false
  if (database === undefined) return true
  const backup = backups.find((one) => one.database === database)
  if (backup === undefined) return !backups.some((one) => isPattern(one.database))
  // what is kept is decided after a backup only
  return backup.looked === true && (name !== 'prune-refused' || backup.pruneRefused !== undefined)
}

/** So many that have ended are remembered. */
const mostClosed = 20

const about = ({ name, database, schedule, roles }: Condition) => ({
  condition: name,
  ...(database !== undefined && { database }),
  ...(schedule !== undefined && { schedule }),
  ...(roles.length > 0 && { roles }),
})
