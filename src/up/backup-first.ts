import { openStore } from '../archive/open.ts'
import { runBackup } from '../backup/run.ts'
import { AppError } from '../errors.ts'
import type { Finding } from '../lint/types.ts'
import { type Change, ofOneKind } from '../plan.ts'
import type { Db } from '../postgres/db.ts'
import type { Session } from '../postgres/session.ts'
import { readSystemIdentifier } from '../postgres/system.ts'
import { leftOutWarning } from '../restore/left-out.ts'
import type { Context } from '../run/context.ts'
import { asAppError } from '../run/failure.ts'
import { withProgress } from '../run/progress.ts'
import type { Run } from '../run/run.ts'
import type { Show } from '../run/story.ts'
import { megabytes, renderBytes, seconds } from '../units.ts'
import { backedUpBySuperuser } from './backup-user.ts'
import { backupOptions } from './backups.ts'
import type { FirstBackup } from './first-backups.ts'
import { heedHold } from './hold.ts'
import { inTarget } from './in-target.ts'
import { type MigrateStep, type PlanOptions, planMigrateStep, refusePlan } from './migrate.ts'
import { hasCommand, type MigrateTarget } from './target.ts'

/** The backups of one run. */
export type FirstBackups = {
  /** Makes the backup that the plan of a step asks for, unless this run has made one of that database. */
  before(step: MigrateStep, session: Session | undefined): Promise<void>
}

export type FirstOptions = {
  targets: MigrateTarget[]
  show: Show
  wanted?: PlanOptions['wanted']
  /** Refuses files that must not be applied, so that no backup is made for them. */
  refuse(step: MigrateStep, session: Session | undefined): Promise<void>
  onMade(made: FirstBackup): void
}

/**
 * Makes the backups that `migrate.backupFirst` asks for, of every database with pending migrations, before anything is migrated in any of
 * them. What is refused is refused before a backup is made.
 *
 * @throws {AppError} `backup` when one cannot be made; what refuses the files
 */
export async function backUpFirst(run: Run, options: FirstOptions): Promise<FirstBackups> {
  const done = new Set<string>()
  const make = async (database: string, change: Change, session: Session) => {
    options.show([change])
    const made = await backUp(run, database, session)
    done.add(database)
    options.onMade(made)
  }
  const wanted: { database: string; change: Change; target: MigrateTarget }[] = []
  for (const target of options.targets) {
    const change = await inTarget(run, target, async (session) => session && changeFor(run, target, session, options))
    if (change) wanted.push({ database: nameOf(run, target), change, target })
  }
  for (const { database, change, target } of wanted)
    await inTarget(run, target, (session) => make(database, change, session!))
  return {
    async before(step, session) {
      const database = nameOf(run, step.target)
      const change = session && !done.has(database) ? await firstBackup(run, step, session) : undefined
      if (change) await make(database, change, session!)
    },
  }
}

const nameOf = ({ context }: Run, { database }: MigrateTarget) => database ?? context.connection().database

async function changeFor(
  run: Run,
  target: MigrateTarget,
  session: Session,
  { targets, wanted, refuse }: FirstOptions,
): Promise<Change | undefined> {
  if (hasCommand(target)) {
    const change = await firstBackupOfCommand(run, target, session)
    if (change) await heedHold(run, target, session, { pending: undefined })
    return change
  }
  const options = { looking: true, ...(wanted && targets.length === 1 && { wanted }) }
  const step = await planMigrateStep(run.context, target, run.reads(session), options)
  // What looks like a problem may be the work of another tool: it is planned again under the lock of that.
  if (step.plan.problems.length > 0) return undefined
  const change = await firstBackup(run, step, session)
  if (!change) return undefined
  refusePlan(step.plan)
  await refuse(step, session)
  const pending = step.plan.steps.filter(({ fake }) => !fake).map(({ name }) => name)
  await heedHold(run, target, session, { pending })
  return change
}

/** The backup that comes before the files of a step, as a change; undefined if none does. */
export async function firstBackup(run: Run, step: MigrateStep, { sql }: Session): Promise<Change | undefined> {
  const { backupFirst } = run.context.loaded.config.migrate
  if (backupFirst === 'never' || step.plan.steps.every(({ fake }) => fake) || (await isEmpty(sql))) return undefined
  const change = (reason: string) => backupOf(nameOf(run, step.target), reason)
  if (backupFirst === 'always') return change('before its migrations')
  const { findDataAtRisk } = await import('./lint.ts')
  const findings = await findDataAtRisk(run.context, step, sql)
  return findings.length > 0 ? change(because(findings)) : undefined
}

/** The backup that comes before `migrate.command`: what that does to the data is not known, so only `always` asks for one. */
export async function firstBackupOfCommand(
  run: Run,
  target: MigrateTarget,
  session: Session,
): Promise<Change | undefined> {
  const { backupFirst } = run.context.loaded.config.migrate
  if (backupFirst !== 'always' || !hasCommand(target) || (await isEmpty(session.sql))) return undefined
  const { mayRun } = await import('./program/migrate.ts')
  return (await mayRun(run, target, session))
    ? backupOf(nameOf(run, target), 'before its migration command')
    : undefined
}

const backupOf = (database: string, reason: string): Change => ({
  action: 'back up',
  object: `database ${database}`,
  reason,
})

function because([first, ...others]: Finding[]): string {
  const { rule, file, message } = first!
  const more = others.length > 0 ? ` (and ${others.length} more)` : ''
  return rule === 'syntax-error' ? `${file} cannot be judged: ${message}${more}` : `${file}: ${message}${more}`
}

/** Whether there is nothing to lose: a new database has at most what its template and extensions brought. */
export async function isEmpty(db: Db): Promise<boolean> {
  const [row] = await db.unsafe<{ empty: boolean }[]>(
    `with ours as (
       select n.oid from pg_catalog.pg_namespace n
        where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'pgbosun')
          and n.nspname !~ '^pg_(toast_)?temp_')
     select not exists (select from pg_catalog.pg_class c where c.relnamespace in (select oid from ours)
              and not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                and d.objid = c.oid and d.deptype in ('e', 'i')))
        and not exists (select from pg_catalog.pg_proc p where p.pronamespace in (select oid from ours)
              and not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
                and d.objid = p.oid and d.deptype = 'e'))
        and not exists (select from pg_catalog.pg_largeobject_metadata) as empty`,
  )
  return row!.empty
}

/** @throws {AppError} `backup`; the signal's reason; `unreachable` when the locks of the run were lost meanwhile */
async function backUp(run: Run, database: string, session: Session): Promise<FirstBackup> {
  const { context } = run
  const { out, signal } = context
  // backup.url may lead to another server that has a database of that name.
  const systemIdentifier = await readSystemIdentifier(session.sql)
  const result = await withProgress(context, 'MB backed up first', (onProgress) =>
    runBackup({
      ...backupOptions(context, openStore(context.loaded, signal), database),
      slot: null,
      maxLagMs: 0,
      systemIdentifier,
      onSuperuser: (user) => out.warn(backedUpBySuperuser(user)),
      onProgress: (done, total, at) => onProgress(megabytes(done), megabytes(total), undefined, undefined, at),
    }),
  ).catch((error: unknown) => {
    throw signal.aborted ? error : notBackedUp(context, database, error)
  })
  run.guard()
  for (const warning of ofOneKind(result.warnings.map((text) => `${database}: ${text}`))) out.warn(warning)
  const partial = leftOutWarning(result.manifest)
  if (partial !== undefined) out.warn(partial)
  const { id, sizeBytes, durationMs } = result
  out.print(`backup  ${database}  ${id}  ${renderBytes(sizeBytes)}, verified, in ${seconds(durationMs)}`)
  return { id, database, sizeBytes, durationMs }
}

/** Whatever the reason: there is no backup, so there are no migrations. */
function notBackedUp({ loaded }: Context, database: string, error: unknown): AppError {
  const { message, hint, excerpt, sqlstate } = asAppError(error)
  const { backupFirst } = loaded.config.migrate
  return new AppError('backup', `nothing was migrated, because ${database} could not be backed up first: ${message}`, {
    hint: `${hint === undefined ? '' : `${hint}; or `}set migrate.backupFirst to never instead of ${backupFirst}`,
    excerpt,
    sqlstate,
    cause: error,
  })
}
