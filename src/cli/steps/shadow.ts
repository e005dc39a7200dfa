import { compareSchemas, type Drift } from '../../check/drift.ts'
import { readSchema } from '../../check/schema/read.ts'
import type { DatabaseSchema, LeftOut } from '../../check/schema/types.ts'
import type { Session } from '../../db/connect.ts'
import { createState } from '../../db/state.ts'
import { AppError } from '../../errors.ts'
import { silentLog } from '../../log.ts'
import { applyMigrations, createNative, type RunOptions, refuseUnsendable } from '../../migrate/apply.ts'
import { type Book, ownBook } from '../../migrate/book.ts'
import { readHistory } from '../../migrate/history.ts'
import { findOutside } from '../../migrate/outside.ts'
import { planMigrations } from '../../migrate/plan.ts'
import { planUndo } from '../../migrate/plan-undo.ts'
import { noHistory, planReplay, type Replay } from '../../migrate/replay.ts'
import { isRefusal, refusalError } from '../../migrate/sending.ts'
import type { Applied, History, Migration, Script } from '../../migrate/types.ts'
import { undoMigrations } from '../../migrate/undo.ts'
import { isResumable } from '../../migrate/verify.ts'
import { withProgress } from '../progress.ts'
import type { Run } from '../run.ts'
import { lookAt, type MigrateStep, planMigrateStep, refusePlan, runOptions } from './migrate.ts'
import { inTarget } from './migrate-all.ts'
import { inDatabase, type MigrateTarget } from './migrate-targets.ts'
import { defaultRole } from './owner.ts'
import { type Scratch, withScratch } from './scratch.ts'

/** What a comparison with a scratch database found. */
export type Shadow = {
  target: MigrateTarget
  database: string
  /** Migrations that were applied to the scratch database. */
  migrations: number
  drift: Drift[]
  /** With `down`: what undoing all left behind or took away, and what applying them once more made differently. */
  down: { empty: Drift[]; again: Drift[] } | undefined
  durationMs: number
}

/**
 * Applies the migrations that a database has to an empty one on the same server, as the same role, and compares the two.
 * Only reads the live database, without a lock.
 *
 * @param options `down`: also undoes all and applies them again, before the repeatable ones
 * @throws {AppError} `usage` when a file would change more than its database, or, with `down`, cannot be undone; `refused` when the user
 *   may not create databases; `history` when files and history do not fit; what a file that fails throws
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
    const replay = replayOf(run, look)
    if (down) refuseWithoutDown(replay, look)
    const found = await readLive(run, look, live)
    const role = await defaultRole(run.context, live.sql, target)
    const made = await withScratch(run.context, live, (scratch) => replayIn(run, { look, replay, role, down }, scratch))
    return {
      target,
      database,
      migrations: replay.files.length,
      drift: compareSchemas({ declared: made.schema, live: found }),
      down: made.down,
      durationMs: Math.round(performance.now() - startedAt),
    }
  })
}

/** The files to apply; says what they cannot make. @throws {AppError} for those that must not be applied a second time */
function replayOf({ context }: Run, { files, history, policy, target }: MigrateStep): Replay {
  const unfinished = history.applied.find(isResumable)
  if (unfinished)
    throw new AppError('history', `${unfinished.name} was begun and did not finish${inDatabase(target)}`, {
      hint: 'run `pgbosun migrate`, which goes on where it stopped; then compare again',
    })
  const replay = planReplay(files, history, policy)
  refuseUnsendable(planMigrations(replay.files, noHistory, policy).steps)
  for (const file of replay.files) refuseOutside(file.name, file)
  const warn = (names: string[], text: string) => {
    if (names.length > 0) context.out.warn(`${listOf(names)}${inDatabase(target)}: ${text}`)
  }
  warn(replay.withoutFile, 'applied, but without a file: what it made is unexpected below')
  warn(replay.changed, 'changed since it was applied: compared with what it makes now')
  warn(replay.onlyRecorded, 'recorded without being run: the scratch database gets what it makes')
  return replay
}

const listOf = (names: string[]) =>
  `${names.slice(0, 3).join(', ')}${names.length > 3 ? ` and ${names.length - 3} more` : ''}`

function refuseOutside(name: string, script: Script): void {
  const outside = findOutside(script.text)
  if (!outside) return
  throw refusalError(name, script, {
    kind: 'usage',
    at: outside.at,
    message: `would change the server a second time (${outside.what})`,
    hint:
      'a scratch database does not contain that, so these migrations cannot be compared in this way. In new ones, leave it to `roles` and `databases` ' +
      'of the configuration; a DO block that creates a role only where pg_roles has none is fine',
  })
}

/** @throws {AppError} `usage` naming the newest that cannot be undone, before anything is made */
function refuseWithoutDown({ files }: Replay, { policy }: MigrateStep): void {
  const applied = files.filter(({ kind }) => kind === 'versioned').map(asApplied)
  for (const { name, down, sending } of planUndo(files, { ...noHistory, applied }, policy, { to: '0' }).steps) {
    if (isRefusal(sending)) throw refusalError(name, down, sending)
    refuseOutside(name, down)
  }
}

const asApplied = ({ id, name, checksum, sha256 }: Migration): Applied => ({
  ...{ id, name, checksum, sha256, status: 'applied', seq: 0 },
  ...{ appliedAt: null, durationMs: null, appliedBy: null, toolVersion: null, progress: null },
})

const attempts = 5

/** The live schema at a moment when it had just these migrations. @throws {AppError} `locked` when somebody keeps migrating it */
async function readLive(run: Run, look: MigrateStep, live: Session): Promise<DatabaseSchema> {
  for (let i = 0; i < attempts; i++) {
    const schema = await readSchema(live, { leaveOut: leftOut(look.book) })
    const { history } = await lookAt(run.context, look.target, live.sql)
    if (signatureOf(history) === signatureOf(look.history)) return schema
  }
  throw new AppError('locked', `migrations were applied while the schema was read${inDatabase(look.target)}`, {
    hint: 'run it again when they are done',
  })
}

const signatureOf = ({ applied, repeated }: History) =>
  JSON.stringify(
    [...applied, ...repeated].map(({ id, status, checksum, progress }) => [id, status, checksum, progress]),
  )

/** The history of the tool whose files they are, with its schema where the tool has one of its own. Our own always is left out. */
function leftOut(book: Book | undefined): LeftOut[] {
  if (!book?.native) return []
  const { schema, name } = book.native
  return book.dialect.native!.table.startsWith(`${schema}.`) ? [{ schema }] : [{ schema, name }]
}

type Work = { look: MigrateStep; replay: Replay; role: string | undefined; down: boolean }

async function replayIn(
  run: Run,
  work: Work,
  scratch: Scratch,
): Promise<{ schema: DatabaseSchema; down: Shadow['down'] }> {
  const { look, replay } = work
  const { session } = scratch
  await createState(session.sql, { readers: [] })
  const book = await bookIn(session, work)
  const read = () => readSchema(session, { leaveOut: leftOut(book) })
  const options = await optionsIn(run, work, book, scratch)
  const versioned = replay.files.filter(({ kind }) => kind === 'versioned')
  const apply = (files: Migration[]) => applyIn(run, files, look, options)

  if (!work.down) {
    await apply(replay.files)
    return { schema: await read(), down: undefined }
  }
  const before = await read()
  await apply(versioned)
  const first = await read()
  await undoIn(run, versioned, look, options)
  const empty = compareSchemas({ declared: before, live: await read() })
  await apply(versioned)
  const again = compareSchemas({ declared: first, live: await read() })
  await apply(replay.files)
  return { schema: await read(), down: { empty, again } }
}

/** Where the live database has the tool's history, there the scratch database gets it, before anything is compared. */
async function bookIn({ sql }: Session, { look, role }: Work): Promise<Book> {
  const book: Book = look.book ?? ownBook(look.dialect)
  if (!book.native?.exists) return book
  await createNative({ sql, book: { ...book, native: { ...book.native, exists: false } }, role })
  return book
}

async function optionsIn(run: Run, { look, role }: Work, book: Book, { session, guard }: Scratch): Promise<RunOptions> {
  const journal = { async beforeChange() {}, async finish() {} }
  const options = await runOptions(run, look.target, book, session, journal)
  // What the files have to say, they said when they were applied to the live database.
  return { ...options, role, guard, watch: undefined, log: silentLog }
}

async function applyIn(run: Run, files: Migration[], { policy }: MigrateStep, options: RunOptions): Promise<void> {
  const history = await readHistory(options.sql, options.book, files, options.role)
  const plan = planMigrations(files, history, policy)
  await withProgress(run.context.log, 'migrations', (onProgress) =>
    applyMigrations({ ...options, plan, onProgress }),
  ).catch(failedThere)
}

async function undoIn(run: Run, files: Migration[], { policy }: MigrateStep, options: RunOptions): Promise<void> {
  const history = await readHistory(options.sql, options.book, files, options.role)
  const plan = planUndo(files, history, policy, { to: '0' })
  await withProgress(run.context.log, 'migrations', (onProgress) =>
    undoMigrations({ ...options, plan, onProgress }),
  ).catch(failedThere)
}

/** What works in the live database and not in an empty one tells that the files are not all there is. */
function failedThere(error: unknown): never {
  if (!(error instanceof AppError) || error.kind === 'unreachable') throw error
  const { kind, message, hint, sqlstate, excerpt, place, cause } = error
  const advice =
    'it failed in the scratch database, which has nothing but what the files before it made: declare extensions and schemas under `databases`, ' +
    'and look for what was once made by hand'
  throw new AppError(kind, `in a scratch database, ${message}`, {
    ...{ sqlstate, excerpt, cause, ...place },
    hint: hint === undefined ? advice : `${hint}; ${advice}`,
  })
}
