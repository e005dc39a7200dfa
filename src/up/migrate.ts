import type { Format } from '../formats/format.ts'
import { openFormat } from '../formats/open.ts'
import type { Folder } from '../formats/read.ts'
import type { Migration } from '../formats/types.ts'
import type { ScriptOptions } from '../migrate/apply/options.ts'
import { refuseUnsendable } from '../migrate/apply/sendable.ts'
import { readHistory } from '../migrate/history/history.ts'
import { type HistoryTable, openHistoryTable, ownHistoryTable } from '../migrate/history/history-table.ts'
import { planMigrations, type WantedMigrations } from '../migrate/plan/plan.ts'
import { describeUnsendable, isUnsendable } from '../migrate/plan/sending.ts'
import { type HistoryPolicy, refuseProblems } from '../migrate/plan/verify.ts'
import type { History, MigrationPlan, MigrationStep, Problem, StepResult } from '../migrate/types.ts'
import type { Change, Item } from '../plan.ts'
import type { Db } from '../postgres/db.ts'
import type { RunsAs } from '../postgres/search-path.ts'
import type { Session } from '../postgres/session.ts'
import type { Context } from '../run/context.ts'
import type { Journal } from '../run/journal.ts'
import { withProgress } from '../run/progress.ts'
import type { Run } from '../run/run.ts'
import { wasUndone } from '../state/events.ts'
import { applyState, refuseStrangeState, type StateChange, type StateTable } from '../state/state.ts'
import { visible } from '../text.ts'
import { type Isolation, isolationFor } from './isolation/choose.ts'
import { type FileSession, withFileSession } from './isolation/session.ts'
import { defaultRole } from './owner.ts'
import { placeAs, refuseUrlSettings, schemasOf } from './place.ts'
import { missingState, stateChanges, wholeState } from './state.ts'
import { inDatabase, type MigrateTarget } from './target.ts'
import { folderOf } from './targets.ts'

/** What is known about a target's migrations: the files, and the history in the database. */
export type KnownMigrations = {
  target: MigrateTarget
  folder: Folder | undefined
  format: Format
  /** Undefined while the database does not exist. */
  historyTable: HistoryTable | undefined
  /** Those that count for this database: see `choose` of a format. */
  files: Migration[]
  history: History
  policy: HistoryPolicy
  /** The role that the migrations run as, if it had to be looked up. */
  role: string | undefined
}

/** The plan of the step for one database: the state schema if it is missing, then the files. */
export type MigrateStep = KnownMigrations & { plan: MigrationPlan; state: StateChange[]; changes: Change[] }

const noHistory: History = { applied: [], repeated: [], lastSeq: 0, lastDetail: 0 }

/** Reads the files and the history of a target. @param db undefined while the database does not exist */
export async function lookAt(context: Context, target: MigrateTarget, db: Db | undefined): Promise<KnownMigrations> {
  const folder = await folderOf(context, target, db)
  const format = folder?.format ?? (await openFormat(target.format === 'auto' ? 'pgbosun' : target.format))
  const all = folder?.files ?? []
  // Our own history is always in the same place; where that of another tool is depends on the role.
  const role = db && format.native ? await defaultRole(context, db, target) : undefined
  const historyTable = format.native && db ? await bookAs(context, target, format, db, role) : ownHistoryTable(format)
  const history = db ? await readHistory(db, historyTable, all, role) : noHistory
  const files = format.choose?.(all, history.applied) ?? all
  return { target, folder, format, historyTable, files, history, policy: policyOf(context, format), role }
}

/** What counts as a problem: as configured, otherwise as the format's own tool does it. */
function policyOf({ loaded: { config } }: Context, format: Format): HistoryPolicy {
  const { ahead, outOfOrder } = config.migrate
  return {
    ...format.policy,
    ahead,
    outOfOrder: outOfOrder ?? format.policy.outOfOrder,
    compare: format.compare,
    format: format.name,
    own: format.native === undefined,
    keepsOnlyNewest: format.keepsOnlyNewest ?? false,
    neverUndoes: format.neverUndoes ?? false,
  }
}

/** The message when no migration is pending; it also says if there is no folder of migrations. */
export function nothingToMigrate(targets: MigrateTarget[]): string {
  const [only] = targets
  return targets.length === 1 && only && !only.folder && !only.command && only.format !== 'auto'
    ? `nothing to do: there is no folder ${only.dirs[0]}`
    : 'nothing to do'
}

export type PlanOptions = {
  /** What else will be recorded in the state; if given, the state is always needed. */
  records?: readonly StateTable[] | undefined
  /** Only look: nothing will be written, so the state needs no changes and may be that of a newer pgbosun. */
  looking?: boolean
  wanted?: WantedMigrations
}

/**
 * What the migrate step would do in one database.
 * @param db undefined while the database does not exist: then every migration is pending
 */
export async function planMigrateStep(
  context: Context,
  target: MigrateTarget,
  db: Db | undefined,
  { records, looking = false, wanted = {} }: PlanOptions = {},
): Promise<MigrateStep> {
  const mayNeedState =
    !looking && (records !== undefined || target.format === 'auto' || (target.folder?.files.length ?? 0) > 0)
  const missingFor = (folder: Folder | undefined) =>
    mayNeedState && db ? missingState(context, db, { needs: needsOf(folder, records), database: target.database }) : []
  // While the folder is not known, the tables it needs are not known either.
  const known = target.folder !== undefined || target.format !== 'auto'
  const [look, early] = await Promise.all([lookAt(context, target, db), known ? missingFor(target.folder) : undefined])
  const missing = early ?? (await missingFor(look.folder))
  const plan = planMigrations(look.files, look.history, look.policy, wanted)
  if (db && !looking && plan.steps.length > 0) await refuseUrlSettings(context, db, target)
  for (const warning of plan.warnings)
    context.out.warn([warning].flat().map((message) => `${message}${inDatabase(target)}`))
  const needsState = mayNeedState && (records !== undefined || look.files.length > 0)
  const state = needsState ? (db ? missing : wholeState(needsOf(look.folder, records))) : []
  return {
    ...look,
    plan,
    state: db ? state : [],
    changes: [...labelled(target, stateChanges(state)), ...changesOf(target, plan)],
  }
}

/** Asks at once what {@link planMigrateStep} will need to know. */
export async function askAboutMigrations(
  context: Context,
  target: MigrateTarget,
  db: Db,
  { records }: Pick<PlanOptions, 'records'>,
): Promise<void> {
  // What to ask is only known once the format is.
  if (target.format === 'auto' || target.command) return
  const asked: Promise<unknown>[] = [lookAt(context, target, db)]
  if (records || target.folder?.files.length)
    asked.push(missingState(context, db, { needs: needsOf(target.folder, records), database: target.database }))
  await Promise.all(asked)
}

/** The tables of the state in which a folder's migrations are recorded, and others. */
function needsOf(folder: Folder | undefined, others: readonly StateTable[] = []): StateTable[] {
  const own = folder && !folder.format.native
  const details = folder && (!own || folder.files.some(({ kind }) => kind === 'repeatable'))
  return [...(own ? (['migrations'] as const) : []), ...(details ? (['migration_details'] as const) : []), ...others]
}

const labelled = (target: MigrateTarget, changes: Change[]) =>
  changes.map((change) => ({ ...change, object: `${change.object}${inDatabase(target)}` }))

const changesOf = (target: MigrateTarget, { steps }: MigrationPlan) =>
  steps.map(
    ({ name, reason, fake }): Change => ({
      action: fake ? 'record' : 'apply',
      object: `migration ${name}${inDatabase(target)}`,
      reason,
    }),
  )

/** The changes of a step, to be reviewed: the files with their checksums. What the state needs follows from them, and from the roles. */
export const itemsOf = ({ target, changes, plan }: MigrateStep): Item[] => {
  const files = changesOf(target, plan)
  return [
    ...changes.slice(0, changes.length - files.length).map((change) => ({ ...change, implied: true })),
    ...files.map((change, i) => ({ ...change, sha256: plan.steps[i]!.sha256 })),
  ]
}

/**
 * Refuses a plan that must not be applied, before anything is changed.
 * @throws {AppError} `history`, `migration`, `lint`
 */
export function refusePlan({ steps, problems }: MigrationPlan): void {
  refuseUnsendable(steps)
  refuseProblems(problems)
}

/** Steps that cannot be run, as problems: for commands that only read. */
export function findUnsendable(steps: MigrationStep[]): Problem[] {
  return steps.flatMap((step) => {
    const { name, sending, refused } = step
    if (refused) return [{ code: 'invalid' as const, name, detail: refused.message, hint: refused.hint ?? '' }]
    if (!isUnsendable(sending)) return []
    const { detail } = describeUnsendable(step, sending)
    return [{ code: 'invalid' as const, name, detail, hint: sending.hint }]
  })
}

/** Applies exactly what was planned, on a session in that database. */
export async function applyMigrateStep(
  run: Run,
  step: MigrateStep,
  openSession: () => Promise<Session>,
  journal: Journal,
): Promise<StepResult[]> {
  const { plan, state, target } = step
  if (state.length === 0 && plan.steps.length === 0) return []
  const session = await openSession()
  const { sql } = session
  // Fail before anything is written, if the files cannot be run at all.
  const role = await defaultRole(run.context, sql, target)
  const [place, isolation] = await Promise.all([
    placeAs(run.context, sql, target.database, role),
    plan.steps.length > 0 ? isolationFor(run.context, sql, role) : undefined,
  ])
  if (state.length > 0) {
    await journal.beforeChange()
    await applyState(sql, state)
    await journal.beforeChange()
  } else if (target.database !== undefined) await refuseStrangeState(sql)
  if (plan.steps.length === 0) return []
  const historyTable =
    step.historyTable?.native || !step.format.native ? step.historyTable! : await bookOf(run.context, step, sql)
  const results = await withNativeLock(run, step, historyTable, (guarded) =>
    runSteps(guarded, { ...step, historyTable, place, isolation }, session, journal),
  )
  return results.map((result) => ({ ...result, name: `${result.name}${inDatabase(target)}` }))
}

/** The same, now that the database exists. */
const bookOf = async (context: Context, { format, target }: MigrateStep, db: Db) =>
  bookAs(context, target, format, db, await defaultRole(context, db, target))

/** A table that is named with its schema is found without the search_path. */
async function bookAs(
  context: Context,
  target: MigrateTarget,
  format: Format,
  db: Db,
  role: string | undefined,
): Promise<HistoryTable> {
  const { table } = target
  const named = (table ?? format.native?.table ?? '').includes('.')
  const historyTable = await openHistoryTable(db, format, {
    table,
    schemas: named ? [] : await schemasOf(context, db, target, role),
  })
  for (const schema of historyTable.native?.elsewhere ?? []) {
    const { name, schema: own } = historyTable.native!
    const theirs = `${visible(schema)}.${visible(name)}`
    context.log.info(
      `there is no history ${visible(own)}.${visible(name)}; ${theirs} is ignored, as ${format.name} would ignore it (set \`migrate.table: ${theirs}\` to use it)`,
    )
  }
  return historyTable
}

/**
 * Holds the other tool's own lock during the work, on a session of its own, because a migration may release every lock of its session.
 * @param work gets the run with a guard that also checks that lock; the same run if there is no such lock, or it is held already
 */
export async function withNativeLock<T>(
  run: Run,
  { target }: Pick<MigrateStep, 'target'>,
  historyTable: HistoryTable,
  work: (run: Run) => Promise<T>,
): Promise<T> {
  const { native, format } = historyTable
  if (!native || !format.native?.lockKey || run.nativeLock === native.table) return work(run)
  const { holdNativeLock } = await import('./native-lock.ts')
  const database = target.database ?? run.context.connection().database
  return holdNativeLock(run.context, historyTable, database, (guardNative) =>
    work({ ...run, guard: both(run.guard, guardNative), nativeLock: native.table }),
  )
}

const both = (first: () => void, second: () => void) => () => {
  first()
  second()
}

async function runSteps(
  run: Run,
  {
    plan,
    target,
    historyTable,
    place,
    isolation,
  }: MigrateStep & { historyTable: HistoryTable; place: RunsAs; isolation: Isolation | undefined },
  own: Session,
  journal: Journal,
): Promise<StepResult[]> {
  // The code that applies migrations is only loaded when there is something to apply.
  const { applyMigrations } = await import('../migrate/apply/apply.ts')
  const database = target.database ?? run.context.connection().database
  const resumed = plan.steps.flatMap(({ resume }) => (resume ? [resume.seq] : []))
  const work = {
    ...{ own, database, role: place.role, isolation },
    migrations: { after: plan.lastSeq, seqs: resumed },
    details: { after: plan.lastDetail, seqs: resumed },
  }
  return withFileSession(run, work, async (files) => {
    const options = await runOptions(run, { historyTable, place, own, files, journal })
    const undone = (name: string) => undoneBefore(run.context, own.sql, `migration ${name}${inDatabase(target)}`)
    return withProgress(run.context, 'migrations', (onProgress) =>
      applyMigrations({ ...options, wasUndone: undone, plan, onProgress }),
    )
  })
}

/** For a hint only: if it cannot be found out, the error that it is about is what counts. */
async function undoneBefore({ command, log }: Context, db: Db, object: string): Promise<boolean> {
  if (command === 'migrate redo') return true
  return wasUndone(db, object).catch((error: Error) => {
    log.debug({ problem: error.message }, 'no details for a hint')
    return false
  })
}

/** How the migrations of a database are run, as configured. */
export async function runOptions(
  { context, cluster, guard }: Run,
  {
    historyTable,
    place,
    own,
    files: {
      session: { sql, pid },
      recorder,
    },
    journal: { beforeChange },
  }: { historyTable: HistoryTable; place: RunsAs; own: Session; files: FileSession; journal: Journal },
): Promise<ScriptOptions> {
  const { loaded, log, version, signal } = context
  const { lockTimeout, lockRetries, statementTimeout } = loaded.config.migrate
  const [{ createBlockerWatch }, { hintFor }] = await Promise.all([
    import('../postgres/blockers.ts'),
    import('../postgres/sqlstate.ts'),
  ])
  return {
    sql,
    own: own.sql,
    historyTable: recorder === undefined ? historyTable : { ...historyTable, recorder },
    ...place,
    lockTimeoutMs: lockTimeout,
    lockRetries,
    statementTimeoutMs: statementTimeout,
    dumpTimeoutMs: loaded.config.lock.timeout,
    watch: createBlockerWatch({ observer: cluster.sql, pid, everyMs: watchEvery(lockTimeout), log }),
    toolVersion: version,
    beforeChange,
    guard,
    hintFor: (error) => hintFor(sql, error, { log, path: place.path }),
    log,
    signal,
  }
}

/** Often enough to see who blocks us before the wait ends; PostgreSQL ends a deadlock after a second. */
const watchEvery = (lockTimeoutMs: number) => Math.min(400, Math.max(50, lockTimeoutMs / 3))
