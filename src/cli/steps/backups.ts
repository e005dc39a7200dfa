import { type Backup, readBackups } from '../../archive/catalog.ts'
import { openStore } from '../../archive/open.ts'
import type { Store } from '../../archive/store.ts'
import type { BackupOptions } from '../../backup/run.ts'
import { newestMissedSlot, nextSlot } from '../../backup/schedule.ts'
import type { BackupFacts } from '../../check/backups.ts'
import { backupDatabases, resolveBackupConnection } from '../../config/connection.ts'
import type { Cron } from '../../config/cron.ts'
import type { Loaded } from '../../config/load.ts'
import { AppError } from '../../errors.ts'
import type { StoredFacts } from '../../serve/scheduler.ts'
import type { Context } from '../command.ts'

/** What a backup is told, but for its slot. */
export function backupOptions(context: Context, store: Store, database: string): Omit<BackupOptions, 'slot'> {
  const { loaded, runId, version, log, signal } = context
  const { config, env, baseDir } = loaded
  return {
    connection: resolveBackupConnection(config, env, baseDir),
    database,
    store,
    name: config.backup.name,
    lock: { database: config.lock.database, timeoutMs: config.lock.timeout },
    wait: { timeoutMs: config.wait.timeout, patient: config.wait.patient },
    timeoutMs: config.backup.timeout,
    search: { path: env.PATH },
    runId,
    toolVersion: version,
    log,
    signal,
    now: () => new Date(),
  }
}

/** The schedule of the configuration; node-cron is loaded only where there is one. */
export async function scheduleOf({ config }: Loaded): Promise<{ cron: Cron; zone: string } | undefined> {
  const { schedule, timezone } = config.backup
  if (schedule === undefined) return undefined
  const { parseCron } = await import('../../config/cron.ts')
  const cron = parseCron(schedule)
  if (typeof cron === 'string') throw new Error(`backup.schedule ${cron}`)
  return { cron, zone: timezone }
}

/** Backups of our series that can be read, oldest first. */
const ofSeries = async (store: Store, database: string, name: string): Promise<Backup[]> =>
  (await readBackups(store, database)).filter(({ manifest }) => manifest?.series.name === name)

/** Not known to be damaged, and not from the future of a clock that was wrong. */
function good(backups: Backup[], now: Date): Backup[] {
  const soonMs = 5 * 60_000
  return backups.filter(
    ({ verification, startedAt }) => verification?.ok !== false && startedAt.getTime() <= now.getTime() + soonMs,
  )
}

const slotOf = ({ manifest }: Backup) => (manifest?.slot == null ? null : new Date(manifest.slot))

/** What the scheduler needs of the store. */
export async function storedFacts(store: Store, database: string, name: string, now: Date): Promise<StoredFacts> {
  const usable = good(await ofSeries(store, database, name), now)
  const covered = usable.map((backup) => Math.max(backup.startedAt.getTime(), slotOf(backup)?.getTime() ?? 0))
  const verified = usable.flatMap(({ verification }) => (verification ? [verification.at.getTime()] : []))
  return {
    covered: covered.length > 0 ? new Date(Math.max(...covered)) : undefined,
    lastId: usable.at(-1)?.id,
    lastSuccessAt: usable.at(-1)?.startedAt,
    lastVerifiedAt: verified.length > 0 ? new Date(Math.max(...verified)) : undefined,
  }
}

/** A backup has this long after its slot before `check` misses it. */
const graceMs = 3_600_000
const lookBackMs = 367 * 86_400_000

/** What `check` and `status` judge backups by; undefined where there are none, and neither a schedule nor a limit asks for any. */
export async function backupFacts(
  { config, env, baseDir, ...rest }: Loaded,
  now: Date,
  since: Date | undefined,
): Promise<BackupFacts[] | undefined> {
  const schedule = await scheduleOf({ config, env, baseDir, ...rest })
  const asked = schedule !== undefined || config.check.backupMaxAge !== undefined
  const store = openStore(config.backup)
  const facts = await Promise.all(
    backupDatabases(config, env, baseDir).map(async (database) => {
      const { backups, unreadable } = await readable(() => ofSeries(store, database, config.backup.name))
      const usable = good(backups, now)
      const newest = usable.at(-1)
      const verified = usable.flatMap(({ verification }) => (verification ? [verification.at.getTime()] : []))
      const [first] = [since, usable[0]?.startedAt]
        .filter((instant) => instant !== undefined)
        .sort((a, b) => a.getTime() - b.getTime())
      return {
        database,
        unreadable,
        damaged: backups.filter(({ verification }) => verification?.ok === false).map(({ id }) => id),
        newest: newest && { id: newest.id, startedAt: newest.startedAt, slot: slotOf(newest) },
        lastVerifiedAt: verified.length > 0 ? new Date(Math.max(...verified)) : undefined,
        newestSlot:
          schedule &&
          newestMissedSlot(
            schedule.cron,
            schedule.zone,
            new Date(now.getTime() - lookBackMs),
            new Date(now.getTime() - graceMs),
          ),
        nextRunAt: schedule && nextSlot(schedule.cron, schedule.zone, now),
        since: first,
      }
    }),
  )
  return asked || facts.some(({ newest }) => newest) ? facts : undefined
}

/** A store that cannot be read is something to tell, not the end of the command. */
async function readable(read: () => Promise<Backup[]>): Promise<{ backups: Backup[]; unreadable?: string }> {
  try {
    return { backups: await read() }
  } catch (error) {
    if (!(error instanceof AppError) || error.kind !== 'backup') throw error
    return { backups: [], unreadable: error.message }
  }
}
