import { setTimeout as sleep } from 'node:timers/promises'
import { AppError } from '../../errors.ts'
import type { Log } from '../../log.ts'
import { connectionLost, isConnectionLost, wasLost } from '../../postgres/lost.ts'
import { isServerError } from '../../postgres/server-error.ts'
import type { Session } from '../../postgres/session.ts'
import { rollback } from '../../postgres/transaction.ts'
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts'
import { seconds } from '../../units.ts'
import { readCounters } from './counters.ts'
import { sessionsIn } from './read.ts'
import { type Replaced, replacedName } from './story.ts'

/** Two databases change their names, in one transaction. */
export type Exchange = {
  /** What the database that has the name now becomes. */
  story: Replaced
  /** The database that gets the name. */
  next: string
  /** The first renames `next`; the others give it its properties. */
  statements: string[]
}

export type ExchangeWorld = {
  /** In `lock.database`; it holds the run lock of the name. */
  lock: Session
  /** Opens one more session in `lock.database`. */
  connect(): Promise<Session>
  log: Log
  signal: AbortSignal
}

/** How often it is tried: newcomers wait for each try, and take up connections meanwhile. */
const tries = 3
/** How long one try may keep newcomers waiting. */
const patienceMs = 2_000
const pauseMs = 1_000
/** How long to look for the outcome if the connection is lost at the commit. */
const lookMs = 60_000

/** `object_in_use`, `lock_not_available`, `query_canceled` by the time limit, `deadlock_detected` */
const inTheWay = new Set(['55006', '55P03', '57014', '40P01'])

/**
 * Exchanges the databases. Everybody who is connected to either is disconnected; who connects meanwhile waits, and is refused once with
 * 3D000 after the commit, because the server looked up the name before.
 *
 * @returns how long newcomers had to wait, in ms
 * @throws {AppError} `restore` if sessions stayed in the way; `unreachable` if the connection was lost and the outcome is unknown
 */
export async function exchange(plan: Exchange, world: ExchangeWorld): Promise<number> {
  const { lock, log, signal } = world
  const { of } = plan.story
  const session = await world.connect()
  try {
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted()
      lock.guard()
      // Once before the first try, so that newcomers wait only for a short time.
      await endSessions(lock, await oidsOf(lock, [of, plan.next]))
      try {
        return await tryOnce(plan, session, world)
      } catch (error) {
        if (!isServerError(error) || !inTheWay.has(error.code)) throw error
        if (attempt === tries) throw stillInUse(of, error)
        log.info({ problem: error.message }, `${of} is still in use: trying again`)
        await sleep(pauseMs, undefined, { signal })
      }
    }
  } finally {
    await session.end()
  }
}

async function tryOnce(
  { story, next, statements: [renameNext, ...rest] }: Exchange,
  session: Session,
  { lock, connect, signal }: ExchangeWorld,
): Promise<number> {
  const { sql } = session
  const kept = replacedName(story)
  const oids = await oidsOf(lock, [story.of, next])
  await sql.unsafe(begin)
  const startedAt = performance.now()
  let committing = false
  try {
    await whileEnding(lock, oids, async () => {
      await sql.unsafe(`alter database ${quoteIdent(story.of)} rename to ${quoteIdent(kept)}`)
      await sql.unsafe(renameNext!)
    })
    await sql.unsafe('set local statement_timeout to 0')
    // Nobody is connected now: all that sessions have counted is there.
    const counters = (await readCounters(sql, kept)) ?? null
    const comment = JSON.stringify({ ...story, counters } satisfies Replaced)
    await sql.unsafe(`comment on database ${quoteIdent(kept)} is ${quoteLiteral(comment)}`)
    for (const statement of rest) await sql.unsafe(statement)
    signal.throwIfAborted()
    lock.guard()
    committing = true
    await sql.unsafe('commit')
  } catch (error) {
    if (committing && wasLost(error)) await findOutcome(kept, session, connect, error)
    else await undo(sql, error)
  }
  return Math.round(performance.now() - startedAt)
}

/** If we freeze, or the network is gone, newcomers must not wait until the server notices: it ends an idle transaction. */
const begin = `begin; set local lock_timeout to '${patienceMs}ms'; set local statement_timeout to '${patienceMs}ms';
  set local idle_in_transaction_session_timeout to '5s'`

async function undo(sql: Session['sql'], error: unknown): Promise<never> {
  if (!isConnectionLost(error)) await rollback(sql).catch(() => {})
  throw error
}

const oidsOf = async ({ sql }: Session, names: string[]): Promise<string[]> => {
  const rows = await sql.unsafe<{ oid: string }[]>(
    `select oid::text as oid from pg_catalog.pg_database where datname in (${names.map(quoteLiteral).join(', ')})`,
  )
  return rows.map(({ oid }) => oid)
}

/** By their oids: after the commit, the names mean others. */
const endSessions = async ({ sql }: Session, oids: string[]): Promise<unknown> =>
  oids.length > 0 &&
  sql.unsafe(`select pg_catalog.pg_terminate_backend(s.pid) from (${sessionsIn(oids.join(', '))}) s where s.may_end`)

/** Who connected just before the rename began is ended while it waits. */
async function whileEnding(lock: Session, oids: string[], work: () => Promise<void>): Promise<void> {
  let done = false
  const ending = (async () => {
    while (!done) {
      await endSessions(lock, oids)
      await sleep(20)
    }
  })()
  // It is awaited below; until then, an error of the work counts first.
  ending.catch(() => {})
  try {
    await work()
  } finally {
    done = true
  }
  await ending
}

/**
 * Returns if the commit took place before the connection was lost: then there is a database with the name. If not, the backend may still be
 * about to commit; once it is gone too, nothing was changed.
 */
async function findOutcome(
  kept: string,
  { pid }: Session,
  connect: ExchangeWorld['connect'],
  cause: unknown,
): Promise<void> {
  const deadline = performance.now() + lookMs
  while (performance.now() < deadline) {
    const seen = await look(kept, pid, connect).catch((error: unknown) => {
      if (!wasLost(error)) throw error
    })
    if (seen?.kept) return
    if (seen && !seen.backend) throw connectionLost(cause)
    await sleep(pauseMs)
  }
  throw new AppError('unreachable', 'the connection was lost at the last step, and the server has not answered since', {
    reason: 'outcome-unknown',
    hint: `when it is back, look whether there is a database ${kept}: if so, the restore is done; if not, nothing was changed`,
    cause,
  })
}

async function look(kept: string, pid: number, connect: ExchangeWorld['connect']) {
  const session = await connect()
  try {
    const [row] = await session.sql.unsafe<{ kept: boolean; backend: boolean }[]>(
      `select exists (select from pg_catalog.pg_database where datname = ${quoteLiteral(kept)}) as kept,
              exists (select from pg_catalog.pg_stat_activity where pid = ${pid}) as backend`,
    )
    return row
  } finally {
    await session.end()
  }
}

const stillInUse = (name: string, cause: Error & { code?: string }) =>
  new AppError(
    'restore',
    `${name} could not be replaced: in ${tries} tries of ${seconds(patienceMs)} its sessions did not end`,
    {
      hint: `see in pg_stat_activity who is connected to ${name}, stop it, then run it again`,
      sqlstate: cause.code,
      cause,
    },
  )
