import { removePins } from '../../archive/pin.ts'
import { AppError } from '../../errors.ts'
import { quoteIdent } from '../../sql/quote.ts'
import type { Store } from '../../store/store.ts'
import { visibleSql } from '../../text.ts'
import { counted, someOf } from '../../units.ts'
import { disableSubscriptions } from '../subscriptions.ts'
import { dropDatabase } from '../sweep.ts'
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
    const { slots, subscriptions } = facts
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

/** Drops databases that were replaced, and removes the pins of the backups made just before. */
export async function discard(databases: ReplacedDatabase[], world: DiscardWorld): Promise<void> {
  const { lock, lockDatabase, connect, store, log, warn, signal } = world
  for (const { name, story } of databases) {
    signal.throwIfAborted()
    const { facts } = await readReplaceable(lock.sql, name, lockDatabase)
    for (const problem of await dropSlots(facts.slots, name, world)) warn(problem)
    await disableSubscriptions(facts.subscriptions.length > 0, () => connect(name))
    await dropDatabase(lock.sql, name, connect)
    log.info({ database: name }, 'discarded')
    if (story.backed_up !== null)
      await removePins(store, { database: story.of, id: story.backed_up }).catch((error: Error) =>
        warn(`the backup ${story.backed_up} of ${story.of} stays pinned: ${error.message}`),
      )
  }
}
