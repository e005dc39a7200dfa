import type { Backup } from '../archive/backup.ts'
import { openCatalog } from '../archive/catalog.ts'
import { type Catalog, partsOf } from '../archive/catalog-type.ts'
import { lacking } from '../archive/lacking.ts'
import { type DatabaseFacts, goodBackups, ofName, storedFacts } from '../backup/facts.ts'
import type { BackupOptions } from '../backup/options.ts'
import { runBackup } from '../backup/run.ts'
import { verifyBackup } from '../backup/verify.ts'
import { readKeys, readSecrets } from '../config/keys.ts'
import { renewNeeded } from '../config/needed.ts'
import { writtenSchedules } from '../config/schedules.ts'
import { AppError } from '../errors.ts'
import { ofOneKind } from '../plan.ts'
import type { Context } from '../run/context.ts'
import { withProgress } from '../run/progress.ts'
import type { Store } from '../store/store.ts'
import { megabytes, someOf } from '../units.ts'
import { backupOptions, newestFor, schedulesOf } from '../up/backups.ts'
import { testRestore } from '../up/test-restore.ts'
import { type Counts, countBackup, noCounts } from './metrics/facts.ts'
import type { Rotation } from './rotate.ts'
import { pruneOnSchedule, type Refusal } from './scheduled-prune.ts'
import type { SchedulerOptions } from './scheduler.ts'
import { keepSlotsInEach } from './slots.ts'
import type { DumpProgress } from './state.ts'
import type { TestSchedulerOptions } from './test-scheduler.ts'

type OnPruned = (database: string, refusal: Refusal) => void

const verifyAgainMs = 7 * 86_400_000

/** What this process knows of a store. The secret that signs backups may be replaced while it runs. */
export const catalogOf = ({ loaded: { config, env, baseDir } }: Pick<Context, 'loaded'>, store: Store): Catalog =>
  openCatalog(store, () => readSecrets(config, env, baseDir))

/** Without a name, it is for the only schedule. */
type BackUp = (
  ...asked: [...Parameters<SchedulerOptions['backUp']>] | [string, Date, () => void]
) => Promise<DatabaseFacts>

/** Told how far the dump of a database is; null once it is over. */
type OnProgress = (database: string, progress: DumpProgress | null) => void

/** What becomes known while it works. */
type Told = { onPruned?: OnPruned; onProgress?: OnProgress; asJob?: AsJob; counts?: Counts }

/** Tells others that a job starts, and how it ended. */
type AsJob = <T>(work: () => Promise<T>) => Promise<T>

const untold: AsJob = (work) => work()

/** Also logs it, every 10 s. */
async function withNotes<T>(
  { log, out }: Context,
  database: string,
  note: OnProgress,
  make: (onProgress: BackupOptions['onProgress']) => Promise<T>,
): Promise<T> {
  try {
    return await withProgress({ log, out: { ...out, terminal: () => undefined } }, `MB of ${database} dumped`, (show) =>
      make((done, total, tables) => {
        note(database, { bytes: done, estimatedBytes: total, tables })
        show(megabytes(done), megabytes(total), undefined, undefined, tables)
      }),
    )
  } finally {
    note(database, null)
  }
}

/** What the scheduler does with a store. A turn lists it once; one with a backup does so again under the lock. */
export function scheduledWork(
  context: Context,
  catalog: Catalog,
  rotation: Pick<Rotation, 'loggingIn'>,
  { onPruned = () => {}, onProgress = () => {}, asJob = untold, counts = noCounts() }: Told = {},
): Pick<SchedulerOptions, 'readStore' | 'noteSlots' | 'recallSlots'> & { backUp: BackUp } {
  const { backup } = context.loaded.config
  const schedules = writtenSchedules(backup).map(({ name }) => name)
  const keeper = keepSlotsInEach(catalog, backup.name, { log: context.log, now: () => new Date() })
  const parsed = schedulesOf(context.loaded)
  const onStored = async (database: string, name: string) => {
    const schedule = (await parsed).find((one) => one.name === name)
    if (schedule) await keeper.note(database, schedule)
  }
  const factsOf = (backups: Backup[]) => {
    const facts = storedFacts(backups, backup.name, new Date(), schedules)
    const good = goodBackups(ofName(backups, backup.name), new Date())
    return { ...facts, lacking: lacking(catalog.store, newestFor(backup, good)) }
  }
  return {
    async readStore(database) {
      await renewNeeded(context.loaded, ['sign'])
      return factsOf(await catalog.glance(database))
    },
    noteSlots: keeper.note,
    recallSlots: keeper.recall,
    async backUp(database, slot, onMade, schedule = '') {
      await renewNeeded(context.loaded, ['backup', 'sign', 'identity'])
      const wanted = {
        database,
        slot,
        onMade,
        onPruned,
        onStored: () => onStored(database, schedule),
        schedule,
        counts,
      }
      await asJob(() => backUpAndTidy(context, catalog, wanted, rotation, onProgress))
      return factsOf(catalog.known(database))
    },
  }
}

/** What the scheduler of test restores does, with what the other one has read of the store. */
export function scheduledTests(
  context: Context,
  catalog: Catalog,
  asJob: AsJob = untold,
): Pick<TestSchedulerOptions, 'factsOf' | 'test'> {
  const { log, loaded } = context
  return {
    factsOf(database) {
      const backups = catalog.known(database)
      return backups.length === 0 ? undefined : storedFacts(backups, loaded.config.backup.name, new Date())
    },
    async test(backup) {
      log.info({ ...backup }, 'restoring a backup for a test')
      await renewNeeded(loaded, ['test', 'sign', 'identity'])
      const { ok, problem, durationMs, server } = await asJob(async () => {
        const { test } = await testRestore(context, backup, { store: catalog.store, catalog, lockTimeoutMs: 0 })
        return test
      })
      if (ok)
        log.info({ ...backup, duration_ms: durationMs, server }, 'the backup was restored for a test, and is good')
      else log.error({ ...backup, server, problem }, 'the backup could not be restored for a test')
    },
  }
}

type Wanted = {
  database: string
  slot: Date
  onMade(): void
  onPruned: OnPruned
  onStored(): Promise<void>
  schedule: string
  counts: Counts
}

/** Makes one scheduled backup; after a success, deletes old backups by retention, and reads an old one back again. */
async function backUpAndTidy(
  context: Context,
  catalog: Catalog,
  { database, slot, onMade, onPruned, onStored, schedule, counts }: Wanted,
  rotation: Pick<Rotation, 'loggingIn'>,
  note: OnProgress,
): Promise<void> {
  const { log } = context
  const made = await rotation
    .loggingIn(() =>
      withNotes(context, database, note, (onProgress) =>
        runBackup({
          ...backupOptions(context, catalog.store, database, schedule || undefined),
          ...{ slot, catalog, onStored, onProgress },
        }),
      ),
    )
    .catch((error) => {
      if (!context.signal.aborted) countBackup(counts, database, undefined)
      throw error
    })
  const { id, existing, sizeBytes, durationMs, warnings, lost } = made
  const about = { database, ...(schedule !== '' && { schedule }), id }
  onMade()
  if (existing)
    return log.info({ ...about, slot: slot.toISOString() }, 'another process has already made the backup of this slot')
  countBackup(counts, database, sizeBytes)
  for (const warning of ofOneKind(warnings)) log.warn(about, someOf([warning].flat(), '; '))
  log.info(
    { ...about, size_bytes: sizeBytes, duration_ms: durationMs, slot: slot.toISOString() },
    'backed up and verified',
  )
  const usable = partsOf(catalog).filter((part) => lost.every(({ store }) => store !== part.store.name))
  await tidy(context, database, () =>
    pruneOnSchedule(context, { catalog, usable }, database, onPruned, (deleted) => {
      counts.pruned += deleted
    }),
  )
  for (const part of usable) await tidy(context, database, () => verifyOldest(context, part, database))
}

/** What is refused or fails after a backup is only logged, because the backup itself is good. */
async function tidy({ log, signal }: Context, database: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!(error instanceof AppError) || signal.aborted) throw error
    log.error({ database, ...(error.hint && { hint: error.hint }) }, `after the backup: ${error.message}`)
  }
}

/** Against decay of the media: reads back the backup with the oldest verification, if that is more than a week old. */
async function verifyOldest({ loaded, log, signal }: Context, catalog: Catalog, database: string): Promise<void> {
  const backups = catalog.known(database).filter(({ problem }) => problem === undefined)
  const verifiedAt = (backup: (typeof backups)[number]) => backup.verification?.at.getTime() ?? 0
  const [oldest] = backups.sort((a, b) => verifiedAt(a) - verifiedAt(b))
  if (!oldest || Date.now() - verifiedAt(oldest) < verifyAgainMs) return
  const { id, ok, problem, level, unopened } = await verifyBackup(catalog.store, oldest, {
    search: { path: loaded.env.PATH },
    keys: readKeys(loaded.config, loaded.env, loaded.baseDir),
    log,
    signal,
    now: () => new Date(),
    onNoted: (verification) => catalog.noteVerification(oldest, verification),
  })
  if (ok) log.info({ database, id, verified: level }, 'an older backup was read back and is good')
  else if (unopened) log.warn({ database, id }, 'an older backup is as it was written, but no identity opens it')
  else log.error({ database, id, problem }, 'an older backup is damaged')
}
