import { type Backup, readBackup } from '../archive/backup.ts'
import type { Manifest, Series } from '../archive/manifest.ts'
import { at, type Connection } from '../config/connection.ts'
import { AppError, hasReason } from '../errors.ts'
import type { Log } from '../log.ts'
import { startHeartbeat } from '../postgres/heartbeat.ts'
import { takeBackupLock } from '../postgres/lock.ts'
import { isConnectionLost, isConnectionLostError } from '../postgres/lost.ts'
import { isPoolerError } from '../postgres/pooler.ts'
import { retryWhenLost } from '../postgres/retry.ts'
import { isServerError } from '../postgres/server-error.ts'
import type { Session } from '../postgres/session.ts'
import { readSystemIdentifier } from '../postgres/system.ts'
import { openWhenReady } from '../postgres/wait.ts'
import { quoteIdent } from '../sql/quote.ts'
import { visibleSql } from '../text.ts'
import { renderDuration } from '../units.ts'
import { claimOrWait } from './claim.ts'
import { makeBackup, newId } from './make.ts'
import type { BackupOptions } from './options.ts'
import type { Room } from './room.ts'
import { cancelledTwice, mayBeStandby, noPrimary, type Standby, type StandbyFacts, standbyAt } from './standby.ts'
import { type BackupStores, openStores } from './stores.ts'

/** A backup in the store that was read back and decoded. */
export type BackupResult = {
  id: string
  database: string
  sizeBytes: number
  durationMs: number
  manifest: Manifest
  warnings: string[]
  /** It was already made for this slot by somebody else, so nothing was done. */
  existing: boolean
  /** Names of the stores that have it. */
  stores: readonly string[]
  /** Those that do not, because they failed. */
  lost: readonly { store: string; error: AppError }[]
}

/**
 * Backs up one database: dumps it, reads it back, decodes it, and only then writes its manifest. If it fails or is stopped at any
 * point, only a record of the failure stays in the store.
 *
 * @throws {AppError} `backup`; `refused`, `unreachable` and `locked` if it could not start; the signal's reason
 */
export async function runBackup(options: BackupOptions): Promise<BackupResult> {
  const deadline = performance.now() + options.wait.timeoutMs
  const found = await retryWhenLost({ ...options, deadline }, () => openAndLook(options, deadline))
  const { lock, connection, systemIdentifier, isStandby } = found
  try {
    refuseOther(options, systemIdentifier)
    return await withinTime(options, lock, (signal) => {
      const standby = isStandby
        ? standbyAt(connection, { ...options, maxLagMs: options.maxLagMs ?? 0, primary: lock.sql, signal })
        : undefined
      return backUp({ ...options, connection, standby, signal }, lock, systemIdentifier)
    })
  } finally {
    await lock.end()
  }
}

/** System identifier of a server that does not tell its own. */
const unknownSystem = '0'

/** Where the backup is made, and a session that holds its lock: on the primary, where that is another server. */
type Opened = { lock: Session; connection: Connection; systemIdentifier: string; isStandby: boolean }

async function openAndLook(options: BackupOptions, deadline: number): Promise<Opened> {
  const { connection, primary } = options
  const first = await openLocked(options, deadline, { allowStandby: mayBeStandby(connection, primary) })
  const found = await identified(first, connection)
  if (!first.inRecovery) return { ...found, isStandby: false }
  await first.end()
  // of several hosts, the primary is looked for
  const allowStandby = primary!.endpoints.length === 1
  const lock = await openLocked({ ...options, connection: primary! }, deadline, { allowStandby })
  const { systemIdentifier } = await identified(lock, primary!)
  if (!lock.inRecovery && systemIdentifier === found.systemIdentifier) return { ...found, lock, isStandby: true }
  await lock.end()
  throw noPrimary(lock.inRecovery ? 'so does the URL of the database' : 'the URL of the database to another server')
}

async function identified(lock: Session, connection: Connection): Promise<Omit<Opened, 'isStandby'>> {
  try {
    const systemIdentifier = (await readSystemIdentifier(lock.sql)) ?? unknownSystem
    return { lock, connection: at(connection, lock), systemIdentifier }
  } catch (error) {
    await lock.end()
    throw error
  }
}

/** @throws {AppError} `backup` if `backup.url` leads to another server than the one to back up */
function refuseOther({ systemIdentifier, database }: BackupOptions, found: string): void {
  if (systemIdentifier !== undefined && systemIdentifier !== found)
    throw new AppError('backup', `backup.url leads to another server, which may have another database ${database}`, {
      hint: 'set backup.url to the server of the target database',
    })
}

async function backUp(options: MadeOptions, lock: Session, systemIdentifier: string): Promise<BackupResult> {
  const { database, slot, signal, name, schedule, kind = 'logical' } = options
  const series: Series = {
    name,
    ...(kind === 'logical' && schedule && { schedule }),
    system_identifier: systemIdentifier,
    database,
    kind,
  }
  const stores = openStores(options)
  let earlier: Backup[] = []
  const made = async (): Promise<BackupResult | undefined> => {
    const stored = await stores.look().catch((cause) => {
      if (!signal.aborted) throw cause
      throw isOurs(signal.reason) ? stopped(database, signal.reason, cause) : signal.reason
    })
    earlier = stored.filter(isOf(series))
    const existing = slot && earlier.find((one) => one.slot?.getTime() === slot.getTime())
    const whole = existing && (await readBackup(stores.copyOf(existing), database, existing.id, options.secrets))
    if (!whole?.manifest) return undefined
    return resultOf(whole.manifest, { existing: true, stores: stores.having(existing!), lost: [] })
  }
  // the first look: stores that cannot be listed are left out from then on
  const before = await made()
  if (before) return before
  const claimed = await claimOrWait(stores.claiming(), { series, slot }, { lock, options, made })
  if ('made' in claimed) return claimed.made
  const { onStored, log } = options
  const manifest = await attempt({ ...options, stores }, lock, { series, earlier }).catch(async (error) => {
    await quietly(log, 'the slot stays claimed', () => claimed.ours.failed())
    throw error
  })
  const { having, lost } = await stores.noteMade(manifest)
  await quietly(log, 'claims of earlier slots stay', () => claimed.ours.made())
  if (onStored) await quietly(log, 'could not note what became of the slot', () => stores.within(onStored))
  return resultOf(manifest, { existing: false, stores: having, lost })
}

const isOf = (wanted: Series) => (backup: Backup) =>
  backup.series?.name === wanted.name &&
  (backup.series.schedule ?? '') === (wanted.schedule ?? '') &&
  backup.series.kind === wanted.kind &&
  backup.series.system_identifier === wanted.system_identifier &&
  backup.series.database === wanted.database

const resultOf = (manifest: Manifest, rest: Pick<BackupResult, 'existing' | 'stores' | 'lost'>): BackupResult => ({
  id: manifest.id,
  database: manifest.database.name,
  sizeBytes: manifest.objects.reduce((sum, { size_bytes }) => sum + size_bytes, 0),
  durationMs: manifest.duration_ms,
  manifest,
  warnings: manifest.warnings,
  ...rest,
})

/** With a signal that ends with the time limit, and the standby that the backup is made of, if it is. */
type MadeOptions = BackupOptions & { standby: Standby | undefined }

/** What there is of the series, oldest first. */
type Found = { series: Series; earlier: Backup[] }

type BoundOptions = MadeOptions & { stores: BackupStores }

/** What was done before another attempt. Each is done once. */
type Done = { dropped?: boolean; room?: Room; cancelled?: boolean }

async function attempt(options: BoundOptions, lock: Session, found: Found, done: Done = {}): Promise<Manifest> {
  const { series, earlier } = found
  const systemIdentifier = series.system_identifier
  const { stores, database, log, signal, now } = options
  const startedAt = now()
  const id = newId(startedAt, systemIdentifier)
  let standby: StandbyFacts | undefined
  try {
    standby = await options.standby?.look()
    await stores.prepare({ systemIdentifier, now: startedAt })
    const remarks = done.room ? [done.room.said] : []
    const { places } = stores
    return await makeBackup({
      ...options,
      ...{ id, startedAt, series, earlier, remarks, places, standby },
      guard: lock.guard,
    })
  } catch (cause) {
    const left = await quietly(log, 'could not remove what the failed backup left behind', () => stores.remove(id))
    if (signal.aborted && !isOurs(signal.reason)) throw signal.reason
    // If the lock was lost, another backup may have removed our files: then this error is not the store's fault.
    const lost = lossOf(lock)
    const ours = lost || signal.aborted ? undefined : cause
    if (!done.dropped && hasReason(ours, 'relation-dropped')) {
      log.warn({ database, problem: ours.message }, 'trying once more, with a new snapshot')
      return attempt(options, lock, found, { ...done, dropped: true })
    }
    const cancelled = ours !== undefined && (await wasCancelled(options.standby, standby))
    if (cancelled && !done.cancelled) {
      log.warn({ database, problem: (cause as Error).message }, 'the standby has cancelled the dump: trying once more')
      return attempt(options, lock, found, { ...done, cancelled })
    }
    const room = hasReason(ours, 'store-full') ? (done.room ?? (await stores.makeRoom())) : undefined
    if (!done.room && room && room.deleted.length > 0) {
      log.warn({ database, problem: (cause as Error).message, deleted: room.deleted }, 'trying once more')
      return attempt(options, lock, found, { ...done, room })
    }
    const error =
      lost || !signal.aborted
        ? failureOf(
            database,
            lost ?? (room ? withRoom(cause as AppError, room) : cancelled ? cancelledTwice(cause) : cause),
          )
        : stopped(database, signal.reason, left)
    // Another backup is made for the slot, or it is tried again.
    if (lost && options.slot) throw error
    const failure = { id, database, schedule: series.schedule, startedAt, failedAt: now(), slot: options.slot, error }
    await quietly(log, 'could not record the failure in the store', () => stores.recordFailure(failure))
    throw error
  }
}

const withRoom = (error: AppError, { said }: Room): AppError => error.with({ message: `${error.message}; ${said}` })

/** Without an answer, the failure is what is known. */
const wasCancelled = async (standby: Standby | undefined, before: StandbyFacts | undefined) =>
  standby !== undefined && before !== undefined && (await standby.hasCancelled(before).catch(() => false))

/** The error of a lock whose session is gone. */
function lossOf({ guard }: Session): unknown {
  try {
    guard()
    return undefined
  } catch (error) {
    return error
  }
}

/** An error while cleaning up is only logged: what counts is the failure of the backup. */
async function quietly(log: Log, what: string, work: () => Promise<void>): Promise<unknown> {
  try {
    return await work()
  } catch (error) {
    log.warn({ problem: (error as Error).message }, what)
    return error
  }
}

/** The error of a backup that this file has stopped, with that of the store if it is the store that did not return. */
function stopped(database: string, reason: AppError, ofStore: unknown): AppError {
  if (!hasReason(ofStore, 'store-unreadable')) return failureOf(database, reason)
  const { message, hint } = ofStore
  return failureOf(database, reason.with({ message: `${reason.message}: ${message}`, hint, cause: ofStore }))
}

function failureOf(database: string, cause: unknown): AppError {
  const prefix = `the backup of ${database} failed`
  if (isConnectionLostError(cause) || isConnectionLost(cause))
    return new AppError('backup', `${prefix}: the connection to the database was lost`, {
      hint: 'run it again once the server is back',
      cause,
    })
  if (cause instanceof AppError) {
    const { message, kind } = cause
    if (kind === 'corrupt')
      return new AppError('backup', `${prefix}: it could not be read back: ${message}`, {
        hint: 'check the volume of the store, then run it again',
        cause,
      })
    return cause.with({ message: `${prefix}: ${message}`, cause })
  }
  const { message } = cause as Error
  if (isServerError(cause)) return new AppError('backup', `${prefix}: ${message}`, { sqlstate: cause.code, cause })
  return new AppError('failed', `${prefix}: unexpected: ${message}`, {
    hint: 'this is a bug in pgbosun: please report it, with the output of --log-level debug',
    cause,
  })
}

/** Takes the backup lock of the database on a separate session, which ends with the backup. A session at a standby has no lock. */
async function openLocked(
  { connection, database, lock, wait, command, runId, log, signal }: BackupOptions,
  deadline: number,
  { allowStandby }: { allowStandby: boolean },
): Promise<Session> {
  const base = { applicationName: `pgbosun backup ${runId}`, command, log, signal, allowStandby, ...wait }
  const session = await openWhenReady(connection, { ...base, database: lock.database, deadline }).catch(
    (error: unknown) => {
      throw noLockDatabase(error, lock.database)
    },
  )
  if (session!.inRecovery) return session!
  const stop = startHeartbeat(session!, { log })
  try {
    await takeBackupLock(session!.sql, database, { timeoutMs: lock.timeoutMs, log, signal })
    return {
      ...session!,
      async end() {
        stop()
        await session!.end()
      },
    }
  } catch (error) {
    stop()
    await session!.end()
    throw error
  }
}

function noLockDatabase(error: unknown, database: string): unknown {
  if (!(error instanceof AppError) || error.kind !== 'refused') return error
  // without a code it is about connecting, for example TLS
  if (error.sqlstate === undefined || error.sqlstate === '28P01') return error
  if (isPoolerError(error)) return error
  return error.with({
    message: `the lock database ${database} cannot be used: ${error.message}`,
    hint: `all runs on a server must take their locks in the same database: grant connect on database ${visibleSql(quoteIdent(database))} to the role of backup.url, or set lock.database`,
    cause: error,
  })
}

const longestTimer = 2 ** 31 - 1

async function withinTime<T>(
  { signal, timeoutMs }: BackupOptions,
  { lost }: Session,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController()
  // Without the lock, another backup may take what is being written for a leftover.
  void lost.then(() => late.abort(lockLost()))
  const timer = setTimeout(() => late.abort(tooLong(timeoutMs)), Math.min(timeoutMs, longestTimer))
  try {
    return await work(AbortSignal.any([signal, late.signal]))
  } finally {
    clearTimeout(timer)
  }
}

const tooLong = (timeoutMs: number) =>
  new AppError('backup', `it took longer than backup.timeout (${renderDuration(timeoutMs)})`, {
    hint: 'raise backup.timeout, or check in pg_stat_activity what it waits for',
  })

const lockLost = () =>
  new AppError('backup', 'the connection that holds the backup lock was lost', {
    hint: 'run it again once the server is back',
  })

/** Whether the backup was stopped by this file, and not by the caller. */
const isOurs = (reason: unknown): reason is AppError => reason instanceof AppError && reason.kind === 'backup'
