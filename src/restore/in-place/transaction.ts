import { setTimeout as sleep } from 'node:timers/promises'
import { AppError } from '../../errors.ts'
import { ofOneKind } from '../../plan.ts'
import { createBlockerWatch, describeBlockers } from '../../postgres/blockers.ts'
import { markWork } from '../../postgres/lock.ts'
import { connectionLost, wasLost } from '../../postgres/lost.ts'
import { isServerError } from '../../postgres/server-error.ts'
import type { Session } from '../../postgres/session.ts'
import { rollback } from '../../postgres/transaction.ts'
import { holdStatement } from '../../state/hold.ts'
import { handOver, planState, readOwnedState } from '../../state/state.ts'
import { renderDuration } from '../../units.ts'
import { differs, eventOf, notCompared, noteEvents, type RestorePlan } from '../apply.ts'
import { compareRows } from '../compare.ts'
import type { Comparison } from '../differences.ts'
import { detachSubscriptions } from '../subscriptions.ts'
import { firstOwner, readStateOwner } from '../swap/swap.ts'
import { clearStatements } from './clear.ts'
import { createEventTriggers, finishContents, loadContents, type TransactionLoad } from './load.ts'
import { newcomersSince, readInstant } from './newcomers.ts'
import type { InPlaceWorld, TransactionWorld } from './world.ts'

/**
 * Empties the database, loads the backup, compares it and commits. Until the commit nobody sees anything of it.
 *
 * @throws {AppError} `locked` if others keep what has to be replaced; `unreachable` if the connection was lost, and with the reason
 *         `outcome-unknown` if it is not known whether the commit took place
 */
export async function inOneTransaction(
  plan: RestorePlan,
  world: TransactionWorld,
): Promise<{ comparison: Comparison; held: boolean }> {
  const { session } = world.load
  const { sql, serverVersion } = session
  try {
    await sql.unsafe(markWork)
    if (serverVersion >= 170_000) await sql.unsafe('set transaction_timeout = 0')
    const instant = await empty(plan, world)
    const xid = await readTransaction(sql)
    const newcomers = () => newcomersSince(world.load.ours, plan.into, instant)
    const done = await fillAndCompare(plan, world).catch(async (error: unknown) => {
      // what others made looks as if the backup had made it; a transaction that failed cannot be asked
      throw (await newcomers().catch(() => undefined)) ?? error
    })
    const problem = await newcomers()
    if (problem) throw problem
    await commit(plan, world, xid)
    return done
  } catch (error) {
    if (!wasLost(error)) await rollback(sql).catch(() => {})
    throw error
  }
}

/** `lock_not_available`, `deadlock_detected` */
const inTheWay = new Set(['55P03', '40P01'])
/** How long one try may make others wait behind us. */
const patienceMs = 5_000
const pauseMs = 1_000

/**
 * In short tries: whoever waits for a lock makes everybody else wait after it. No session of others is ended.
 *
 * @returns the instant of {@link readInstant} before
 */
async function empty({ into }: RestorePlan, world: TransactionWorld): Promise<string> {
  const { load, lock, lockTimeoutMs, log, signal, beforeAgain } = world
  const { sql, pid, serverVersion } = load.session
  const deadline = performance.now() + lockTimeoutMs
  const watch = createBlockerWatch({ observer: lock.sql, pid, everyMs: 200, log })
  for (;;) {
    signal.throwIfAborted()
    watch.start()
    try {
      const instant = await readInstant(sql)
      await sql.unsafe(
        `begin isolation level read committed read write; set local lock_timeout to '${Math.min(patienceMs, lockTimeoutMs)}ms'`,
      )
      for (const statement of clearStatements(load.login?.user ?? '', { serverVersion }))
        await load.ours.unsafe(statement)
      await sql.unsafe('set local lock_timeout to 0')
      await watch.stop()
      return instant
    } catch (error) {
      await watch.stop()
      if (!isServerError(error) || !inTheWay.has(error.code)) throw error
      const blockers = describeBlockers(watch.last())
      await rollback(sql)
      await beforeAgain()
      if (performance.now() + pauseMs > deadline) throw stillLocked(into, lockTimeoutMs, blockers, error)
      log.info(`waiting for the tables of ${into}${blockers === undefined ? '' : `: ${blockers}`}`)
      await sleep(pauseMs, undefined, { signal })
    }
  }
}

const stillLocked = (name: string, ms: number, blockers: string | undefined, cause: Error & { code: string }) =>
  new AppError(
    'locked',
    `what is in ${name} could not be locked within ${renderDuration(ms)}${blockers === undefined ? '' : `, ${blockers}`}`,
    {
      hint: 'stop what uses the database, then run it again: a restore in place ends no sessions of others',
      sqlstate: cause.code,
      cause,
    },
  )

async function fillAndCompare(plan: RestorePlan, world: TransactionWorld) {
  const { manifest } = plan
  const { load, log, warn, signal, rights, run } = world
  const { sql } = load.session
  const whole: TransactionLoad = {
    ...{ ...load, dump: load.dump(), user: rights.user, owner: manifest.database.owner, signal, log, warn },
  }
  await loadContents(whole)
  const comparison = await compareRows(sql, manifest.rows)
  if (comparison.differences.length > 0) throw differs(comparison)
  for (const warning of ofOneKind(comparison.notCompared.map(notCompared))) warn(warning)
  await finishContents(whole)
  for (const warning of ofOneKind(await detachSubscriptions(load.ours))) warn(warning)
  const held = await markHeld(plan, world)
  await noteEvents(load.ours, { run: { ...run, actor: rights.user }, log }, eventOf(plan))
  await createEventTriggers(whole)
  return { comparison, held }
}

/** Like that of a swap; see `markHeld` in swap.ts. */
async function markHeld({ manifest, into }: RestorePlan, world: TransactionWorld): Promise<boolean> {
  const { load, rights, connect, now } = world
  const { ours } = load
  const current = await readOwnedState(ours, [])
  const owner =
    (await readStateOwner({ connect, name: into })) ??
    current.schema?.owner ??
    (await firstOwner(ours, { sessionUser: rights.user, manifest }))
  if (owner === undefined) return false
  const hold = { since: now().toISOString(), backup: manifest.id, taken_at: manifest.started_at, replaced: null }
  for (const { sql } of planState(current, { needs: [] })) await ours.unsafe(sql)
  await ours.unsafe(holdStatement(hold))
  const { tables } = await readOwnedState(ours, [])
  const owned = [current.schema?.owner ?? rights.user, ...tables.map((table) => table.owner)]
  if (rights.superuser && owned.some((one) => one !== owner))
    await ours.unsafe(
      handOver(
        tables.map(({ name }) => name),
        owner,
      ),
    )
  return true
}

/** How long to look for the outcome if the connection is lost at the commit. */
const lookMs = 60_000

async function readTransaction(sql: Session['sql']): Promise<string> {
  const [row] = await sql.unsafe<{ xid: string }[]>('select pg_catalog.pg_current_xact_id()::text as xid')
  return row!.xid
}

/** @param xid of the transaction that emptied the database: no other one may be committed */
async function commit({ into }: RestorePlan, world: TransactionWorld, xid: string): Promise<void> {
  const { load, lock, signal, connect, onPublished } = world
  const { sql } = load.session
  if ((await readTransaction(sql)) !== xid) throw new Error('the transaction of the restore ended too early')
  signal.throwIfAborted()
  lock.guard()
  try {
    await sql.unsafe('commit')
  } catch (error) {
    if (!wasLost(error)) throw error
    await findOutcome(into, xid, connect, error)
  }
  onPublished()
}

/** Returns if the commit took place. @throws {AppError} `unreachable` if it did not, or nobody knows */
async function findOutcome(name: string, xid: string, connect: InPlaceWorld['connect'], cause: unknown): Promise<void> {
  for (const deadline = performance.now() + lookMs; performance.now() < deadline; await sleep(pauseMs)) {
    const status = await statusOf(xid, () => connect(name)).catch((error: unknown) => {
      if (!wasLost(error)) throw error
    })
    if (status === 'committed') return
    if (status === 'aborted') throw connectionLost(cause)
  }
  throw new AppError('unreachable', 'the connection was lost at the last step, and the server has not answered since', {
    reason: 'outcome-unknown',
    hint: `when it is back, run in ${name}: select pg_catalog.pg_xact_status('${xid}'::pg_catalog.xid8): committed means that the restore is done, aborted that nothing was changed`,
    cause,
  })
}

async function statusOf(xid: string, connect: () => Promise<Session>): Promise<string | undefined> {
  const session = await connect()
  try {
    const [row] = await session.sql.unsafe<{ status: string }[]>(
      `select pg_catalog.pg_xact_status('${xid}'::pg_catalog.xid8) as status`,
    )
    return row?.status
  } finally {
    await session.end()
  }
}
