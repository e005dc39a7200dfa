import { setTimeout as sleep } from 'node:timers/promises'
import { AppError } from '../../errors.ts'
import type { Change, Item } from '../../plan.ts'
import { createBlockerWatch } from '../../postgres/blockers.ts'
import type { Db } from '../../postgres/db.ts'
import { isServerError } from '../../postgres/server-error.ts'
import type { Session } from '../../postgres/session.ts'
import { inTransaction } from '../../postgres/transaction.ts'
import type { AdminStatement } from '../../roles/admin-script.ts'
import { failedChange, refuseUnprivileged } from '../../roles/errors.ts'
import { reassignItems } from '../../roles/items.ts'
import { readOwnership } from '../../roles/ownership.ts'
import { planReassign, type ReassignPlan } from '../../roles/plan-ownership.ts'
import { leaveSql, planRemovals, type RemovalPlan, regrantSql } from '../../roles/plan-removal.ts'
import { applyReassign } from '../../roles/reassign.ts'
import { readDoomed } from '../../roles/removal.ts'
import type { DesiredRoles, OwnedObject, SessionUser } from '../../roles/types.ts'
import type { Journal } from '../../run/journal.ts'
import type { Run } from '../../run/run.ts'
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts'
import { counted, someOf } from '../../units.ts'

/** The removal of one role, with what changes its owner, by database. */
export type Removal = RemovalPlan & { reassign: Map<string, ReassignPlan> }

/** What databases hand over to their owner before any role is removed: see `readOwners`. */
type HandedOver = ReadonlyMap<string, ReassignPlan>

/**
 * Reads how the roles that are declared absent would be removed; asks nothing when none is.
 *
 * @throws {AppError} `refused` when one of them cannot be removed as declared
 */
export async function readRemovals(
  run: Run,
  desired: DesiredRoles,
  session: SessionUser,
  handedOver: HandedOver = new Map(),
): Promise<Removal[]> {
  if (desired.absent.length === 0) return []
  const names = desired.absent.map(({ name }) => name)
  const doomed = await readDoomed(run.reads(run.cluster), names)
  const removals: Removal[] = []
  for (const plan of planRemovals(desired, doomed, session)) {
    const reassign = new Map<string, ReassignPlan>()
    for (const { database, owned } of plan.role.dependents) {
      if (database === null || owned === 0) continue
      await run.inDatabase(database, async (opened) => {
        const before = handedOver.get(database)
        if (opened) reassign.set(database, await readOwned(run, opened, database, { plan, before }))
      })
    }
    removals.push({ ...plan, reassign })
  }
  return removals
}

async function readOwned(
  run: Run,
  session: Session,
  database: string,
  { plan, before }: { plan: RemovalPlan; before: ReassignPlan | undefined },
): Promise<ReassignPlan> {
  const { name, path, definer, ...absence } = plan.absence
  const to = absence.reassignTo!
  const question = {
    roles: [to],
    users: [],
    memberOf: [],
    from: [name],
    to,
    toRoles: [to, 'pg_database_owner'],
    heirs: [],
  }
  const read = await readOwnership(run.reads(session), question)
  const gone = new Set(
    before?.actions.flatMap(({ payload }) => (payload.do === 'reassign' ? payload.objects : [])).map(keyOf),
  )
  const ownership = { ...read, owned: read.owned.filter((object) => !gone.has(keyOf(object))) }
  const bound = ownership.owned.filter((object) => object.bound)
  if (bound.length > 0)
    throw new AppError(
      'refused',
      `${name} is declared absent, but in database ${database} it owns what must belong to a superuser: ${someOf(bound.map(({ type, identity }) => `${type} ${identity}`))}`,
      { hint: 'nothing was changed; give it to a superuser, or drop it, then run this again' },
    )
  try {
    return planReassign({ name: database, owner: to, reassign: { from: [name], definer } }, ownership)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    throw error.with({
      message: `${path}.reassignTo would change the rights with which these run in database ${database}: ${someOf(
        ownership.owned.filter((one) => one.definer).map(({ type, identity }) => `${type} ${identity}`),
        ', ',
        10,
      )}`,
      hint: `nothing was changed; they would run with the rights of ${to}: review them, then write ${path}.reassignTo: { role: ${to}, definer: true }`,
    })
  }
}

const keyOf = ({ classid, oid }: OwnedObject) => `${classid} ${oid}`

/** What is shown of the removals. */
export const removalChanges = (removals: Removal[]): Change[] =>
  removals.flatMap(({ before, after, reassign }) => [
    ...before,
    ...[...reassign].flatMap(([database, { actions }]) =>
      actions.map(({ change }) => ({ ...change, object: `${change.object} (database ${database})` })),
    ),
    ...after,
  ])

/** What an administrator is told of it: its steps need several databases and looks in between, so there is no script for them. */
export const removalByHand = ({ role }: Removal): AdminStatement => ({
  ...{ database: null, sql: null, alone: false, direct: true },
  reason: `role ${role.name} is declared absent, which only a superuser may do: let pgbosun connect as one for it`,
})

/** The same, to be reviewed. The number of sessions changes by itself: that any are ended is in it where it is declared. */
export const removalItems = (removals: Removal[]): Item[] =>
  removals.flatMap(({ absence: { name, terminate }, before, after, reassign }) => [
    ...before.filter(({ action }) => action !== 'end'),
    ...(terminate ? [{ action: 'end', object: `sessions of ${name}`, reason: `${name} is declared absent` }] : []),
    ...[...reassign].flatMap(([database, plan]) => reassignItems(database, plan)),
    ...after,
  ])

/**
 * Removes roles: they can no longer log in, their sessions end, what they own goes to its new owner, database by database, then their
 * privileges and they themselves. What a killed run did not get to is in the next plan.
 */
export async function removeRoles(
  run: Run,
  removals: Removal[],
  session: SessionUser,
  journal: Journal,
): Promise<void> {
  if (removals.length === 0) return
  refuseUnprivileged(session, removalChanges(removals))
  await journal.beforeChange()
  for (const removal of removals) {
    await run.changingCluster((opened) => lockOut(run, opened, removal))
    for (const database of removal.databases)
      await run.inDatabase(database, (opened) => leave(run, opened!, database, removal, journal))
    await run.changingCluster((opened) => dropRole(opened, removal))
    for (const change of [...removal.before, ...removal.after])
      run.context.log.info(change, 'changed a role that existed before')
  }
}

/** First no new sessions, then none at all. */
async function lockOut(run: Run, { sql }: Session, { role, absence, before, after }: Removal): Promise<void> {
  if (role.login) await sql.unsafe(`alter role ${quoteIdent(role.name)} nologin`)
  const regrants = regrantSql(role, Math.floor(run.cluster.serverVersion / 10_000))
  await translated(before.at(-1) ?? after.at(-1)!, undefined, () =>
    inTransaction(sql, (transaction) => runAll(transaction, regrants)),
  )
  const deadline = performance.now() + endsWithinMs
  for (;;) {
    const left = await sql.unsafe(
      `select ${absence.terminate ? 'pg_catalog.pg_terminate_backend(pid)' : 'pid'} from pg_catalog.pg_stat_activity where usename = ${quoteLiteral(role.name)}`,
    )
    if (left.length === 0) return
    if (!absence.terminate || performance.now() > deadline)
      throw new AppError(
        'refused',
        `${role.name} is declared absent, but it has ${counted(left.length, 'open session')}`,
        {
          hint: absence.terminate
            ? 'they did not end when they were told to; run this again'
            : `it can no longer log in; close them, or set ${absence.path}.terminate: true`,
        },
      )
    await sleep(100, undefined, { signal: run.context.signal })
  }
}

const endsWithinMs = 10_000

async function leave(
  run: Run,
  { sql, pid }: Session,
  database: string,
  { role, absence, reassign, after }: Removal,
  journal: Journal,
): Promise<void> {
  const { loaded, log, signal } = run.context
  const plan = reassign.get(database)
  if (plan)
    await applyReassign(sql, plan, {
      beforeChange: journal.beforeChange,
      guard: run.guard,
      lockTimeoutMs: loaded.config.migrate.lockTimeout,
      timeoutMs: loaded.config.lock.timeout,
      watch: createBlockerWatch({ observer: run.cluster.sql, pid, everyMs: 400, log }),
      log,
      signal,
    })
  run.guard()
  await translated(after.at(-1)!, database, () =>
    inTransaction(sql, async (transaction) => {
      await transaction.unsafe(`set local lock_timeout = ${Math.round(loaded.config.lock.timeout)}`)
      await runAll(transaction, leaveSql(role.name, absence.reassignTo!))
    }),
  )
}

async function dropRole({ sql }: Session, removal: Removal): Promise<void> {
  const { absence, role, after, databases } = removal
  // Privileges on databases and other shared objects, when no database had anything of the role.
  const shared = databases.length === 0 && role.dependents.length > 0
  const statements = [...(shared ? leaveSql(role.name, absence.reassignTo!) : []), `drop role ${quoteIdent(role.name)}`]
  await translated(after.at(-1)!, undefined, () => inTransaction(sql, (transaction) => runAll(transaction, statements)))
}

async function runAll(db: Db, statements: string[]): Promise<void> {
  for (const statement of statements) await db.unsafe(statement)
}

async function translated(change: Change, database: string | undefined, work: () => Promise<unknown>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (isServerError(error) && error.code === '22012')
      throw new AppError(
        'refused',
        `${change.object} still owns something${database === undefined ? '' : ` in database ${database}`} that was not there when the plan was made, or that cannot be given away`,
        {
          hint: 'look at it (\\ddp, \\dn+, \\dt+ in psql), then run this again; what already got its new owner keeps it',
        },
      )
    throw failedChange(change, error)
  }
}
