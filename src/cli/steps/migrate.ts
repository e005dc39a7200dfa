import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Db } from '../../db/sql.ts'
import { quoteLiteral } from '../../db/sql.ts'
import { hintFor } from '../../db/sqlstate.ts'
import { applyState, hasWholeState, planState, readState, refuseNewerState, type StateChange } from '../../db/state.ts'
import { usage } from '../../errors.ts'
import { applyMigrations } from '../../migrate/apply.ts'
import { readHistory } from '../../migrate/history.ts'
import { refuseUnsendable } from '../../migrate/inspect.ts'
import { planMigrations } from '../../migrate/plan.ts'
import { readMigrations } from '../../migrate/read.ts'
import type { Applied, Migration, MigrationPlan, StepResult } from '../../migrate/types.ts'
import { refuseProblems } from '../../migrate/verify.ts'
import type { Change } from '../../plan.ts'
import { desiredRoles } from '../../roles/desired.ts'
import type { Context } from '../command.ts'
import type { Journal } from '../journal.ts'
import { withProgress } from '../progress.ts'
import type { Run } from '../run.ts'

/** Plan of the step: the state schema where it is missing, then the files. */
export type MigrateStep = { plan: MigrationPlan; state: StateChange[]; changes: Change[] }

/**
 * The migration files of the configuration; none when the folder is only a default and absent.
 * @throws {AppError} `usage` for a folder that was named, or is `needed`, and is not there
 */
export async function migrationFiles(context: Context, { needed = false } = {}): Promise<Migration[]> {
  const { config, baseDir, origins } = context.loaded
  if (!context.isTarget()) return needed ? notTarget(context) : []
  const dir = resolve(baseDir, config.migrate.dir)
  if (existsSync(dir)) return readMigrations(dir)
  if (!needed && !origins.has('migrate.dir')) return []
  throw usage(`the migrations folder ${dir} does not exist`, {
    hint: 'set migrate.dir (PGBOSUN_MIGRATE_DIR), or create it with `pgbosun migrate new NAME`',
  })
}

/** What is said when no migration is pending: also that there is no folder to look for any. */
export function nothingToMigrate({ loaded: { config, baseDir } }: Context): string {
  const dir = resolve(baseDir, config.migrate.dir)
  return existsSync(dir) ? 'nothing to do' : `nothing to do: there is no folder ${dir}`
}

/** Exit 2: the command is only about the target database. */
export function notTarget({ flags, command }: Context): never {
  throw usage(`${command} works in the target database, and --database names another: ${flags.database}`, {
    hint: 'leave --database out, or set the URL to that database',
  })
}

/**
 * What the migrate step would do; on a database that does not exist yet, everything.
 * @param options `looking`: nothing will be written, so the state may be that of a newer program and needs no changes
 */
export async function planMigrateStep(
  { context, target }: Run,
  files: Migration[],
  { seeds = false, looking = false } = {},
): Promise<MigrateStep> {
  const { config } = context.loaded
  const needsState = !looking && (files.length > 0 || seeds)
  const [history, state] = target
    ? await Promise.all([readHistory(target.sql), needsState ? missingState(context, target.sql) : []])
    : [[] as Applied[], []]
  const plan = planMigrations(files, history, config.migrate)
  for (const warning of plan.warnings) context.out.warn(warning)
  const applied = plan.steps.map(
    ({ name, reason }): Change => ({ action: 'apply', object: `migration ${name}`, reason }),
  )
  const shown = target || !needsState ? state : planState(noState)
  return { plan, state, changes: [...stateChanges(shown), ...applied] }
}

/** In a database that does not exist yet. */
const noState = { sessionUser: '', superuser: true, wantedOwner: '', schema: null, tables: [], readers: [] }

/**
 * Refuses a plan that must not be applied, before anything is touched.
 * @throws {AppError} `history`, `migration`, `lint`
 */
export function refusePlan({ steps, problems }: MigrationPlan): void {
  refuseUnsendable(steps)
  refuseProblems(problems)
}

/** Changes of the state as they are shown: a new one is one change. */
export function stateChanges(state: StateChange[]): Change[] {
  const changes = state.map(({ action, object, reason }) => ({ action, object, reason }))
  return changes[0]?.object === 'schema pgbosun' && changes[0].action === 'create' ? changes.slice(0, 1) : changes
}

/** Changes that the state needs before something can be recorded in it. */
export async function missingState(context: Context, db: Db): Promise<StateChange[]> {
  const readers = stateReaders(context)
  if (readers.length === 0 && (await hasWholeState(db))) {
    await refuseNewerState(db)
    return []
  }
  const current = await readState(db, readers)
  if (current.tables.some(({ name }) => name === 'state')) await refuseNewerState(db)
  return planState(current)
}

/** Roles that may look at the state: those with a preset for the target database or for the server, and the configured ones. */
function stateReaders(context: Context): string[] {
  const { databases, users: ofServer, state } = context.loaded.config
  const users = [...Object.entries(databases[context.connection().database]?.users ?? {}), ...Object.entries(ofServer)]
  return [
    ...new Set([...users.filter(([, { preset }]) => preset !== undefined).map(([name]) => name), ...state.readers]),
  ]
}

/**
 * Who owns what is created: `migrate.role`, else the declared owner of the database, else the role that sessions of this user
 * start as (ALTER ROLE … SET role, which our own sessions switch off) — the latter two if we may become it.
 */
export async function defaultRole(context: Context, db: Db): Promise<string | undefined> {
  const { config } = context.loaded
  if (config.migrate.role !== undefined) return config.migrate.role
  const database = desiredRoles(config).databases.find(({ name }) => name === context.connection().database)
  const declared = database && quoteLiteral(database.owner)
  const wanted = database?.ownerFixed
    ? declared
    : declared
      ? `coalesce((${ownerIf(declared)}), (${ownRoleSetting}))`
      : ownRoleSetting
  const how = `case when current_setting('server_version_num')::int >= 160000 then 'SET' else 'MEMBER' end`
  const [row] = await db.unsafe<{ role: string }[]>(
    `select rolname as role from pg_catalog.pg_roles where rolname = (${wanted}) and pg_has_role(session_user, oid, ${how})`,
  )
  return row?.role
}

/** The default owner, where the database was created with it; one that existed before keeps its own. */
const ownerIf = (owner: string) =>
  `select pg_get_userbyid(datdba) from pg_catalog.pg_database where datname = current_database() and pg_get_userbyid(datdba) = ${owner}`

/** The setting for this database goes before the one for all. */
const ownRoleSetting = `
  select substr(entry, 6) from pg_catalog.pg_db_role_setting, unnest(setconfig) entry
   where setrole = (select oid from pg_catalog.pg_roles where rolname = session_user) and entry like 'role=%'
     and setdatabase in (0, (select oid from pg_catalog.pg_database where datname = current_database()))
   order by setdatabase desc limit 1`

/** Applies exactly what was planned. */
export async function applyMigrateStep(
  run: Run,
  { plan, state }: MigrateStep,
  journal: Journal,
): Promise<StepResult[]> {
  if (state.length === 0 && plan.steps.length === 0) return []
  const target = await run.openTarget()
  const { loaded, log, version } = run.context
  if (state.length > 0) {
    await journal.beforeChange()
    await applyState(target.sql, state)
    await journal.beforeChange()
  }
  const role = plan.steps.length > 0 ? await defaultRole(run.context, target.sql) : undefined
  return withProgress(log, 'migrations', (onProgress) =>
    applyMigrations({
      sql: target.sql,
      plan,
      role,
      lockTimeoutMs: loaded.config.migrate.lockTimeout,
      toolVersion: version,
      beforeChange: journal.beforeChange,
      guard: run.guard,
      hintFor: (error) => hintFor(target.sql, error, log),
      onProgress,
      log,
    }),
  )
}
