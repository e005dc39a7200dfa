import { besides, type Connection, loggedInAs } from '../../config/connection.ts'
import { AppError, usage } from '../../errors.ts'
import type { StepResult } from '../../migrate/types.ts'
import type { Change, Item } from '../../plan.ts'
import type { Session } from '../../postgres/session.ts'
import { programName } from '../../programs/program.ts'
import type { Context } from '../../run/context.ts'
import type { Journal } from '../../run/journal.ts'
import type { Run } from '../../run/run.ts'
import type { Show } from '../../run/story.ts'
import { applyState, type StateChange, type StateTable } from '../../state/state.ts'
import { shellLine } from '../../text.ts'
import { someOf } from '../../units.ts'
import { type Isolation, isolationFor } from '../isolation/choose.ts'
import { openConfigured, withRunLogin } from '../isolation/session.ts'
import type { PlanOptions } from '../migrate.ts'
import { defaultRole } from '../owner.ts'
import { schemasOf } from '../place.ts'
import { missingState, stateChanges, wholeState } from '../state.ts'
import type { CommandTarget } from '../target.ts'
import { type AlembicTable, headsCommand, parseHeads, readAlembic, renderHeads, severalHeads } from './alembic.ts'
import { endLeftovers, runToEnd } from './run.ts'

type Options = {
  show: Show
  /** Undefined: only plan. */
  journal: Journal | undefined
  /** What else will be recorded in the target. */
  records?: readonly StateTable[]
  wanted?: PlanOptions['wanted'] | undefined
}

/** What is known before the program runs. `pending`: whether it will change something; undefined when only the program knows. */
type Plan = {
  target: CommandTarget
  role: string | undefined
  before: AlembicTable[]
  pending: boolean | undefined
  change: Change
  state: StateChange[]
}

/**
 * Lets another program migrate the target database (`migrate.command`) while we hold the lock. If it is Alembic, upgrading to the head,
 * we know beforehand whether anything is pending, and do not start it for nothing; every other program is run each time.
 *
 * @throws {AppError} `migration` when it fails; `history` for several heads, and when the files of Alembic do not have the revision of
 *   the database; `usage` when the program does not exist
 */
export async function migrateByCommand(
  run: Run,
  target: CommandTarget,
  session: Session | undefined,
  { show, journal, records = [], wanted }: Options,
): Promise<StepResult[]> {
  refuseWanted(wanted)
  const plan = await planCommand(run, target, session, records)
  const { pending, change, before } = plan
  // If nothing tells what the program did, running it counts as the change.
  const willChange = pending ?? before.length === 0
  if (!journal) return showPlan(run.context, plan, show)
  show([...stateChanges(plan.state), ...(willChange ? [change] : [])], { items: () => itemsOf(plan) })
  const own = session ?? (await run.openTarget())
  const { sql, serverVersion } = own
  const isolation = pending === false ? undefined : await isolationFor(run.context, sql, plan.role)
  if (plan.state.length > 0) {
    await journal.beforeChange()
    await applyState(sql, plan.state)
  }
  if (pending === false) return []

  await journal.beforeChange()
  await endLeftovers(run.context, sql)
  const durationMs = await withCommandLogin(run, plan, { own, isolation: isolation! }, (connection) =>
    runCommand(run, plan, serverVersion, connection),
  )
  const after = await readAlembic(sql, {
    table: plan.target.table,
    schemas: await schemasOf(run.context, sql, target, plan.role),
    role: plan.role,
  })
  refuseSeveral(after)
  warnOfOwner(run.context, plan, after)
  const moved = renderTables(before) !== renderTables(after)
  if (!willChange && !moved) return []
  if (!willChange)
    show([{ ...change, reason: `from ${renderTables(before)} to ${renderTables(after)}` }], { items: () => [] })
  return [{ name: nameOf(target), status: 'applied', durationMs }]
}

/** Whether the program will be run, as far as can be told beforehand. */
export async function mayRun(run: Run, target: CommandTarget, session: Session): Promise<boolean> {
  const { pending } = await planCommand(run, target, session, [])
  return pending !== false
}

/**
 * Checks the files of Alembic before roles and databases are changed.
 * @throws {AppError} `history`, `migration`
 */
export async function refuseCommandFiles({ context, cluster }: Run, target: CommandTarget): Promise<void> {
  await newestRevisions(context, target, cluster.serverVersion)
}

const nameOf = ({ command }: CommandTarget) => shellLine(command)

function refuseWanted(wanted: Options['wanted']): void {
  if (wanted?.to === undefined && wanted?.steps === undefined && wanted?.fake !== true) return
  throw usage('--to, --steps and --fake work on migration files, but migrate.command runs another program', {
    hint: 'use that program itself, for example `alembic upgrade REVISION` or `alembic stamp REVISION`',
  })
}

async function planCommand(
  run: Run,
  target: CommandTarget,
  session: Session | undefined,
  needs: readonly StateTable[],
): Promise<Plan> {
  const { context } = run
  const role = session && (await defaultRole(context, session.sql, target))
  const schemas = session ? await schemasOf(context, session.sql, target, role) : []
  const before = session ? await readAlembic(session.sql, { table: target.table, schemas, role }) : []
  const serverVersion = (session ?? run.cluster).serverVersion
  const newest = before.length < 2 ? await newestRevisions(context, target, serverVersion) : undefined
  const at = before[0]?.heads ?? []
  const pending = newest && newest.join() !== at.join()
  const reason = newest
    ? `the database is at ${renderHeads(at)}, the files are at ${renderHeads(newest)}`
    : `${programName(target.command)} itself decides what is pending`
  const needsState = needs.length > 0 || pending !== false
  const state = !needsState ? [] : session ? await missingState(context, session.sql, { needs }) : wholeState(needs)
  return { target, role, before, pending, change: { action: 'run', object: nameOf(target), reason }, state }
}

/** The plan, to be reviewed: a program that decides itself what is pending will be run. */
const itemsOf = ({ state, pending, change }: Plan): Item[] => [
  ...stateChanges(state).map((item) => ({ ...item, implied: true })),
  ...(pending === false ? [] : [change]),
]

function showPlan(context: Context, plan: Plan, show: Show): StepResult[] {
  const { target, pending, change, state, before } = plan
  for (const { name, heads } of before) if (heads.length > 1) context.out.warn(severalHeads(name, heads).message)
  show([...stateChanges(state), ...(pending ? [change] : [])], { items: () => itemsOf(plan) })
  if (pending === undefined)
    context.out.warn(
      `what \`${nameOf(target)}\` would change is not known before it runs: it decides itself what is pending`,
    )
  return []
}

/** The heads of Alembic's files, by asking Alembic; undefined for other programs. @throws {AppError} `history`, `migration` */
async function newestRevisions(
  context: Context,
  target: CommandTarget,
  serverVersion: number,
): Promise<string[] | undefined> {
  const asking = headsCommand(target.command)
  if (!asking) return undefined
  const known = newestOf.get(target)
  if (known) return known
  // It needs no database, so it gets no password: the code that it loads is not ours.
  const connection = { ...context.connection(), password: () => undefined, fresh: undefined }
  const { lines } = await runToEnd(context, asking, { role: undefined, serverVersion, connection, quiet: true })
  const heads = parseHeads(lines.join('\n'))
  if (heads.length > 1) throw severalHeads('the files', heads)
  newestOf.set(target, heads)
  return heads
}

/** Alembic is asked only once in a run: the files do not change meanwhile, and starting Python is slow. */
const newestOf = new WeakMap<CommandTarget, string[]>()

/** 24 hours: a program may run for long, and connect again. */
const commandMs = 86_400_000

/** Gives the program a login without our rights, where needed. Its sessions start as the role, whether or not its driver reads PGOPTIONS. */
async function withCommandLogin<T>(
  run: Run,
  { role }: Plan,
  { own, isolation }: { own: Session; isolation: Isolation },
  use: (connection: Connection | undefined) => Promise<T>,
): Promise<T> {
  const connection = run.context.connection()
  const { database } = connection
  if (role === undefined) return use(undefined)
  if (isolation.mode === 'url') {
    await run.close(await openConfigured(run, { own, role, database, isolation }))
    return use({ ...besides(isolation.connection, connection), database })
  }
  if (isolation.mode !== 'login') return use(undefined)
  const options = { database, role, isolation, startsAsRole: true, validMs: commandMs }
  return withRunLogin(
    run,
    options,
    ({ user, password }) => use({ ...loggedInAs(connection, { user, password }), foreign: undefined }),
    own,
  )
}

/** @returns how long it took, in milliseconds */
async function runCommand(
  run: Run,
  { target, role }: Plan,
  serverVersion: number,
  connection: Connection | undefined,
): Promise<number> {
  const startedAt = performance.now()
  try {
    await runToEnd(run.context, target.command, { role, serverVersion, connection, run })
    return performance.now() - startedAt
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    const results = [{ name: nameOf(target), status: 'failed', duration_ms: performance.now() - startedAt }]
    throw error.with({ report: { results } })
  }
}

/** @throws {AppError} `history` */
function refuseSeveral(tables: AlembicTable[]): void {
  const split = tables.find(({ heads }) => heads.length > 1)
  if (split) throw severalHeads(split.name, split.heads)
}

/** The revision of each table: `aaa1`; with the names of the tables if there are several. */
const renderTables = (tables: AlembicTable[]) =>
  tables.length < 2
    ? renderHeads(tables[0]?.heads ?? [])
    : someOf(tables.map(({ name, heads }) => `${renderHeads(heads)} in ${name}`))

/** Warns when another role owns Alembic's table: privileges are granted as if the owner of the database had created everything. */
function warnOfOwner({ connection, out }: Context, { role, target }: Plan, tables: AlembicTable[]): void {
  const stray = tables.find(({ owner }) => role !== undefined && owner !== role && owner === connection().user)
  if (!stray) return
  out.warn(
    `${stray.name} belongs to ${stray.owner}, not to ${role}: the driver of ${programName(target.command)} does not read PGOPTIONS; ` +
      'make the program run `set role` with the name in DATABASE_ROLE before it migrates',
  )
}
