import type { Manifest } from '../../archive/manifest.ts'
import { AppError } from '../../errors.ts'
import type { Log } from '../../log.ts'
import { ofOneKind, type Warning } from '../../plan.ts'
import { withoutEventTriggers } from '../../postgres/event-triggers.ts'
import { startHeartbeat } from '../../postgres/heartbeat.ts'
import type { Session } from '../../postgres/session.ts'
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts'
import { holdStatement } from '../../state/hold.ts'
import { handOver, planState, readOwnedState } from '../../state/state.ts'
import { visibleSql } from '../../text.ts'
import { finishStatements } from '../database.ts'
import { refusal } from '../guard.ts'
import { disableSubscriptions } from '../subscriptions.ts'
import { noteDisabled } from './disabled.ts'
import { exchange } from './exchange.ts'
import { labelStatements, propertyDifferences } from './properties.ts'
import { type Replaceable, readPublications, readReplaceable } from './read.ts'
import { type Allowed, findSwapRefusals, spaceNeeded, swapConsequences } from './refusals.ts'
import { type Replaced, replacedName } from './story.ts'

/** How a database is replaced by its backup. */
export type SwapOptions = Allowed & {
  /** Backs up the present state, and returns the id of the backup; undefined if a person goes without. */
  backUp: (() => Promise<string>) | undefined
}

/** What a swap did. */
export type Swapped = {
  /** The name of the database that was replaced. */
  replaced: string
  /** Id of the backup of its last state. */
  backedUp: string | null
  /** How long newcomers had to wait. */
  waitedMs: number
  /** Whether pending migrations wait for a person. */
  held: boolean
}

/** Everything a swap needs to know, apart from how it is wanted. */
export type SwapWorld = {
  /** The database to replace. */
  name: string
  manifest: Manifest
  /** Eight hexadecimal digits. */
  id: string
  lock: Session
  lockDatabase: string
  connect(database: string): Promise<Session>
  sessionUser: string
  run: string
  now(): Date
  warn(warning: Warning): void
  log: Log
  signal: AbortSignal
}

/**
 * Looks at the database that is to be replaced.
 * @throws {AppError} `restore`, `refused` if it must not be replaced now
 */
export async function readReplaceableNow(
  db: Session['sql'],
  { name, lockDatabase, manifest }: Pick<SwapWorld, 'name' | 'lockDatabase' | 'manifest'>,
  allowed: Allowed,
): Promise<Replaceable & { properties: Manifest['database'] }> {
  const found = await readReplaceable(db, name, lockDatabase)
  const problem = refusal(findSwapRefusals(found.facts, allowed), { id: manifest.id, into: name })
  if (problem) throw problem
  return { ...found, properties: found.properties! }
}

/** What a person must know before, in lines. */
export async function describeSwap(
  { facts }: Replaceable,
  { connect, name, manifest }: Pick<SwapWorld, 'connect' | 'name' | 'manifest'>,
): Promise<string[]> {
  const session = await connect(name)
  const publications = await readPublications(session.sql).finally(() => session.end())
  return [spaceNeeded(manifest.database.size_bytes), ...swapConsequences(facts, { publications })]
}

/** What of the backup's properties does not come back. */
export const differencesFrom = (manifest: Manifest, { properties }: { properties: Manifest['database'] }): Warning[] =>
  ofOneKind(
    propertyDifferences(manifest.database, properties).map(
      (difference) => `kept as it is, and not as in the backup: ${difference}`,
    ),
  )

/**
 * Writes into the restored database that it was restored: pending migrations are then not applied before a person says so, because one of
 * them may have been the accident. The state belongs to whom it belongs in the database that is replaced, so that the same user goes on.
 *
 * @returns whether it is held: not if neither database has a state, and another user is to keep it ready, whom one of ours would lock out
 * @throws {AppError} `refused`, `history` if the state in the backup must not be written
 */
export async function markHeld({ sql }: Session, world: SwapWorld): Promise<boolean> {
  const { name, manifest, id, now } = world
  const current = await readOwnedState(sql, [])
  const owner = (await readStateOwner(world)) ?? current.schema?.owner ?? (await firstOwner(sql, world))
  if (owner === undefined) return false
  const hold = {
    since: now().toISOString(),
    backup: manifest.id,
    taken_at: manifest.started_at,
    replaced: replacedName({ of: name, kind: 'before', id }),
  }
  await withoutEventTriggers(sql, [
    ...planState(current, { needs: [] }).map((change) => change.sql),
    holdStatement(hold),
  ])
  const { tables, schema, superuser } = await readOwners(sql)
  if (superuser && [schema, ...tables.map((table) => table.owner)].some((one) => one !== owner))
    await withoutEventTriggers(sql, [
      handOver(
        tables.map((table) => table.name),
        owner,
      ),
    ])
  return true
}

/** To whom schema pgbosun belongs in the database that is replaced; undefined if it has none. */
export async function readStateOwner({
  connect,
  name,
}: Pick<SwapWorld, 'connect' | 'name'>): Promise<string | undefined> {
  const session = await connect(name)
  try {
    const [row] = await session.sql.unsafe<{ owner: string }[]>(
      "select pg_catalog.pg_get_userbyid(nspowner) as owner from pg_catalog.pg_namespace where nspname = 'pgbosun'",
    )
    return row?.owner
  } finally {
    await session.end()
  }
}

/** Who owns a first state: the session user, unless a login of its own owns the database, which then most likely runs `up`. */
export async function firstOwner(
  db: Session['sql'],
  { sessionUser, manifest }: Pick<SwapWorld, 'sessionUser' | 'manifest'>,
): Promise<string | undefined> {
  const { owner } = manifest.database
  if (owner === sessionUser) return sessionUser
  const logins = await db.unsafe(
    `select from pg_catalog.pg_roles where rolname = ${quoteLiteral(owner)} and rolcanlogin and not rolsuper`,
  )
  return logins.length > 0 ? undefined : sessionUser
}

async function readOwners(db: Session['sql']) {
  const [row] = await db.unsafe<{ schema: string; superuser: boolean }[]>(
    `select pg_catalog.pg_get_userbyid(n.nspowner) as schema, r.rolsuper as superuser
       from pg_catalog.pg_namespace n, pg_catalog.pg_roles r where n.nspname = 'pgbosun' and r.rolname = session_user`,
  )
  const { tables } = await readOwnedState(db, [])
  return { schema: row!.schema, superuser: row!.superuser, tables }
}

/**
 * Gives the restored database the place of the one that has its name: first a backup of that one, then the exchange in one transaction.
 *
 * @param work name of the restored database
 * @param login its owner so far, which is dropped
 * @throws {AppError} `restore`, `refused`; nothing was changed
 */
export async function swapIn(
  work: string,
  login: string | undefined,
  { backUp, ...allowed }: SwapOptions,
  world: SwapWorld,
): Promise<Omit<Swapped, 'held'>> {
  const { name, manifest, id, lock, connect, lockDatabase, sessionUser, run, log, signal, warn } = world
  const backedUp = backUp ? await backUpFirst(backUp, world) : null
  signal.throwIfAborted()
  // Much may have changed while it was loaded.
  const { facts, properties, labels, now: replacedAt } = await readReplaceableNow(lock.sql, world, allowed)
  const story: Replaced = {
    pgbosun: 'replaced',
    kind: 'before',
    id,
    of: name,
    replaced_at: replacedAt,
    backup: manifest.id,
    run,
    backed_up: backedUp,
    comment: properties.comment,
    ...(facts.subscriptions.length > 0 && { subscriptions: facts.subscriptions }),
  }
  const finish = finishStatements(work, name, properties, { noOwner: false, sessionUser, login })
  const [rename, ...rest] = finish
  await noteDisabled(lock.sql, work, facts.subscriptions)
  const enable = await disableSubscriptions(facts.subscriptions, () => connect(name))
  let waitedMs: number
  try {
    const statements = [rename!, ...labelStatements(name, labels), ...rest]
    waitedMs = await exchange(
      { story, next: work, statements },
      { lock, connect: () => connect(lockDatabase), log, signal },
    )
  } catch (error) {
    await enableAgain(name, enable, warn)
    throw error
  }
  const replaced = replacedName(story)
  await dropSlotsOf(replaced, facts.slots, world)
  return { replaced, backedUp, waitedMs }
}

/** After an exchange that failed. */
export const enableAgain = (name: string, enable: () => Promise<void>, warn: SwapWorld['warn']): Promise<void> =>
  enable().catch((problem: Error) =>
    warn(`the subscriptions of ${name} stay disabled, because they could not be enabled: ${problem.message}`),
  )

/** After the exchange: whatever goes wrong is a warning. */
export async function dropSlotsOf(
  replaced: string,
  slots: string[],
  world: Pick<SwapWorld, 'connect' | 'warn'>,
): Promise<void> {
  const problems = await dropSlots(slots, replaced, world).catch((error: Error) => [
    `the replication slots of ${replaced} keep WAL until they are dropped: ${error.message}`,
  ])
  for (const problem of problems) world.warn(problem)
}

export async function backUpFirst(
  backUp: () => Promise<string>,
  { name, lock, log }: Pick<SwapWorld, 'name' | 'lock' | 'log'>,
): Promise<string> {
  const stop = startHeartbeat(lock, { log })
  try {
    return await backUp()
  } catch (error) {
    if (!(error instanceof AppError) || error.kind === 'interrupted' || error.kind === 'terminated') throw error
    throw new AppError('restore', `the present state of ${name} could not be backed up: ${error.message}`, {
      hint: `${error.hint ?? 'see the message'}; or pass --no-backup-first: what ${name} is now then exists only in the database that is set aside`,
      cause: error,
    })
  } finally {
    stop()
  }
}

/** After the swap, in the database they belong to: had it failed, they would be needed. Returns what went wrong. */
export async function dropSlots(
  slots: string[],
  database: string,
  { connect }: Pick<SwapWorld, 'connect'>,
): Promise<string[]> {
  if (slots.length === 0) return []
  const session = await connect(database)
  const problems: string[] = []
  try {
    for (const slot of slots) {
      const drop = `select pg_catalog.pg_drop_replication_slot(${quoteLiteral(slot)})`
      await session.sql
        .unsafe(
          `select pg_catalog.pg_terminate_backend(active_pid, 5000) from pg_catalog.pg_replication_slots where slot_name = ${quoteLiteral(slot)} and active`,
        )
        .then(() => session.sql.unsafe(drop))
        .catch((error: Error) =>
          problems.push(
            `the replication slot ${slot} keeps WAL until it is dropped: run in ${visibleSql(quoteIdent(database))}: ${drop} (${error.message})`,
          ),
        )
    }
  } finally {
    await session.end()
  }
  return problems
}
