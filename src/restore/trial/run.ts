import { randomBytes } from 'node:crypto'
import { type Backup, readBackup } from '../../archive/backup.ts'
import { withLease } from '../../archive/lease.ts'
import type { Manifest } from '../../archive/manifest.ts'
import type { RestoreTest, RestoreTestDetails } from '../../archive/restore-test.ts'
import { TocError } from '../../archive/toc.ts'
import { at, type Connection, loggedInAs } from '../../config/connection.ts'
import { describeEndpoint } from '../../config/endpoint.ts'
import type { Keys } from '../../config/keys.ts'
import { AppError, hasReason } from '../../errors.ts'
import type { Log } from '../../log.ts'
import type { Warning } from '../../plan.ts'
import { openSession } from '../../postgres/connect.ts'
import { mayGoWithoutEventTriggers } from '../../postgres/event-triggers.ts'
import { startHeartbeat } from '../../postgres/heartbeat.ts'
import { takeRunLock } from '../../postgres/lock.ts'
import { databaseObject } from '../../postgres/lock-keys.ts'
import { wasLost } from '../../postgres/lost.ts'
import { isServerError, type ServerError } from '../../postgres/server-error.ts'
import type { Session } from '../../postgres/session.ts'
import { readSystemIdentifier } from '../../postgres/system.ts'
import { openWhenReady } from '../../postgres/wait.ts'
import { findTools, type Tools } from '../../programs/pgtools.ts'
import type { Store } from '../../store/store.ts'
import { counted, renderDuration, someOf } from '../../units.ts'
import { createDatabase, inSession, makeLogin, type RestorePlan, type RestoreWorld, whenLost } from '../apply.ts'
import { boundOf, withoutExtensions } from '../bound.ts'
import { cleanUp, readStart, reopener } from '../clean-up.ts'
import { compareRows, compareSamples } from '../compare.ts'
import { renderDifference } from '../differences.ts'
import { findRefusals, neededRoles, refusal } from '../guard.ts'
import { readTarget } from '../inspect.ts'
import { loadIsolated } from '../isolated.ts'
import { type OwnRights, readOwnRights } from '../isolation.ts'
import { describeLeftOut } from '../left-out.ts'
import { checkListPlace } from '../load.ts'
import { workName } from '../name.ts'
import { type LoadPlan, planLoad } from '../plan.ts'
import { damaged, type Head, openDump, readHead, refuseIncomplete, type Source, trustedManifest } from '../source.ts'
import { sweepLeftovers } from '../sweep.ts'
import { isSameServer, refuseTrial } from './place.ts'
import { readRoom } from './room.ts'
import { watchRoom } from './watch-room.ts'

/** Everything a test restore needs to know. It reads neither the environment nor the configuration. */
export type TrialOptions = {
  backup: Pick<Backup, 'id' | 'database'>
  store: Store
  /** What opens backups that are encrypted. */
  keys: Keys
  /** The server to restore on. */
  connection: Connection
  where: 'url' | 'same-server'
  maxBytes: number
  lock: { database: string; timeoutMs: number }
  wait: { timeoutMs: number; patient: boolean }
  /** Time limit, from when it has the lock. */
  timeoutMs: number
  search: { path: string | undefined }
  /** What it is made for, in messages. Default: `test restore`. */
  what?: string
  /** Works in the restored database, once it has been compared and before it is dropped. Its errors are thrown as they are. */
  use?: ((copy: RestoredCopy) => Promise<void>) | undefined
  runId: string
  command: string
  warn(warning: Warning): void
  onProgress(done: number, total: number): void
  now(): Date
  log: Log
  signal: AbortSignal
}

/** A restored database that is going to be dropped. */
export type RestoredCopy = {
  /** The login that loaded it and owns everything in it, in that database. It has no rights that code in the backup must not get. */
  connection: Connection
  /** In words: `127.0.0.1:5432, PostgreSQL 18.1`. */
  server: string
  durationMs: number
  compared: Compared
  /** In words. */
  leftOut: string[]
  /** What the backup itself lacks, in words. */
  partial: string | undefined
  signal: AbortSignal
}

/** `damaged`: its stored bytes are not what was written. */
export type Tried = { test: RestoreTest; details: RestoreTestDetails | undefined; damaged: boolean }

/**
 * The name that a test restore would give its database if it kept it. Its lock lets one test restore work on a server at a time, and
 * lets every restore recognise what a killed one left behind.
 */
const into = 'pgbosun_test_restore'

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

/** The backup could be tried, and something is wrong with it. */
class NotAsBackedUp extends Error {}

async function readVersion({ sql }: Session): Promise<string> {
  const [row] = await sql.unsafe<{ version: string }[]>(
    "select pg_catalog.split_part(pg_catalog.current_setting('server_version'), ' ', 1) as version",
  )
  return row!.version
}

type Work = {
  session: Session
  server: string
  connection: Connection
  manifest: Manifest
  rights: OwnRights
  tools: Tools
  head: Head
  plan: LoadPlan
  /** In words. */
  leftOut: string[]
  own: string | undefined
  same: boolean
}

/** Needs roles of the original, or could act by itself. */
const never = ['owners', 'privileges', 'comments', 'publications', 'subscriptions', 'user mappings', 'event triggers']

/** Finds out everything that is known to fail, before anything is changed. */
async function prepare(session: Session, server: string, options: TrialOptions): Promise<Work> {
  const { backup, store, keys, where, maxBytes, search } = options
  const whole = await readBackup(store, backup.database, backup.id, keys.secrets)
  if (!whole) throw damaged(backup.id, 'it has been deleted in the meantime')
  const manifest = trustedManifest(whole)
  const own = await readSystemIdentifier(session.sql)
  const rights = await readOwnRights(session.sql)
  const same = isSameServer(manifest, own)
  const room = same ? await readRoom(session.sql, own, manifest.database.size_bytes) : undefined
  const refused = refuseTrial(manifest, { where, own, rights, maxBytes, room })
  if (refused) throw refused
  const left = boundOf(manifest.extensions).filter(({ test }) => test === 'left out')
  const without = left.map(({ name }) => name)
  for (const { name, advice } of left) options.warn(`the extension ${name} is left out of the test restore: ${advice}`)
  const wanted = { ...manifest, extensions: manifest.extensions.filter(({ name }) => !without.includes(name)) }
  const target = await readTarget(session.sql, wanted, into)
  const problem = refusal(findRefusals(wanted, { into, noOwner: true, noTablespaces: true }, target), {
    id: manifest.id,
    into,
  })
  if (problem) throw problem
  const tools = await findTools(session.serverVersion, search, {
    name: 'pg_restore',
    writtenBy: Number.parseInt(manifest.client_version, 10),
  })
  await refuseIncomplete(store, manifest)
  checkListPlace()
  const head = await readContents(options, manifest)
  const entries = withoutExtensions(head.toc.entries, left)
  const planned = { ...planLoad({ ...head.toc, entries }, { noOwner: true }), tablespaces: [] }
  const knowsRoles = neededRoles(manifest).every((role) => target.roles.includes(role))
  const plan = knowsRoles ? planned : { ...planned, policies: [] }
  const partial = describeLeftOut(manifest)
  const leftOut = [
    ...without.map((name) => `the extension ${name}`),
    ...(knowsRoles ? [] : ['policies']),
    ...never,
    ...(partial === undefined ? [] : [`by backup.exclude: ${partial}`]),
  ]
  if (plan.problems.length > 0 && rights.more.length > 0) throw cannotRun(plan.problems, rights)
  const connection = at(options.connection, session)
  return { session, server, connection, manifest, rights, tools, head, plan, leftOut, own, same }
}

async function readContents(source: Source, manifest: Manifest): Promise<Head> {
  try {
    return await readHead(openDump(source, manifest))
  } catch (error) {
    if (error instanceof TocError) throw new NotAsBackedUp(error.message)
    throw error
  }
}

const cannotRun = (problems: string[], { user }: OwnRights) =>
  new AppError(
    'restore',
    `the backup cannot be restored without running code in it with the rights of ${user}: ${someOf(problems, '; ')}`,
    { hint: 'set backup.verify.url to a role that may only create databases, on a server that has these objects' },
  )

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

type Compared = Pick<RestoreTestDetails, 'tablesCompared' | 'rowsCompared' | 'rowsSampled'>

/** @throws NotAsBackedUp if the rows differ */
async function compare({ sql }: Session, { rows, samples = {} }: Manifest): Promise<Compared> {
  const counts = await compareRows(sql, rows)
  const { rows: rowsSampled, differing } = await compareSamples(sql, samples)
  const differences = [
    ...counts.differences.map(renderDifference),
    ...differing.filter((table) => counts.differences.every((difference) => difference.table !== table)).map(changed),
  ]
  if (differences.length > 0)
    throw new NotAsBackedUp(`the restored rows differ from what was backed up: ${someOf(differences, '; ')}`)
  return { tablesCompared: counts.tables, rowsCompared: counts.rows, rowsSampled }
}

const changed = (table: string) => `rows of ${table} have other contents`

/** SQLSTATEs that say something about the server or the user, and nothing about the backup. */
const ofServer = /^(08|25006|28|42501|53|55P02|57|58|F0|XX)/

/** An error while loading: about the backup, or about the server. */
function judged(error: unknown): unknown {
  if (wasLost(error)) return error
  if (isServerError(error)) return ofServer.test(error.code) ? serverFailed(error) : new NotAsBackedUp(said(error))
  if (error instanceof AppError && error.kind === 'refused') return error.with({ hint: loginHint })
  if (!hasReason(error, 'load-failed')) return error
  const detail = /^ *DETAIL: +(.*)/.exec(error.excerpt ?? '')?.[1]
  return new NotAsBackedUp(detail === undefined ? error.message : `${error.message}: ${detail}`)
}

const loginHint =
  'pg_hba.conf of that server must allow logins with a password, for example with `host all all samenet scram-sha-256`'

const said = ({ message, detail }: ServerError) => (detail ? `${message}: ${detail}` : message)

const byServer = (error: unknown): never => {
  throw isServerError(error) && !wasLost(error) ? serverFailed(error) : error
}

const serverFailed = (error: ServerError) =>
  new AppError(error.code === '42501' ? 'refused' : 'restore', `the backup could not be tried: ${said(error)}`, {
    hint:
      error.code === '42501'
        ? 'set backup.verify.url to a superuser of another server, where the backup is loaded by a login without rights'
        : (error.hint ?? 'look at the log of that server'),
    sqlstate: error.code,
    cause: error,
  })

type Named = Pick<TrialOptions, 'what' | 'timeoutMs'>

const lost = (cause: unknown, { what = 'test restore' }: Named) =>
  new AppError('unreachable', `the connection was lost during the ${what}`, {
    hint: 'run it again once that server is back: what is left of it is removed then',
    cause,
  })

const tooLong = ({ what = 'test restore', timeoutMs }: Named) =>
  new AppError('restore', `the ${what} took longer than backup.timeout (${renderDuration(timeoutMs)})`, {
    hint: 'raise backup.timeout, or set backup.verify.url to a faster server',
  })

/** Null if the server does not tell. */
async function readWal({ sql }: Session): Promise<string | null> {
  const [row] = await sql.unsafe<{ lsn: string | null }[]>(
    `select case when pg_catalog.has_function_privilege('pg_catalog.pg_current_wal_lsn()', 'execute') then pg_catalog.pg_current_wal_lsn() end::text as lsn`,
  )
  return row?.lsn ?? null
}

async function readWalSince({ sql }: Session, since: string): Promise<number> {
  const [row] = await sql.unsafe<{ bytes: string }[]>(
    `select pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), '${since}')::text as bytes`,
  )
  return Number(row!.bytes)
}

/** For people: `12 rows in 3 tables, 12 of them with their contents`. */
export const renderCompared = ({ rowsCompared, tablesCompared, rowsSampled }: Compared) =>
  `${counted(rowsCompared, 'row')} in ${counted(tablesCompared, 'table')}, ${rowsSampled} of them with their contents`
