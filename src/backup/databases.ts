// pure
import { isPattern, matches } from '../config/wildcards.ts'
import { isBroken, shown } from '../postgres/bytes.ts'
import { cutName } from '../sql/quote.ts'
import { visible } from '../text.ts'

/** A database as its server describes it. */
export type ServerDatabase = { name: string; template: boolean; connectable: boolean; comment: string | null }

/** Why a database is not backed up although a pattern matches it. */
export type LeftOutDatabase = {
  database: string
  /**
   * `story`: its comment says that a run of ours made it for a while, or that a restore replaced it; `unfinished`: a killed run was
   * creating it; `closed`: it refuses connections; `broken`: its name is not valid UTF-8.
   */
  reason: 'template' | 'story' | 'unfinished' | 'closed' | 'broken'
}

export type DatabasePlan = {
  /** In the order of the list; those of a pattern by name. */
  chosen: string[]
  leftOut: LeftOutDatabase[]
  /** Patterns that choose nothing. */
  unmatched: string[]
}

/**
 * The databases that a list of names and patterns means on a server. A name is taken as it is, whatever the server says of it.
 * @param declared the databases of the configuration: those that a run was creating when it was killed are named after them
 */
export function planDatabases(
  list: readonly string[],
  found: readonly ServerDatabase[],
  declared: readonly string[] = [],
): DatabasePlan {
  const named = new Set(list.filter((name) => !isPattern(name)))
  const patterns = [...new Set(list.filter(isPattern))]
  const matched = found.filter(({ name }) => !named.has(name) && patterns.some((pattern) => matches(pattern, name)))
  const leftOut = matched.flatMap((one) => {
    const reason = reasonOf(one, declared)
    return reason === undefined ? [] : [{ database: one.name, reason }]
  })
  const without = new Set(leftOut.map(({ database }) => database))
  const taken = matched.map(({ name }) => name).filter((name) => !without.has(name))
  const ofPattern = (pattern: string) => [...taken].sort().filter((name) => matches(pattern, name))
  return {
    chosen: [...new Set(list.flatMap((one) => (isPattern(one) ? ofPattern(one) : [one])))],
    leftOut: leftOut.sort((a, b) => (a.database < b.database ? -1 : 1)),
    unmatched: patterns.filter(
      (pattern) => ofPattern(pattern).length === 0 && ![...named].some((name) => matches(pattern, name)),
    ),
  }
}

function reasonOf(
  { name, template, connectable, comment }: ServerDatabase,
  declared: readonly string[],
): LeftOutDatabase['reason'] | undefined {
  if (template) return 'template'
  if (isStory(comment)) return 'story'
  if (declared.some((one) => isUnfinished(name, one))) return 'unfinished'
  if (!connectable) return 'closed'
  return isBroken(name) ? 'broken' : undefined
}

/** Whether a comment is a story of ours, of whatever kind and version: JSON that says `pgbosun`. The comment decides, not the name. */
export function isStory(comment: string | null): boolean {
  if (!comment?.startsWith('{')) return false
  try {
    return typeof (JSON.parse(comment) as { pgbosun?: unknown }).pgbosun === 'string'
  } catch {
    return false
  }
}

/** A database that is being created has no comment yet. The next `up` drops what a killed run left. */
const isUnfinished = (name: string, declared: string) =>
  name.startsWith(`${cutName(declared)}__create_`) && /__create_[0-9a-f]{8}$/.test(name)

/** What has to be said of a plan: what a person does not expect. */
export const planWarnings = ({ leftOut, unmatched }: DatabasePlan): string[] => [
  ...leftOut.flatMap(({ database, reason }) => {
    const why = surprising[reason]
    return why === undefined ? [] : [visible(`${shown(database)} is not backed up: ${why}`)]
  }),
  ...unmatched.map((pattern) => visible(`${pattern} in backup.databases matches no database that can be backed up`)),
]

const surprising: Partial<Record<LeftOutDatabase['reason'], string>> = {
  closed: 'it accepts no connections (`alter database … allow_connections true` changes that)',
  broken: 'its name is not valid UTF-8',
}
