import { randomBytes } from 'node:crypto'
import { withLease } from '../../archive/lease.ts'
import type { RestoreTestDetails } from '../../archive/restore-test.ts'
import { loggedInAs } from '../../config/connection.ts'
import { describeEndpoint } from '../../config/endpoint.ts'
import { AppError, hasReason } from '../../errors.ts'
import { openSession } from '../../postgres/connect.ts'
import { mayGoWithoutEventTriggers } from '../../postgres/event-triggers.ts'
import { startHeartbeat } from '../../postgres/heartbeat.ts'
import { takeRunLock } from '../../postgres/lock.ts'
import { databaseObject } from '../../postgres/lock-keys.ts'
import { wasLost } from '../../postgres/lost.ts'
import type { Session } from '../../postgres/session.ts'
import { openWhenReady } from '../../postgres/wait.ts'
import { createDatabase, inSession, makeLogin, type RestorePlan, type RestoreWorld, whenLost } from '../apply.ts'
import { cleanUp, readStart, reopener } from '../clean-up.ts'
import { loadIsolated } from '../isolated.ts'
import { describeLeftOut } from '../left-out.ts'
import { workName } from '../name.ts'
import { openDump } from '../source.ts'
import { sweepLeftovers } from '../sweep.ts'
import { type Compared, compare } from './compare.ts'
import { byServer, judged, lost, NotAsBackedUp, tooLong } from './judge.ts'
import type { TrialOptions, Tried } from './options.ts'
import { into, prepare, type Work } from './prepare.ts'
import { readWal, readWalSince } from './wal.ts'
import { watchRoom } from './watch-room.ts'

/**
 * Restores a backup into a database that is compared and then dropped, whatever happens. What could act by itself is left out.
 *
 * @returns what it says about the backup
 * @throws {AppError} if it could not be tried, which says nothing about the backup: `refused`, `restore`, `backup`, `unreachable`,
 *   `locked`; the signal's reason
 */
export async function tryBackup(options: TrialOptions): Promise<Tried> {
  const { connection, wait, lock, runId, command, log, signal } = options
  const base = { applicationName: `pgbosun ${runId}`, command, log, signal, database: lock.database, ...wait }
  const session = (await openWhenReady(connection, { ...base, deadline: performance.now() + wait.timeoutMs }))!
  try {
    return await tryOn(session, options)
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw wasLost(error) ? lost(error, options) : error
  } finally {
    await session.end()
  }
}

async function tryOn(session: Session, options: TrialOptions): Promise<Tried> {
  const startedAt = options.now()
  const server = `${describeEndpoint(session.endpoint)}, PostgreSQL ${await readVersion(session)}`
  const failed = (problem: string, isDamaged = false): Tried => ({
    test: { at: startedAt, ok: false, problem, durationMs: null, server },
    details: undefined,
    damaged: isDamaged,
  })
  try {
    const { durationMs, ...details } = await withLease(options.store, options.backup, options, async () =>
      underLock(await prepare(session, server, options), options),
    )
    return { test: { at: startedAt, ok: true, problem: null, durationMs, server }, details, damaged: false }
  } catch (error) {
    // it could not even be tried
    if (hasReason(error, 'no-identity') || hasReason(error, 'not-signed')) throw error
    if (error instanceof AppError && error.kind === 'corrupt') return failed(error.message, true)
    if (error instanceof NotAsBackedUp) return failed(error.message)
    throw error
  }
}

async function readVersion({ sql }: Session): Promise<string> {
  const [row] = await sql.unsafe<{ version: string }[]>(
    "select pg_catalog.split_part(pg_catalog.current_setting('server_version'), ' ', 1) as version",
  )
  return row!.version
}

type Found = RestoreTestDetails & { durationMs: number }

async function underLock(work: Work, options: TrialOptions): Promise<Found> {
  const { session, connection, manifest, rights, own } = work
  const { lock, wait, runId, command, log, now, timeoutMs } = options
  const what = 'the lock for test restores on this server'
  await takeRunLock(session.sql, databaseObject(into), what, { timeoutMs: lock.timeoutMs, log, signal: options.signal })
  const applicationName = `pgbosun ${runId}`
  const withoutEventTriggers = await mayGoWithoutEventTriggers(session)
  const connect = (database: string) =>
    openSession(connection, { database, applicationName, withoutEventTriggers, log })
  await sweepLeftovers(session.sql, connect, log)
  const isolated = rights.more.length > 0
  const id = randomBytes(4).toString('hex')
  const story = {
    pgbosun: 'restore' as const,
    ...{ id, into, backup: manifest.id, database: manifest.database.name, run: runId },
    started_at: now().toISOString(),
  }
  const plan: RestorePlan = { manifest, into, noOwner: true, noTablespaces: true, keepGoing: false, isolated, story }
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(tooLong(options)), Math.min(timeoutMs, 2 ** 31 - 1))
  const room = work.same ? watchRoom(session.sql, own, options, (full) => late.abort(full)) : undefined
  const signal = AbortSignal.any([options.signal, late.signal, whenLost(session)])
  const world: RestoreWorld = {
    ...{ lock: session, rights, connect, log, signal, warn: options.warn },
    run: { runId, command },
    load: async () => {},
    onPublished() {},
    reopen: reopener({ connection, into, lock, wait, runId, command, log }),
    patienceMs: wait.timeoutMs,
  }
  const name = workName(into, id)
  const serverStart = await readStart(session.sql)
  try {
    signal.throwIfAborted()
    return await createAndLook(name, { plan, world, work }, options)
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    clearTimeout(timer)
    room?.stop()
    await cleanUp(name, { ...plan, startedAt: serverStart, publishing: false }, world)
  }
}

async function createAndLook(
  name: string,
  { plan, world, work }: { plan: RestorePlan; world: RestoreWorld; work: Work },
  { store, keys, runId, log, warn, onProgress, use }: TrialOptions,
): Promise<Found> {
  const { session: lock, server, connection, manifest, rights, tools, head, leftOut, same } = work
  const walAt = await readWal(lock)
  const startedAt = performance.now()
  const login = plan.isolated
    ? await makeLogin(name, plan, world)
    : { user: rights.user, password: connection.password() ?? '' }
  await createDatabase(name, plan, world, plan.isolated ? login : undefined).catch(byServer)
  const stopHeartbeat = startHeartbeat(lock, { log })
  let compared: Compared | undefined
  let comparingMs = 0
  try {
    await inSession(name, world, world.signal, (session) =>
      loadIsolated({
        ...{ tools, connection, database: name, applicationName: `pgbosun ${runId}`, head, login, session, log, warn },
        plan: work.plan,
        ...{ owner: rights.user, superuser: rights.superuser, noOwner: true, noTablespaces: true },
        open: () => openDump({ store, keys }, manifest),
        signal: world.signal,
        onBytes: (bytes) => onProgress(bytes, manifest.dump_size_bytes),
        async tryOut(asLogin) {
          const before = performance.now()
          compared = await compare(asLogin, manifest)
          comparingMs = performance.now() - before
        },
      }),
    ).catch((error: unknown) => {
      world.signal.throwIfAborted()
      throw judged(error)
    })
    const durationMs = Math.round(performance.now() - startedAt - comparingMs)
    const walBytes = walAt === null ? null : await readWalSince(lock, walAt)
    const asLogin = loggedInAs({ ...connection, database: name }, login)
    await use?.({
      ...{ connection: asLogin, server, durationMs, compared: compared!, leftOut, signal: world.signal },
      partial: describeLeftOut(manifest),
    })
    return { ...compared!, durationMs, walBytes, sameServer: same, leftOut }
  } finally {
    stopHeartbeat()
  }
}
