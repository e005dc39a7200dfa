// pure
import type { Counters } from './counters.ts'
import type { Replaced } from './story.ts'

/** What is known of a database that a restore replaced. */
export type KeptFacts = {
  story: Pick<Replaced, 'kind' | 'replaced_at' | 'backed_up' | 'counters'>
  /** By the clock of the server. */
  now: Date
  sessions: number
  slots: readonly string[]
  /** Those that are disabled too. */
  subscriptions: readonly string[]
  prepared: readonly string[]
  /** Undefined: the statistics do not tell. */
  counters: Counters | undefined
  /** Whether the backup made just before the restore is in the store, and was read back. */
  backup: 'verified' | 'unverified' | 'missing'
}

/**
 * Why a database that a restore replaced is not dropped without a person; nothing: it may be. It can be the only copy of what was written
 * after the backup that was restored.
 *
 * @param afterMs `backup.keepBefore.drop`; undefined: never
 */
export function reasonsToKeep(facts: KeptFacts, afterMs: number | undefined): string[] {
  const { story, now, sessions, slots, subscriptions, prepared, backup } = facts
  if (afterMs === undefined) return ['a person decides']
  const until = new Date(Date.parse(story.replaced_at) + afterMs)
  const because = (applies: boolean, reason: string) => (applies ? [reason] : [])
  return [
    ...because(story.kind !== 'before', 'a rollback set it aside, and only a person knows why'),
    ...because(now < until, `it is kept until ${until.toISOString()}`),
    ...because(story.backed_up === null, 'no backup was made of it before it was replaced'),
    ...because(story.backed_up !== null && backup === 'missing', `its backup ${story.backed_up} is in no store`),
    ...because(story.backed_up !== null && backup === 'unverified', `its backup ${story.backed_up} is not verified`),
    ...because(sessions > 0, 'somebody is connected to it'),
    ...because(slots.length > 0, 'it has a replication slot'),
    ...because(subscriptions.length > 0, 'it has a subscription'),
    ...because(prepared.length > 0, 'it has a prepared transaction'),
    ...because(
      !isUnwritten(story.counters, facts.counters),
      'it is not certain that nothing was written into it since',
    ),
  ]
}

/**
 * Whether nobody has written since: nobody has connected, or no row was changed. Autovacuum changes rows of the catalogs without a session,
 * and whoever only reads has a session. After a crash or a reset the server counts from zero: then it is not known.
 */
function isUnwritten(before: Counters | null | undefined, now: Counters | undefined): boolean {
  if (!before || !now || before.reset !== now.reset) return false
  return (before.sessions !== null && before.sessions === now.sessions) || before.rows === now.rows
}
