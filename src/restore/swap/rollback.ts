import { randomBytes } from 'node:crypto'
import { readBackup } from '../../archive/backup.ts'
import { AppError } from '../../errors.ts'
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts'
import type { Store } from '../../store/store.ts'
import { counted, someOf } from '../../units.ts'
import { refusal } from '../guard.ts'
import { disableSubscriptions, enableSubscriptions } from '../subscriptions.ts'
import { noteDisabled, repairDisabled } from './disabled.ts'
import { exchange } from './exchange.ts'
import { readPublications, readReplaceable } from './read.ts'
import { type Allowed, findSwapRefusals, swapConsequences } from './refusals.ts'
import { type ReplacedDatabase, readReplacedDatabases } from './replaced.ts'
import { type Replaced, replacedName } from './story.ts'
import { dropSlotsOf, enableAgain, type SwapWorld } from './swap.ts'
import { readWritten, type Written } from './written.ts'

/** What a rollback works with. */
export type RollbackWorld = Omit<SwapWorld, 'manifest' | 'id' | 'sessionUser' | 'now'> & { store: Store }

/** What a rollback will do, to be shown first. */
export type RollbackPlan = {
  back: ReplacedDatabase
  /** Undefined: unknown. */
  written: Written[] | undefined
  consequences: string[]
}

/**
 * Finds the database that comes back: the one that was replaced last.
 * @throws {AppError} `restore` if there is none, or the exchange is refused; `refused`
 */
export async function planRollback(world: RollbackWorld, allowed: Allowed): Promise<RollbackPlan> {
  const { name, lock, connect } = world
  const [back] = await readReplacedDatabases(lock.sql, name)
  if (!back)
    throw new AppError('restore', `no restore has replaced the database ${name}, or what it replaced was discarded`, {
      hint: 'restore a backup instead: `pgbosun backup list`',
    })
  const facts = await readFacts(world, back.name, allowed)
  const rows = await readLoaded(world, back.story.backup)
  const session = await connect(name)
  try {
    return {
      back,
      // After a rollback, what is live has a history that its statistics do not tell apart.
      written:
        back.story.kind === 'before'
          ? await readWritten(session.sql, { since: back.story.replaced_at, rows })
          : undefined,
      consequences: swapConsequences(facts, { publications: await readPublications(session.sql) }),
    }
  } finally {
    await session.end()
  }
}

/** @throws {AppError} `restore`, `refused` if one of both cannot be renamed */
async function readFacts({ name, lock, lockDatabase }: RollbackWorld, back: string, allowed: Allowed) {
  const { facts } = await readReplaceable(lock.sql, name, lockDatabase)
  // Each keeps its own properties.
  const kept = { template: false, allowsConnections: true, fixedSettings: [] }
  const ofBack = await readReplaceable(lock.sql, back, lockDatabase)
  // It keeps its slots and subscriptions. The standbys are the same.
  const all = { dropSlots: true, disableSubscriptions: true, standbysReconnect: true }
  const refusals = [
    ...findSwapRefusals({ ...facts, ...kept }, allowed),
    ...findSwapRefusals({ ...ofBack.facts, ...kept }, all),
  ]
  const [first] = refusals
  if (first)
    throw refusals.length === 1
      ? new AppError(first.kind, `${first.reason}; nothing was changed`, { hint: first.hint })
      : refusal(refusals, { id: back, into: name })!
  return facts
}

const enabledAgain = (name: string, subscriptions: string[]) =>
  `a run that was killed had left ${counted(subscriptions.length, 'subscription')} of ${name} disabled (${someOf(subscriptions)}): enabled again`

/** The rows that were loaded, which are only shown; undefined if the backup is no longer there. */
async function readLoaded(
  { store, name, log }: RollbackWorld,
  id: string,
): Promise<Record<string, number> | undefined> {
  try {
    return (await readBackup(store, name, id, []))?.manifest?.rows
  } catch (error) {
    log.debug({ problem: (error as Error).message }, `backup ${id} cannot be read`)
    return undefined
  }
}

/**
 * Brings the replaced database back, and keeps the one that was live.
 * @returns the name under which that one is kept, and how long newcomers had to wait, in ms
 */
export async function rollBack(
  { back }: RollbackPlan,
  allowed: Allowed,
  world: RollbackWorld,
): Promise<{ kept: string; waitedMs: number }> {
  const { name, lock, connect, lockDatabase, run, log, signal, warn } = world
  const [again] = await readReplacedDatabases(lock.sql, name)
  if (again?.name !== back.name)
    throw new AppError('restore', `another run replaced ${name} meanwhile; nothing was changed`, {
      hint: 'run it again',
    })
  const left = await repairDisabled(lock.sql, back.name, again.story, () => connect(name))
  if (left.length > 0) warn(enabledAgain(name, left))
  const facts = await readFacts(world, back.name, allowed)
  const { properties, now } = await readReplaceable(lock.sql, name, lockDatabase)
  const story: Replaced = {
    pgbosun: 'replaced',
    kind: back.story.kind === 'before' ? 'after' : 'before',
    id: randomBytes(4).toString('hex'),
    of: name,
    replaced_at: now,
    backup: back.story.backup,
    run,
    backed_up: back.story.backed_up,
    comment: properties?.comment ?? null,
    ...(facts.subscriptions.length > 0 && { subscriptions: facts.subscriptions }),
  }
  const comment = back.story.comment === null ? 'null' : quoteLiteral(back.story.comment)
  await noteDisabled(lock.sql, back.name, facts.subscriptions)
  const enable = await disableSubscriptions(facts.subscriptions, () => connect(name))
  const waitedMs = await exchange(
    {
      story,
      next: back.name,
      statements: [
        `alter database ${quoteIdent(back.name)} rename to ${quoteIdent(name)}`,
        `comment on database ${quoteIdent(name)} is ${comment}`,
      ],
    },
    { lock, connect: () => connect(lockDatabase), log, signal },
  ).catch(async (error) => {
    await enableAgain(name, enable, warn)
    throw error
  })
  await enableAgain(name, () => enableSubscriptions(back.story.subscriptions ?? [], () => connect(name)), warn)
  const kept = replacedName(story)
  await dropSlotsOf(kept, facts.slots, world)
  return { kept, waitedMs }
}
