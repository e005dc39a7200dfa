import type { Log } from '../log.ts'
import type { BeforeChange, Change } from '../plan.ts'
import type { Db, Sql } from '../postgres/db.ts'
import { silently } from '../postgres/silence.ts'
import { inTransaction } from '../postgres/transaction.ts'
import {
  type ClusterAction,
  type ClusterPlan,
  type DatabasePlan,
  type GrantsPlan,
  type Planned,
  standsAlone,
} from './actions.ts'
import { failedChange, type SentPassword } from './errors.ts'
import { clusterSql, databaseSql } from './statements.ts'
import type { SessionUser } from './types.ts'

/** `lockTimeoutMs`: how long one statement waits for what others have locked. */
type Context = { beforeChange: BeforeChange; log: Log; lockTimeoutMs: number }

/**
 * Applies the plan, on a session of its own in `lock.database`. Actions that can share a transaction do.
 *
 * @throws {AppError} `refused` when our user lacks a privilege, `roles` when the server refuses a change for another reason;
 *   55P03 where others hold a lock for too long; see `isConcurrentChange` for the errors after which to read and plan again
 */
export async function applyCluster(
  sql: Sql,
  plan: ClusterPlan,
  { beforeChange, log, lockTimeoutMs }: Context,
): Promise<void> {
  if (plan.actions.length === 0) return
  await beforeChange()
  await withLockTimeout(sql, lockTimeoutMs, () => applyGroups(sql, plan, log))
}

/** 55P03 is what it throws then: exit 11. */
async function withLockTimeout(sql: Sql, ms: number, work: () => Promise<void>): Promise<void> {
  await sql.unsafe(`set lock_timeout = ${Math.round(ms)}`)
  try {
    await work()
  } catch (error) {
    // what went wrong counts; a session that was lost has no settings
    await sql.unsafe('reset lock_timeout').catch(() => {})
    throw error
  }
  await sql.unsafe('reset lock_timeout')
}

async function applyGroups(sql: Sql, plan: ClusterPlan, log: Log): Promise<void> {
  const created = new Set(plan.actions.flatMap(({ payload }) => (payload.do === 'create role' ? [payload.role] : [])))
  for (const group of inGroups(plan.actions)) {
    const [first] = group
    if (first?.payload.do === 'set password')
      await translated(first.change, () => setPassword(sql, first.payload, plan.session), first.payload)
    else if (first && standsAlone(first)) await run(sql, group, clusterSql)
    else await together(sql, group, clusterSql)
    logChanges(group, created, log)
  }
}

/**
 * Applies the plan for one database, in one transaction, on a session in that database; grants come before revokes.
 * Errors as in `applyCluster`.
 */
export async function applyDatabase(
  sql: Sql,
  plan: DatabasePlan | GrantsPlan,
  { beforeChange, log, lockTimeoutMs }: Context,
): Promise<void> {
  if (plan.actions.length === 0) return
  await beforeChange()
  await withLockTimeout(sql, lockTimeoutMs, () => together(sql, plan.actions, databaseSql))
  for (const change of plan.changes) log.debug(change, 'changed')
}

/** Changes to roles that existed before are logged at `info`, for runs whose plan nobody reads. */
function logChanges(actions: Planned<ClusterAction>[], created: Set<string>, log: Log): void {
  for (const { change, payload } of actions) {
    const role = roleChanged(payload)
    const before = role !== null && !created.has(role)
    log[before ? 'info' : 'debug'](change, before ? 'changed a role that existed before' : 'changed')
  }
}

/** The role that an action changes: for a membership the member, for a setting its role. */
function roleChanged(action: ClusterAction): string | null {
  if (action.do === 'set') return action.setting.role
  if ('member' in action) return action.member
  return 'role' in action ? action.role : null
}

/** Groups neighbouring actions that can share a transaction; the others stay alone. */
function inGroups(actions: Planned<ClusterAction>[]): Planned<ClusterAction>[][] {
  const groups: Planned<ClusterAction>[][] = []
  for (const action of actions) {
    const last = groups.at(-1)
    if (last && !standsAlone(last[0]!) && !standsAlone(action)) last.push(action)
    else groups.push([action])
  }
  return groups
}

async function run<Action>(db: Db, actions: Planned<Action>[], toSql: (action: Action) => string[]): Promise<void> {
  for (const { change, payload } of actions) {
    await translated(change, async () => {
      for (const statement of toSql(payload)) await db.unsafe(statement)
    })
  }
}

async function together<Action>(
  sql: Sql,
  actions: Planned<Action>[],
  toSql: (action: Action) => string[],
): Promise<void> {
  const last = actions.at(-1)!.change
  await translated(last, () =>
    inTransaction(sql, async (transaction) => {
      await run(transaction, actions, toSql)
    }),
  )
}

const setPassword = (sql: Sql, action: ClusterAction, session: SessionUser) =>
  silently(sql, session, async (transaction) => {
    for (const statement of clusterSql(action)) await transaction.unsafe(statement)
  })

async function translated(change: Change, work: () => Promise<unknown>, password?: SentPassword): Promise<void> {
  try {
    await work()
  } catch (error) {
    throw failedChange(change, error, password)
  }
}
