import { quoteLiteral } from '../../sql/quote.ts'
import { readCounters } from './counters.ts'
import { type DiscardWorld, discard, refuseDiscard } from './discard.ts'
import { type KeptFacts, reasonsToKeep } from './expiry.ts'
import { readReplaceable } from './read.ts'
import { type ReplacedDatabase, readReplacedDatabases } from './replaced.ts'

/** A database that stays, and why. */
export type Kept = { database: string; reasons: string[] }

export type ExpireOptions = {
  /** `backup.keepBefore.drop`. */
  afterMs: number
  /** The database that was replaced. */
  name: string
  /** Looks for the backup in the stores. */
  backupOf(id: string): Promise<KeptFacts['backup']>
}

const nothingAllowed = { dropSlots: false, disableSubscriptions: false }

/**
 * Drops what restores have replaced, where nothing speaks against it. What is dropped was judged under the lock.
 * @param takeLock takes the run lock of the database; called only where there is something to drop
 */
export async function dropExpired(
  world: DiscardWorld,
  takeLock: () => Promise<void>,
  options: ExpireOptions,
): Promise<{ dropped: string[]; kept: Kept[] }> {
  const judge = () => judged(world, options)
  const seen = await judge()
  if (!seen.some(isExpired)) return { dropped: [], kept: seen.map(shown) }
  await takeLock()
  const now = await judge()
  const dropped: string[] = []
  for (const { database } of now.filter(isExpired)) {
    await refuseDiscard([database], world, nothingAllowed)
    await discard([database], world, ({ name }) => dropped.push(name))
  }
  return { dropped, kept: now.filter((one) => !isExpired(one)).map(shown) }
}

type Judged = { database: ReplacedDatabase; reasons: string[] }

const isExpired = ({ reasons }: Judged) => reasons.length === 0
const shown = ({ database, reasons }: Judged): Kept => ({ database: database.name, reasons })

async function judged(
  { lock, lockDatabase }: DiscardWorld,
  { afterMs, name, backupOf }: ExpireOptions,
): Promise<Judged[]> {
  const found: Judged[] = []
  for (const database of await readReplacedDatabases(lock.sql, name)) {
    const { story } = database
    const { facts, now } = await readReplaceable(lock.sql, database.name, lockDatabase)
    const rows = await lock.sql.unsafe<{ name: string }[]>(
      `select s.subname as name from pg_catalog.pg_subscription s join pg_catalog.pg_database d on d.oid = s.subdbid
        where d.datname = ${quoteLiteral(database.name)}`,
    )
    const reasons = reasonsToKeep(
      {
        ...{ story, now: new Date(now), slots: facts.slots, prepared: facts.prepared },
        sessions: database.sessions,
        subscriptions: rows.map((row) => row.name),
        counters: await readCounters(lock.sql, database.name),
        backup: story.backed_up === null ? 'missing' : await backupOf(story.backed_up),
      },
      afterMs,
    )
    found.push({ database, reasons })
  }
  return found
}
