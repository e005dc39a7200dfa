import type { Connection } from '../../config/connection.ts'
import { AppError } from '../../errors.ts'
import { applyMigrations } from '../../migrate/apply/apply.ts'
import { withoutServerWide } from '../../migrate/plan/server-wide.ts'
import type { MigrationStep } from '../../migrate/types.ts'
import type { RestoredCopy } from '../../restore/trial/options.ts'
import type { Context } from '../../run/context.ts'
import { withProgress } from '../../run/progress.ts'
import { type Run, withRun } from '../../run/run.ts'
import { quoteIdent } from '../../sql/quote.ts'
import { applyState } from '../../state/state.ts'
import { someOf } from '../../units.ts'
import { type MigrateStep, planMigrateStep, refusePlan, runOptions } from '../migrate.ts'
import { placeAs } from '../place.ts'
import type { MigrateTarget } from '../target.ts'
import { createDeclared } from './declared.ts'
import type { Live } from './live.ts'
import { type Observed, observing } from './observe.ts'
import { newBackup, planRehearsal } from './plan.ts'

/** What a file did in the copy. */
export type Rehearsed = Observed & { file: string; alreadyApplied: boolean }

export type InCopy = { live: Live; backup: string; onFile(file: Rehearsed): void }

/**
 * Applies the files that the backup lacks to a restored copy of it, one after the other, as the login that owns the copy and may do
 * nothing else. So neither they nor code in the backup get any rights.
 *
 * @throws {AppError} `history` if the backup does not fit the files or the live database; the error of a file that fails
 */
export const rehearseIn = (context: Context, copy: RestoredCopy, work: InCopy): Promise<void> =>
  withRun(contextOf(context, copy, work.live), { locks: 'none' }, async (run) => {
    // What has run in the copy cannot run in it again.
    run.noteChange()
    const own = run.target!
    const leftOut = new Map<string, string[]>()
    const step = await planMigrateStep(run.context, targetOf(copy, work.live, leftOut), own.sql)
    const { plan, alreadyApplied } = planRehearsal(work.live.step, step, work.backup)
    warnOf(run, plan.steps, leftOut)
    refuseBackup(step, work.backup)
    await applyState(own.sql, step.state)
    await createDeclared(run.context, own, work.live.declared, copy.connection.user)
    const around = observing(run.cluster.sql, { pid: own.pid, without: step.historyTable?.native }, (file, observed) =>
      work.onFile({ ...observed, file: file.name, alreadyApplied: alreadyApplied.has(file) }),
    )
    const options = await optionsFor(run, step)
    await withProgress(run.context, 'migrations in the restored copy', (onProgress) =>
      applyMigrations({ ...options, plan, around, onProgress: (done, total) => onProgress(done, total) }),
    ).catch(failedIn(copy))
  })

/** The configuration for a database with nothing around it: no declared roles, and nobody who may read the history. */
function contextOf(context: Context, { connection, signal }: RestoredCopy, live: Live): Context {
  const { loaded } = context
  const { searchPath: _, settings, ...place } = connection
  const ofFiles = context.connection().settings
  const own: Connection = {
    ...{ ...place, searchPath: live.path.map(quoteIdent).join(', ') },
    ...(ofFiles && { settings: ofFiles }),
  }
  const config = {
    ...loaded.config,
    ...{ databases: {}, roles: {}, users: {} },
    state: { ...loaded.config.state, readers: [] },
    lock: { ...loaded.config.lock, database: connection.database },
  }
  return { ...context, signal, connection: () => own, isTarget: () => true, loaded: { ...loaded, config } }
}

/** @param leftOut gets, by name of the file, the statements that do not run because they would change the server */
function targetOf({ connection }: RestoredCopy, { step }: Live, leftOut: Map<string, string[]>): MigrateTarget {
  const { target, folder } = step
  const files = folder?.files.map((file) =>
    withoutServerWide(file, (what) => leftOut.set(file.name, [...(leftOut.get(file.name) ?? []), what])),
  )
  return { ...target, role: connection.user, folder: folder && { ...folder, files: files ?? [] } }
}

function warnOf({ context }: Run, steps: MigrationStep[], leftOut: Map<string, string[]>): void {
  for (const { name } of steps) {
    const statements = leftOut.get(name)
    if (statements)
      context.out.warn(`left out of ${name}, because it would change the server: ${someOf([...new Set(statements)])}`)
  }
}

function refuseBackup({ plan }: MigrateStep, backup: string): void {
  try {
    refusePlan(plan)
  } catch (error) {
    if (!(error instanceof AppError) || error.kind !== 'history') throw error
    throw error.with({ message: `the backup ${backup} does not fit the files: ${error.message}`, hint: newBackup })
  }
}

async function optionsFor(run: Run, { historyTable, target }: MigrateStep) {
  const own = run.target!
  const place = await placeAs(run.context, own.sql, undefined, target.role)
  const journal = { async beforeChange() {}, async finish() {} }
  const files = { session: own, recorder: undefined }
  // Nobody else works in the copy.
  return { ...(await runOptions(run, { historyTable: historyTable!, place, own, files, journal })), watch: undefined }
}

/** The error of a file, with what is different in the copy, if that may be the cause. */
const failedIn =
  ({ server }: RestoredCopy) =>
  (error: unknown): never => {
    if (!(error instanceof AppError) || error.kind === 'unreachable') throw error
    const different = error.sqlstate === undefined ? undefined : differences[error.sqlstate]?.(server)
    const hint = [different, error.hint].filter((part) => part !== undefined).join('; ')
    throw error.with({
      message: `in a restored copy, ${error.message}`,
      ...(hint !== '' && { hint }),
    })
  }

/** What a copy lacks, by the SQLSTATE to which that leads. */
const differences: Record<string, (server: string) => string> = {
  '42501': () =>
    'in a rehearsal, files run as a login that owns the copy and may do nothing else: what needs more rights cannot be rehearsed',
  '42704': (server) =>
    `the roles that files name also have to exist on the server of the rehearsal (${server}); a copy has no publications, subscriptions, event triggers and user mappings`,
}
