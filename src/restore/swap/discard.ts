import { readBackup } from '../../archive/backup.ts'
import { idPattern } from '../../archive/layout.ts'
import { removePins } from '../../archive/pin.ts'
import { AppError } from '../../errors.ts'
import { quoteIdent } from '../../sql/quote.ts'
import type { Store } from '../../store/store.ts'
import { visibleSql } from '../../text.ts'
import { counted, someOf } from '../../units.ts'
import { disableSubscriptions } from '../subscriptions.ts'
import { dropDatabase } from '../sweep.ts'
import { repairDisabled } from './disabled.ts'
import { readReplaceable } from './read.ts'
import type { Allowed } from './refusals.ts'
import type { ReplacedDatabase } from './replaced.ts'
import { dropSlots, type SwapWorld } from './swap.ts'

export type DiscardWorld = Pick<SwapWorld, 'lock' | 'lockDatabase' | 'connect' | 'log' | 'warn' | 'signal'> & {
  store: Store
}

/**
 * Refuses to drop what somebody else still depends on: a slot and a subscription end silently with their database.
 * @throws {AppError} `restore`
 */
export async function refuseDiscard(
  databases: ReplacedDatabase[],
  { lock, lockDatabase }: DiscardWorld,
  allowed: Pick<Allowed, 'dropSlots' | 'disableSubscriptions'>,
): Promise<void> {
  for (const { name } of databases) {
    const { facts } = await readReplaceable(lock.sql, name, lockDatabase)
    const { slots, subscriptions, prepared } = facts
    if (prepared.length > 0)
      throw new AppError(
        'restore',
        `${name} has ${counted(prepared.length, 'prepared transaction')}, with which it cannot be dropped: ${someOf(prepared)}; nothing was changed`,
        { hint: `commit it or roll it back in ${visibleSql(quoteIdent(name))}` },
      )
    if (slots.length > 0 && !allowed.dropSlots)
      throw new AppError(
        'restore',
        `${name} has ${counted(slots.length, 'logical replication slot')} (${someOf(slots)}); nothing was changed`,
        { hint: 'once nothing reads from it any more, pass --drop-slots' },
      )
    if (subscriptions.length > 0 && !allowed.disableSubscriptions)
      throw new AppError(
        'restore',
        `${name} has ${counted(subscriptions.length, 'enabled subscription')} (${someOf(subscriptions)}); nothing was changed`,
        { hint: `disable it in ${visibleSql(quoteIdent(name))}, or pass --disable-subscriptions` },
      )
  }
}

/**
 * Drops databases that were replaced, and removes the pins of the backups made just before.
 * @param onDropped called for each as soon as it is gone
 */
export async function discard(
  databases: ReplacedDatabase[],
  world: DiscardWorld,
  onDropped: (database: ReplacedDatabase) => void,
): Promise<void> {
  const { lock, lockDatabase, connect, store, log, warn, signal } = world
  for (const database of databases) {
    const { name, story } = database
    signal.throwIfAborted()
    const { facts } = await readReplaceable(lock.sql, name, lockDatabase)
    const left = await repairDisabled(lock.sql, name, story, () => connect(story.of))
    if (left.length > 0)
      log.warn(
        { database: story.of, subscriptions: left },
        'a killed run had left subscriptions disabled: enabled again',
      )
    for (const problem of await dropSlots(facts.slots, name, world)) warn(problem)
    await disableSubscriptions(facts.subscriptions, () => connect(name))
    await dropDatabase(lock.sql, name, connect)
    onDropped(database)
    log.info({ database: name }, 'discarded')
    if (story.backed_up !== null)
      await unpin(store, { database: story.of, id: story.backed_up }).catch((error: Error) =>
        warn(`the backup ${story.backed_up} of ${story.of} stays pinned: ${error.message}`),
      )
  }
}

/** Its id comes from the comment of a database, which its owner can write: only a backup made before a restore loses its pins. */
async function unpin(store: Store, { database, id }: { database: string; id: string }): Promise<void> {
  const backup = idPattern.test(id) ? await readBackup(store, database, id, []) : undefined
  if (backup?.manifest?.series.kind === 'before-restore') await removePins(store, { database, id })
}
