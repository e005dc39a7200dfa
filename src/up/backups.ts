import type { Backup } from '../archive/backup.ts'
import { readBackups } from '../archive/catalog.ts'
import { lacking } from '../archive/lacking.ts'
import { isMarked } from '../archive/marker.ts'
import { openStore } from '../archive/open.ts'
import { eachOf } from '../archive/several.ts'
import { type SlotsFile, slotsOf, until } from '../archive/slot-records.ts'
import { noSlots, readSlots } from '../archive/slots.ts'
import { goodBackups, ofName, ofSchedule, type SeriesFacts, seriesFacts } from '../backup/facts.ts'
import { jitterOf } from '../backup/jitter.ts'
import type { BackupOptions } from '../backup/options.ts'
import { lookBackMs, newestMissedSlot, nextSlot, type Schedule } from '../backup/schedule.ts'
import { type BackupFacts, graceMs, type ScheduleFacts } from '../check/backups.ts'
import type { Cron } from '../config/cron.ts'
import { readSecrets } from '../config/keys.ts'
import type { Loaded } from '../config/load.ts'
import { remarks, resolveBackupConnection } from '../config/resolve.ts'
import { joinedSchedule, writtenSchedules } from '../config/schedules.ts'
import type { BackupConfig } from '../config/schema.ts'
import { goesTo, storesOf } from '../config/stores.ts'
import { AppError } from '../errors.ts'
import { readMounts } from '../machine/mounts.ts'
import { checkClientFiles } from '../programs/tls-files.ts'
import type { Context } from '../run/context.ts'
import { endsWithContainer } from '../store/persistence.ts'
import type { Store } from '../store/store.ts'
import { databasesToCheck, firstFailureAt } from './check-databases.ts'
import { primaryOf } from './primary.ts'

/**
 * The options of a backup, without its slot.
 * @param schedule whose series it joins; default: that of the first
 */
export function backupOptions(
  context: Context,
  store: Store,
  database: string,
  schedule?: string,
): Omit<BackupOptions, 'slot'> {
  const { command, loaded, runId, version, log, signal, out } = context
  const { config, env, baseDir } = loaded
  const connection = resolveBackupConnection(config, env, baseDir)
  for (const remark of remarks(connection)) out.warn(remark)
  const joined = joinedSchedule(config.backup, schedule)
  return {
    connection,
    database,
    primary: primaryOf(context),
    maxLagMs: config.backup.maxLag,
    store,
    name: config.backup.name,
    schedule: joined,
    goesTo: storesOf(config.backup).map((place) => goesTo(config.backup, joined, place)),
    environment: config.environment,
    retention: config.backup,
    keepIn: storesOf(config.backup).map(({ keep }) => keep),
    recipients: config.backup.encrypt?.recipients ?? [],
    globals: config.backup.globals,
    secrets: readSecrets(config, env, baseDir),
    lock: { database: config.lock.database, timeoutMs: config.lock.timeout },
    wait: { timeoutMs: config.wait.timeout, patient: config.wait.patient },
    exclude: config.backup.exclude,
    counts: config.backup.counts,
    timeoutMs: config.backup.timeout,
    search: { path: env.PATH },
    command,
    runId,
    toolVersion: version,
    log,
    signal,
    now: () => new Date(),
  }
}

/** Checks before any work that the files for pg_dump can be written. @throws {AppError} `usage` */
export const checkBackupFiles = ({ config, env, baseDir }: Loaded): void =>
  checkClientFiles(resolveBackupConnection(config, env, baseDir))

/** The schedules of the configuration; node-cron is loaded only where there is one. */
export async function schedulesOf({ config: { backup } }: Loaded): Promise<Schedule[]> {
  const schedules: Schedule[] = []
  for (const { name, schedule: text } of writtenSchedules(backup)) {
    const { cron, zone } = (await parsed(text, backup.timezone))!
    schedules.push({ name, text, cron, zone, jitterMs: jitterOf(cron, backup.jitter) })
  }
  return schedules
}

/** That of test restores. */
export const testScheduleOf = ({ config }: Loaded) => parsed(config.backup.verify.schedule, config.backup.timezone)

async function parsed(schedule: string | undefined, zone: string): Promise<{ cron: Cron; zone: string } | undefined> {
  if (schedule === undefined) return undefined
  const { parseCron } = await import('../config/cron.ts')
  const cron = parseCron(schedule)
  if (typeof cron === 'string') throw new Error(`the schedule ${schedule} ${cron}`)
  return { cron, zone }
}

/** What `check` and `status` judge backups by; undefined when there are none and neither a schedule nor a limit asks for any. */
export async function backupFacts(
  context: Context,
  now: Date,
  since: Date | undefined,
): Promise<BackupFacts[] | undefined> {
  const { loaded, signal } = context
  const { config, env, baseDir } = loaded
  const schedules = await schedulesOf(loaded)
  const testSchedule = await testScheduleOf(loaded)
  const { timeout } = config.backup
  const asked = schedules.length > 0 || config.check.backupMaxAge !== undefined
  const store = openStore(loaded, signal)
  const secrets = readSecrets(config, env, baseDir)
  const facts: BackupFacts[] = []
  const free = asked ? await freeIn(store) : undefined
  for (const { database, matched, ended, unknown } of await databasesToCheck(context, store)) {
    const { backups, unreadable } =
      unknown === undefined
        ? await readable(() => readBackups(store, database, secrets))
        : { backups: [], unreadable: unknown }
    const named = ofName(backups, config.backup.name)
    const found = seriesFacts(named, now)
    const { newest, first, lastVerifiedAt, restoreTest, damaged, fromFuture, decryptions, conflicts } = found
    const { damagedAt, shrank } = found
    if (ended && !newest) continue
    const maybeNew = matched && database !== targetOf(context)
    const ofEach = schedules.map((schedule) => seriesFacts(ofSchedule(named, schedule.name), now))
    const isComplete = first && ofEach.every((facts) => facts.first)
    const failedAt =
      maybeNew && !isComplete && unreadable === undefined ? await firstFailureAt(store, database) : undefined
    // how old the target is says nothing of the others
    const known = maybeNew ? earlier(first?.takenAt, failedAt) : since
    const recorded = schedules.length > 0 && unreadable === undefined ? await readRecorded(store, database) : noSlots
    const slots = schedules.map((schedule, i) => ({
      ...slotFacts(schedule, ofEach[i]!, { now, since: known }),
      slots: slotsOf(until(recorded, now), config.backup.name, schedule.name).slots,
    }))
    facts.push({
      database,
      store: store.name,
      stores: eachOf(store).map(({ name }) => name),
      free,
      ended,
      maybeNew: maybeNew && known === undefined,
      unreadable,
      notPersistent: notPersistent(store, newest?.stores),
      lacking: lacking(store, newestFor(config.backup, goodBackups(named, now))),
      marked: backups.length === 0 && unreadable === undefined ? await isMarked(store) : undefined,
      damaged,
      damagedAt,
      shrank,
      firstAt: first?.takenAt,
      listed: named,
      fromFuture,
      decryptions: ended ? undefined : decryptions,
      conflicts,
      unproven: backups.filter(({ unproven }) => unproven).map(({ id }) => id),
      newest: newest && factOf(newest),
      lastVerifiedAt,
      newestSlot: undefined,
      nextRunAt: ended
        ? undefined
        : slots.flatMap(({ nextRunAt }) => nextRunAt ?? []).reduce<Date | undefined>(earlier, undefined),
      since: earlier(known, first?.takenAt),
      ...(slots.length > 0 && !ended && { schedules: slots }),
      restoreTests: ended
        ? undefined
        : {
            last: restoreTest,
            newestSlot: testSchedule && passedSlot(testSchedule, now, graceMs + timeout),
            since: first?.takenAt,
          },
    })
  }
  return asked || facts.some(({ newest }) => newest) ? facts : undefined
}

/** Of good backups, oldest first, the newest of those that go to each of the stores. */
export const newestFor = (backup: BackupConfig, good: readonly Backup[]) => {
  const places = storesOf(backup)
  return (index: number) => good.findLast(({ series }) => goesTo(backup, series?.schedule, places[index]!))
}

/**
 * Why backups in a store, or in one of several, end with this container; undefined where they do not.
 * @param only of those with these names
 */
export const notPersistent = (store: Store, only?: readonly string[]): string | undefined => {
  const mounts = readMounts()
  return eachOf(store)
    .filter(({ name }) => only === undefined || only.includes(name))
    .map(({ name }) => endsWithContainer(name, mounts))
    .find((problem) => problem !== undefined)
}

/** What became of the slots, as far as one of the stores tells. It is for people: nothing is lost where none does. */
async function readRecorded(store: Store, database: string): Promise<SlotsFile> {
  for (const one of eachOf(store)) {
    const { file } = await readSlots(one, database).catch(() => ({ file: noSlots }))
    if (file.series.length > 0) return file
  }
  return noSlots
}

/** Undefined where only backups are configured. */
function targetOf(context: Context): string | undefined {
  try {
    return context.connection().database
  } catch (error) {
    if (!(error instanceof AppError) || error.kind !== 'usage') throw error
    return undefined
  }
}

const factOf = ({ id, takenAt, slot, sizeBytes }: Backup) => ({ id, startedAt: takenAt, slot, sizeBytes })

/** Of folders only: other stores do not know, or have to be paid for the answer. */
const freeIn = (store: Store) =>
  Promise.all(
    eachOf(store)
      .filter(({ name }) => name.startsWith('file:'))
      .map(async (one) => ({ name: one.name, freeBytes: await one.freeBytes().catch(() => undefined) })),
  )

/** The newest slot that was so long ago that it must be over by now. */
const passedSlot = ({ cron, zone }: Pick<Schedule, 'cron' | 'zone'>, now: Date, withinMs: number) => {
  const dueAt = new Date(now.getTime() - withinMs)
  return newestMissedSlot(cron, zone, new Date(dueAt.getTime() - lookBackMs), dueAt)
}

const slotFacts = (
  schedule: Schedule,
  { newest, first }: SeriesFacts,
  { now, since }: { now: Date; since: Date | undefined },
): ScheduleFacts => ({
  name: schedule.name,
  newest: newest && factOf(newest),
  newestSlot: passedSlot(schedule, now, graceMs + schedule.jitterMs),
  nextRunAt: nextSlot(schedule.cron, schedule.zone, now),
  since: earlier(since, first?.takenAt),
})

export const earlier = (one: Date | undefined, other: Date | undefined) =>
  one && other ? (one < other ? one : other) : (one ?? other)

/** A store that cannot be read is reported; it does not end the command. */
async function readable(read: () => Promise<Backup[]>): Promise<{ backups: Backup[]; unreadable?: string }> {
  try {
    return { backups: await read() }
  } catch (error) {
    if (!(error instanceof AppError) || error.kind !== 'backup') throw error
    return { backups: [], unreadable: error.message }
  }
}
