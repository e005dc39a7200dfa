import { compareSchemas, type Drift } from '../../check/drift.ts'
import { readSchema } from '../../check/schema/read.ts'
import type { DatabaseSchema, LeftOut } from '../../check/schema/types.ts'
import { AppError } from '../../errors.ts'
import { findHistories } from '../../formats/find.ts'
import type { Applied, Migration } from '../../formats/types.ts'
import { silentLog } from '../../log.ts'
import { applyMigrations } from '../../migrate/apply/apply.ts'
import { createNative, type ScriptOptions } from '../../migrate/apply/options.ts'
import { refuseUnsendable } from '../../migrate/apply/sendable.ts'
import { undoMigrations } from '../../migrate/apply/undo.ts'
import { readHistory } from '../../migrate/history/history.ts'
import { type HistoryTable, ownHistoryTable } from '../../migrate/history/history-table.ts'
import { planMigrations } from '../../migrate/plan/plan.ts'
import { noHistory, planReplay, type Replay } from '../../migrate/plan/replay.ts'
import { isUnsendable, unsendableError } from '../../migrate/plan/sending.ts'
import { withinDatabase } from '../../migrate/plan/server-wide.ts'
import { planUndo } from '../../migrate/plan/undo.ts'
import { type HistoryPolicy, isResumable } from '../../migrate/plan/verify.ts'
import type { History } from '../../migrate/types.ts'
import { type RunsAs, visibleSchemas } from '../../postgres/search-path.ts'
import type { Session } from '../../postgres/session.ts'
import { withProgress } from '../../run/progress.ts'
import type { Run } from '../../run/run.ts'
import { createState } from '../../state/state.ts'
import { someOf } from '../../units.ts'
import { inTarget } from '../in-target.ts'
import { withFileSession } from '../isolation/session.ts'
import { lookAt, type MigrateStep, planMigrateStep, refusePlan, runOptions } from '../migrate.ts'
import { placeOf } from '../place.ts'
import { inDatabase, type MigrateTarget } from '../target.ts'
import { type Scratch, withScratch } from './scratch.ts'

/** What a comparison with a scratch database found. */
export type Shadow = {
  target: MigrateTarget
  database: string
  /** Migrations that were applied to the scratch database. */
  migrations: number
  drift: Drift[]
  /**
   * With `down`: what undoing all migrations left behind or removed, and what applying them again made differently; null when that was
   * not tried, because undoing did not lead back to the start.
   */
  down: { empty: Drift[]; again: Drift[] | null } | undefined
  durationMs: number
}

/**
 * Applies the migrations of a database to an empty one on the same server, as the same role, and compares the two.
 * Only reads the live database, without a lock.
 *
 * @param options `down`: also undoes all and applies them again, before the repeatable ones
 * @throws {AppError} `usage` when a file would change more than its database, or, with `down`, cannot be undone; `refused` when the user
 *   may not create databases; `history` when the files do not match the history; the error of a file that fails
 */
export async function compareWithShadow(run: Run, target: MigrateTarget, { down = false } = {}): Promise<Shadow> {
  return inTarget(run, target, async (live) => {
    const database = target.database ?? run.context.connection().database
    if (!live)
      throw new AppError('refused', `the database ${database} does not exist`, {
        hint: 'run `pgbosun up`, which creates it',
      })
    const startedAt = performance.now()
    const look = await planMigrateStep(run.context, target, live.sql, { looking: true })
    refusePlan(look.plan)
    const replay = replayOf(run, look, down)
    const place = await placeOf(run.context, live.sql, target)
    const work = {
      look,
      replay,
      place,
      leaveOut: await findLeftOut(look, live, () => visibleSchemas(live.sql, place)),
    }
    const found = await readLive(run, work, live)
    const declared = await withScratch(run.context, live, (scratch) => makeIn(run, work, scratch))
    const undone = down ? await withScratch(run.context, live, (scratch) => undoIn(run, work, scratch)) : undefined
    return {
      target,
      database,
      migrations: replay.files.length,
      drift: compareSchemas({ declared, live: found }),
      down: undone,
      durationMs: Math.round(performance.now() - startedAt),
    }
  })
}

/** The files to apply; warns of what they cannot make. @throws {AppError} for files that must not be applied a second time */
function replayOf({ context }: Run, { files, history, policy, target }: MigrateStep, down: boolean): Replay {
  const unfinished = history.applied.find(isResumable)
  if (unfinished)
    throw new AppError('history', `${unfinished.name} was started and did not finish${inDatabase(target)}`, {
      hint: 'run `pgbosun migrate`, which continues where it stopped; then compare again',
    })
  const planned = planReplay(files, history, policy)
  const leftOut = new Set<string>()
  const replay = { ...planned, files: planned.files.map((file) => withinDatabase(file, (what) => leftOut.add(what))) }
  refuseUnsendable(planMigrations(replay.files, noHistory, policy).steps)
  const warn = (names: string[], text: string) => {
    if (names.length > 0) context.out.warn(`${someOf(names)}${inDatabase(target)}: ${text}`)
  }
  if (down) refuseWithoutDown(replay, policy)
  warn(
    [...leftOut],
    'left out in the scratch database, because it changes the whole server, and was done there already',
  )
  warn(replay.withoutFile, 'applied, but its file is gone: what it made is listed as unexpected below')
  warn(replay.changed, 'changed since it was applied: the database is compared with what it makes now')
  warn(replay.onlyRecorded, 'recorded without being run; the scratch database has what it makes')
  return replay
}

/** @throws {AppError} `usage`, before anything is created, with the newest migration that cannot be undone */
function refuseWithoutDown({ files }: Replay, policy: HistoryPolicy): void {
  const applied = files.filter(({ kind }) => kind === 'versioned').map(asApplied)
  for (const { name, down, sending } of planUndo(files, { ...noHistory, applied }, policy, { to: '0' }).steps) {
    if (isUnsendable(sending)) throw unsendableError(name, down, sending)
  }
}

const asApplied = ({ id, name, checksum, sha256 }: Migration): Applied => ({
  ...{ id, name, checksum, sha256, status: 'applied', seq: 0 },
  ...{ appliedAt: null, durationMs: null, appliedBy: null, toolVersion: null, progress: null },
})

const attempts = 5

/** The live schema at a moment when it had exactly these migrations. @throws {AppError} `locked` when migrations keep being applied */
async function readLive(run: Run, { look, leaveOut }: Work, live: Session): Promise<DatabaseSchema> {
  for (let i = 0; i < attempts; i++) {
    const schema = await readSchema(live, { leaveOut })
    const { history } = await lookAt(run.context, look.target, live.sql)
    if (signatureOf(history) === signatureOf(look.history)) return schema
  }
  throw new AppError('locked', `migrations were applied while the schema was read${inDatabase(look.target)}`, {
    hint: 'run it again when those migrations are done',
  })
}

const signatureOf = ({ applied, repeated }: History) =>
  JSON.stringify(
    [...applied, ...repeated].map(({ id, status, checksum, progress }) => [id, status, checksum, progress]),
  )

/** Schemas that belong to a tool. */
const schemasOfTools = new Set(['graphile_migrate'])

/** The history tables of the tool that the files belong to, or belonged to before they were adopted. Our own is always left out. */
async function findLeftOut(
  { historyTable, history }: MigrateStep,
  live: Session,
  schemas: () => Promise<string[]>,
): Promise<LeftOut[]> {
  const adopted = history.applied.some(({ status }) => status === 'adopted')
  const found = adopted ? await findHistories(live.sql, { table: undefined, schemas: await schemas() }) : []
  const histories = [
    ...(historyTable?.native ? [historyTable.native] : []),
    ...found.filter(({ format }) => format !== 'pgbosun').map(({ schema, table }) => ({ schema, name: table })),
  ]
  return histories.map(({ schema, name }) => (schemasOfTools.has(schema) ? { schema } : { schema, name }))
}

type Work = { look: MigrateStep; replay: Replay; place: RunsAs; leaveOut: LeftOut[] }

/** The schema that the migrations make. */
const makeIn = (run: Run, work: Work, scratch: Scratch): Promise<DatabaseSchema> =>
  withReplay(run, work, scratch, async ({ apply, read }) => {
    await apply(work.replay.files).catch(failedIn(emptyAdvice))
    return read()
  })

/** Applies the versioned migrations, undoes them, and, if that led back to the start, applies them again. */
const undoIn = (run: Run, work: Work, scratch: Scratch): Promise<Shadow['down']> =>
  withReplay(run, work, scratch, async ({ apply, undo, read }) => {
    const versioned = work.replay.files.filter(({ kind }) => kind === 'versioned')
    const before = await read()
    await apply(versioned).catch(failedIn(emptyAdvice))
    const first = await read()
    await undo(versioned).catch(failedIn('check what the down scripts of newer migrations undo'))
    const empty = compareSchemas({ declared: before, live: await read() })
    if (empty.some(({ severity }) => severity === 'error')) return { empty, again: null }
    await apply(versioned).catch(
      failedIn('it was applied again after everything was undone: a down script leaves something behind'),
    )
    return { empty, again: compareSchemas({ declared: first, live: await read() }) }
  })

const emptyAdvice =
  'there it found only what the files before it make: declare extensions and schemas under `databases`, and look for objects that were once made by hand'

/** What can be done in a scratch database. */
type Replaying = {
  read(): Promise<DatabaseSchema>
  apply(files: Migration[]): Promise<void>
  undo(files: Migration[]): Promise<void>
}

const everything = { after: 0, seqs: [] }

/** Prepares an empty scratch database for migrations. */
async function withReplay<T>(
  run: Run,
  work: Work,
  { name, session, guard }: Scratch,
  use: (replaying: Replaying) => Promise<T>,
): Promise<T> {
  const { look, place } = work
  await createState(session.sql, { needs: ['migrations', 'migration_details'], readers: [] })
  const historyTable = await bookIn(session, work)
  const journal = { async beforeChange() {}, async finish() {} }
  const history = (files: Migration[]) => readHistory(session.sql, historyTable, files, place.role)
  const progress = <R>(replay: (onProgress: NonNullable<ScriptOptions['onProgress']>) => Promise<R>) =>
    withProgress(run.context, 'migrations in a scratch database', replay)
  const where = { own: session, database: name, role: place.role, migrations: everything, details: everything }
  return withFileSession(run, where, async (files) => {
    // The notices of the files were already logged when the files were applied to the live database.
    const options: ScriptOptions = {
      ...(await runOptions(run, { historyTable, place, own: session, files, journal })),
      ...{ guard, watch: undefined, log: silentLog },
    }
    return use({
      read: () => readSchema(session, { leaveOut: work.leaveOut }),
      async apply(files) {
        const plan = planMigrations(files, await history(files), look.policy)
        await progress((onProgress) => applyMigrations({ ...options, plan, onProgress }))
      },
      async undo(files) {
        const plan = planUndo(files, await history(files), look.policy, { to: '0' })
        await progress((onProgress) => undoMigrations({ ...options, plan, onProgress }))
      },
    })
  })
}

/** If the live database has the tool's history table, the scratch database gets one in the same place, before anything is compared. */
async function bookIn({ sql }: Session, { look, place: { role } }: Work): Promise<HistoryTable> {
  const historyTable: HistoryTable = look.historyTable ?? ownHistoryTable(look.format)
  if (!historyTable.native?.exists) return historyTable
  await createNative({
    sql,
    historyTable: { ...historyTable, native: { ...historyTable.native, exists: false } },
    role,
  })
  return historyTable
}

/** A file that works in the live database but not in an empty one needs something that no file makes: say so. */
const failedIn = (advice: string) => (error: unknown) => {
  if (!(error instanceof AppError) || error.kind === 'unreachable') throw error
  const { message, hint } = error
  throw error.with({
    message: `in a scratch database, ${message}`,
    hint: hint === undefined ? advice : `${hint}; ${advice}`,
  })
}
