import type { Log } from '../log.ts'
import type { Condition, ServeState } from './state.ts'

/** What is worth a line: conditions that are new or say something else, and those that are over. Pure. */
export function newsOf(before: readonly Condition[], after: readonly Condition[]) {
  const content = ({ since: _, ...condition }: Condition) => JSON.stringify(condition)
  const isSame = (a: Condition) => (b: Condition) => content(a) === content(b)
  return {
    opened: after.filter((condition) => !before.some(isSame(condition))),
    closed: before.filter(({ name }) => !after.some((condition) => condition.name === name)),
  }
}

/** Puts what one watcher knows in the place of what it knew before, and says in the log what is new. */
export function replaceConditions(
  state: ServeState,
  names: readonly Condition['name'][],
  after: Condition[],
  log: Log,
): void {
  const before = state.conditions.filter(({ name }) => names.includes(name))
  state.conditions = [...state.conditions.filter(({ name }) => !names.includes(name)), ...after]
  const { opened, closed } = newsOf(before, after)
  for (const { name, roles, message, hint } of opened)
    log.warn({ condition: name, ...(roles.length > 0 && { roles }), hint }, message)
  for (const { name, roles } of closed)
    log.info({ condition: name, ...(roles.length > 0 && { roles }) }, `${name} is over`)
}
