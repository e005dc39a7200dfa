// pure
import type { Log } from '../log.ts'
import type { Condition, ServeState } from './state.ts'

type Name = Condition['name']

/** Backups' words change with time: they are about a database. Others are told again when they say something else. */
const contentOf = ({ name, database, roles, message }: Condition) =>
  JSON.stringify(database === undefined ? [name, roles, message] : [name, database])

/** What is worth a line: conditions that are new or say something else, and those that are over. Pure. */
export function newsOf(before: readonly Condition[], after: readonly Condition[]) {
  const known = new Set(before.map(contentOf))
  const left = (gone: Condition) => after.some(({ name, database }) => name === gone.name && database === gone.database)
  return {
    opened: after.filter((condition) => !known.has(contentOf(condition))),
    closed: before.filter((condition) => !left(condition)),
  }
}

/**
 * Puts what one watcher knows in the place of what it knew before, and says in the log what is new and what is over.
 * @param told those whose beginning is an error in the log already
 */
export function replaceConditions(
  state: ServeState,
  names: readonly Name[],
  after: Condition[],
  { log, now, told = [] }: { log: Log; now: Date; told?: readonly Name[] },
): void {
  const before = state.conditions.filter(({ name }) => names.includes(name))
  state.conditions = [...state.conditions.filter(({ name }) => !names.includes(name)), ...after]
  const { opened, closed } = newsOf(before, after)
  for (const condition of opened)
    if (!told.includes(condition.name)) log.warn({ ...about(condition), hint: condition.hint }, condition.message)
  for (const condition of closed)
    log.info(
      { ...about(condition), condition_ms: now.getTime() - Date.parse(condition.since) },
      `${condition.name} is over`,
    )
}

const about = ({ name, database, roles }: Condition) => ({
  condition: name,
  ...(database !== undefined && { database }),
  ...(roles.length > 0 && { roles }),
})
