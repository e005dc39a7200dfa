import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Catalog } from '../archive/catalog-type.ts'
import { openStore } from '../archive/open.ts'
import { delayMs } from '../backup/jitter.ts'
import { nextSlot, type Schedule } from '../backup/schedule.ts'
import {
  backupConditionNames,
  backupConditions,
  type StorePlace,
  storeConditionNames,
  storeConditions,
} from '../check/backup-conditions.ts'
import type { Condition } from '../check/condition-catalogue.ts'
import { readKeys, readSecrets } from '../config/keys.ts'
import { resolveBackupConnection } from '../config/resolve.ts'
import { resolveServeAccess, type ServeAccess } from '../config/serve-access.ts'
import { isPattern } from '../config/wildcards.ts'
import type { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import { isDone } from '../migrate/plan/verify.ts'
import type { Context, Result } from '../run/context.ts'
import { asAppError } from '../run/failure.ts'
import type { Store } from '../store/store.ts'
import { renderDuration } from '../units.ts'
import { databaseList } from '../up/backup-databases.ts'
import { checkBackupFiles, notPersistent, schedulesOf, testScheduleOf } from '../up/backups.ts'
import type { MigrateStep } from '../up/migrate.ts'
import { testConnection } from '../up/test-restore.ts'
import { runUp } from '../up/up.ts'
import { askBeside } from './beside.ts'
import { watchClient } from './client.ts'
import { replaceConditions } from './conditions.ts'
import { createCopying } from './copying.ts'
import { watchDatabaseHealth } from './database-conditions.ts'
import { watchDatabases } from './databases.ts'
import { createExpiry } from './expiry.ts'
import { type Look, watchDeclared } from './look.ts'
import { watchMemory } from './memory.ts'
import { type Counts, type Measured, noCounts } from './metrics/facts.ts'
import { asJob, lastWords } from './notify/job.ts'
import { startNotifier } from './notify/notifier.ts'
import { type Target, targetsOf } from './notify/targets.ts'
import { catalogOf, scheduledTests, scheduledWork } from './on-schedule.ts'
import { createOverview } from './overview.ts'
import { answerFrom, type Probe } from './probe.ts'
import { watchReadiness } from './readiness.ts'
import { createRotation, type Rotation } from './rotate.ts'
import { scheduledCopies } from './scheduled-copies.ts'
import { startScheduler } from './scheduler.ts'
import { type Answers, type Listening, listen, parseListen, renderPlace } from './server.ts'
import { livez, newBackupState, type ProbeAnswer, type ServeState, startupz, statusDocument } from './state.ts'
import { createTestScheduler } from './test-scheduler.ts'
import { verdictIn } from './verdict.ts'
import { type FileWatch, watchFiles } from './watch-files.ts'
import { watchServer } from './watch-server.ts'

/**
 * Makes the database ready, unless told not to, then makes backups on schedule and answers over HTTP until it is told to stop.
 * @param up false with `--no-up`
 */
export async function runDaemon(context: Context, { up }: { up: boolean }): Promise<Result> {
  const { loaded, log, signal } = context
  const state = initialState(context, up)
  const schedules = await schedulesOf(loaded)
  // Report problems with the configuration of backups and access before anything is changed.
  const store = openStore(loaded, signal)
  readSecrets(loaded.config, loaded.env, loaded.baseDir)
  if (schedules.length > 0) checkBackupFiles(loaded)
  else resolveBackupConnection(loaded.config, loaded.env, loaded.baseDir)
  const testSchedule = await testScheduleOf(loaded)
  if (testSchedule) testConnection(loaded)
  if (schedules.length > 0 || testSchedule) readKeys(loaded.config, loaded.env, loaded.baseDir)
  const access = accessOf(context)
  const rotation = await createRotation(context, state)
  const files = watchFiles(context, state, { migrations: up })
  await files.note()
  const targets = targetsOf(loaded)
  const catalog = catalogOf(context, store)
  const metrics = { counts: noCounts(), measured: {}, known: catalog.known, pgClient: undefined } as MetricSources
  const probe = watchReadiness(context, state, watchDatabaseHealth(state, log), (step) => {
    metrics.measured.migrations = step && migrationFacts(step)
  })
  const overview = createOverview(context, state, catalog)
  const answers: Answers = {
    livez: () => livez(state, performance.now()),
    startupz: () => startupz(state),
    readyz: async () => (await readyNow(state, probe)).health,
    status: async () => {
      const { health, ageMs } = await readyNow(state, probe)
      return statusDocument(state, health, ageMs, verdictIn(state))
    },
    async page() {
      const { pageAnswer } = await import('./page/answer.ts')
      return pageAnswer(overview())
    },
    async metrics() {
      const { answerMetrics } = await import('./metrics/answer.ts')
      const { health } = await readyNow(state, probe)
      return answerMetrics(context, { state, health, schedules, testSchedule, ...metrics })
    },
  }
  const place = parseListen(loaded.config.serve.listen, !loaded.origins.has('serve.listen'))
  const http = await listen(place, answers, { access, hosts: loaded.config.serve.hosts }, log)
  log.info({ address: renderPlace(http) }, 'listening')
  const notifier = startNotifier(context, state, {
    targets,
    store: schedules.length > 0 ? store : undefined,
    onFailure({ as }) {
      const { notifyFailures } = metrics.counts
      notifyFailures.set(as, (notifyFailures.get(as) ?? 0) + 1)
    },
  })
  for (const { as } of targets) metrics.counts.notifyFailures.set(as, 0)
  try {
    const failure = up ? await makeReady(context, state, { rotation, files, targets }) : undefined
    await probe.again()
    if (failure && loaded.config.serve.onUpFailure === 'exit') {
      await notifier.stop({ finish: true })
      return failure
    }
    if (signal.aborted) return stopped(state)
    tellSchedules(context, schedules)
    if (testSchedule)
      log.info(
        { at: nextSlot(testSchedule.cron, testSchedule.zone, new Date())?.toISOString() },
        'the next scheduled test restore',
      )
    await stay(context, state, probe, { schedules, testSchedule }, catalog, { rotation, files, targets, metrics })
    return stopped(state)
  } finally {
    await Promise.all([notifier.stop(), lastWords()])
    await shutDown(http, state)
  }
}

/** Answers from what is known, so that no request waits for the database. */
async function readyNow(state: ServeState, probe: Probe): Promise<{ health: ProbeAnswer; ageMs: number | null }> {
  if (state.phase === 'stopping') return { health: { ok: false, text: 'stopping' }, ageMs: null }
  const known = await probe.known()
  const now = performance.now()
  return { health: answerFrom(known, now), ageMs: known ? now - known.atMs : null }
}

function accessOf({ loaded: { config, env, baseDir }, out }: Context): ServeAccess {
  const { access, token } = config.serve
  if (token && access !== 'token')
    out.warn(`serve.token is set, but nobody is asked for it, because serve.access is ${access}`)
  return resolveServeAccess(config, env, baseDir)
}

function initialState({ loaded, version }: Context, upWanted: boolean): ServeState {
  return {
    version,
    startedAt: new Date().toISOString(),
    phase: 'starting',
    up: null,
    upWanted,
    tickedAtMs: performance.now(),
    backups: databaseList({ loaded })
      .filter((name) => !isPattern(name))
      .map(newBackupState),
    conditions: [],
    looked: new Set(),
  }
}

/** What metrics are made from, besides the state. */
type MetricSources = {
  counts: Counts
  measured: Measured
  known: Catalog['known'] | undefined
  pgClient: string | undefined
}

const migrationFacts = ({ history, plan }: MigrateStep): NonNullable<Measured['migrations']> => {
  const done = history.applied.filter(isDone)
  const instants = done.flatMap(({ appliedAt }) => appliedAt ?? []).sort()
  return { applied: done.length, pending: plan.steps.length, lastAppliedAt: instants.at(-1) }
}

/** They are told what `up` has read and set. */
type Watchers = { rotation: Rotation; files: FileWatch; targets: readonly Target[] }

/** Does what `up` does. A failure is returned as the result that `serve` ends with, unless `serve.onUpFailure` is `stay`. */
async function makeReady(
  context: Context,
  state: ServeState,
  { rotation, files, targets }: Watchers,
): Promise<Result | undefined> {
  const { signal, log, loaded } = context
  const note = (failed: Condition[]) =>
    replaceConditions(state, ['up-failed'], failed, { log, now: new Date(), told: ['up-failed'] })
  try {
    await files.note()
    await asJob(context, targets, 'up', () => runUp(context, { onReady: rotation.noteUp }))
    state.up = { ok: true, finishedAt: new Date().toISOString(), error: null }
    note([])
    return undefined
  } catch (error) {
    if (signal.aborted) return undefined
    const failure = asAppError(error)
    const since = state.conditions.find(({ name }) => name === 'up-failed')?.since ?? new Date().toISOString()
    state.up = {
      ok: false,
      finishedAt: new Date().toISOString(),
      error: failure.message,
      exitCode: failure.exitCode,
    }
    note([upFailed(failure, since)])
    if (loaded.config.serve.onUpFailure === 'stay')
      log.error({ kind: failure.kind, ...(failure.hint && { hint: failure.hint }) }, failure.message)
    return { fields: {}, failure }
  }
}

const upFailed = ({ message, hint }: AppError, since: string): Condition => ({
  ...{ name: 'up-failed', severity: 'error', roles: [], message: `up failed: ${message}`, since },
  hint: hint ?? 'run `pgbosun up` to see more',
})

/** A backup that was stopped cleans up, and gives up what hangs there, within seconds. */
const afterTimeoutMs = 60_000

type TestSchedule = Awaited<ReturnType<typeof testScheduleOf>>

/** Whether there will be backups, and when. */
function tellSchedules({ loaded, log }: Context, schedules: Schedule[]): void {
  if (schedules.length === 0) log.info('backup.schedule is not set: there will be no backups')
  const { jitter } = loaded.config.backup
  for (const { name, cron, zone, jitterMs } of schedules) {
    const which = name === '' ? {} : { schedule: name }
    log.info({ ...which, at: nextSlot(cron, zone, new Date())?.toISOString() }, 'the next scheduled backup')
    if (jitterMs < jitter)
      log.warn(
        { ...which, jitter: renderDuration(jitter), shortened_to: renderDuration(jitterMs) },
        'backup.jitter is longer than the time between two slots, so it is shortened',
      )
  }
}

/** Makes backups on schedule until told to stop; retries `up` until it succeeds. */
async function stay(
  context: Context,
  state: ServeState,
  probe: Probe,
  { schedules, testSchedule }: { schedules: Schedule[]; testSchedule: TestSchedule },
  catalog: Catalog,
  { metrics, ...watchers }: Watchers & { metrics: MetricSources },
): Promise<void> {
  const { loaded, log, signal } = context
  const { config } = loaded
  state.phase = state.up?.ok === false ? 'up-failed' : 'serving'
  const { store } = catalog
  if (schedules.length > 0) noteStore(context, state, store)
  const onLook = () => noteBackups(state, log)
  const client =
    schedules.length > 0
      ? watchClient(context, state, (version) => {
          metrics.pgClient = version
        })
      : undefined
  client?.turn()
  const memory = watchMemory()
  memory.turn()
  const databases = watchDatabases(context, state, watchers.rotation)
  await databases.refresh()
  const tests = createTestScheduler({
    schedule: testSchedule,
    where: config.backup.verify.where,
    timeoutMs: config.backup.timeout,
    backups: databases.active,
    ...scheduledTests(context, catalog, (work) => asJob(context, watchers.targets, 'restore-test', work)),
    onLook,
    now: () => new Date(),
    log,
    signal,
  })
  const copying = createCopying({
    backups: databases.active,
    ...scheduledCopies(context, catalog),
    nowMs: () => performance.now(),
    log,
    signal,
  })
  const about = (database: string) => state.backups.filter((backup) => backup.database === database)
  const scheduler = startScheduler({
    schedules,
    retries: config.backup.retries,
    delayOf: (database, { name, jitterMs }, slot) =>
      delayMs(slot, jitterMs, [config.backup.name, name, database, hostname()]),
    backups: databases.active,
    ...databases.among(
      scheduledWork(context, catalog, watchers.rotation, {
        asJob: (work) => asJob(context, watchers.targets, 'backup', work),
        onPruned(database, refusal) {
          for (const backup of about(database)) backup.pruneRefused = refusal
        },
        counts: metrics.counts,
        onProgress(database, progress) {
          for (const backup of about(database)) backup.progress = progress
        },
      }),
    ),
    longestMs: config.wait.timeout + config.lock.timeout + config.backup.timeout + afterTimeoutMs,
    storeName: store.name,
    maxAgeMs: config.check.backupMaxAge,
    onTick: () => {
      state.tickedAtMs = performance.now()
    },
    onLook() {
      onLook()
      client?.turn()
      tests.turn()
      if (schedules.length > 0) copying.turn()
      memory.turn()
    },
    now: () => new Date(),
    log,
    signal,
  })
  const look =
    state.upWanted && context.isTarget()
      ? watchDeclared(context, state, { rotation: watchers.rotation, before: createExpiry(context, catalog) })
      : undefined
  const stopRefreshing = databases.watch(() => scheduler.turn())
  const stopWatching = watchServer(context, state, { probe, catalog, measured: metrics.measured })
  try {
    watchers.rotation.watch()
    watchers.files.watch()
    await upAgain(context, state, probe, watchers, look)
    await untilAborted(signal)
    log.info('stopping: a running backup or test restore is ended first')
  } finally {
    state.phase = 'stopping'
    stopRefreshing()
    stopWatching()
    memory.stop()
    await Promise.all([scheduler.stop(), tests.stop(), copying.stop(), look?.stop()])
  }
}

/** Whoever makes them logs why they failed. */
const told = ['backup-failed', 'store-unreadable', 'restore-test-failed'] as const

function noteBackups(state: ServeState, log: Log): void {
  const now = new Date()
  const after = backupConditions(state.backups, state.conditions, now.toISOString())
  replaceConditions(state, backupConditionNames, after, { log, now, told })
}

/** Without a schedule nothing is written to the store. What the server tells about its data comes later, if it does. */
function noteStore(context: Context, state: ServeState, store: Store): void {
  const { log } = context
  const gone = notPersistent(store)
  const note = (place: StorePlace) => {
    const now = new Date()
    replaceConditions(state, storeConditionNames, storeConditions(place, now.toISOString()), { log, now })
  }
  note({ notPersistent: gone })
  void askBeside(context, store).then((beside) => beside !== undefined && note({ notPersistent: gone, beside }))
}

const firstRetryMs = 10_000
const longestRetryMs = 300_000

async function upAgain(
  context: Context,
  state: ServeState,
  probe: Probe,
  watchers: Watchers,
  look?: Look,
): Promise<void> {
  for (
    let pause = firstRetryMs;
    state.up?.ok === false && !context.signal.aborted;
    pause = Math.min(pause * 2, longestRetryMs)
  ) {
    await sleep(pause, undefined, { signal: context.signal }).catch(() => {})
    if (context.signal.aborted) return
    await makeReady(context, state, watchers)
    if (!state.up?.ok) continue
    state.phase = 'serving'
    look?.again()
    await probe.again()
  }
}

const untilAborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    if (signal.aborted) return resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })

/** The result after it was told to stop: exit 0. */
function stopped(state: ServeState): Result {
  state.phase = 'stopping'
  return { fields: { stopped: true }, exitCode: 0 }
}

async function shutDown(http: Listening, state: ServeState): Promise<void> {
  state.phase = 'stopping'
  await http.close()
}
