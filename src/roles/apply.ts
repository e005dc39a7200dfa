import type { Log } from '../log.ts'
import type { BeforeChange, Change } from '../plan.ts'
import type { Db, Sql } from '../postgres/db.ts'
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

type Context = { beforeChange: BeforeChange; log: Log }

/**
 * Applies the plan, on a session of its own in `lock.database`. Actions that can share a transaction do.
 *
 * @throws {AppError} `refused` when our user lacks a privilege, `roles` when the server refuses a change for another reason;
 *   see `isConcurrentChange` for the errors after which to read and plan again
 */
export async function applyCluster(sql: Sql, plan: ClusterPlan, { beforeChange, log }: Context): Promise<void> {
  if (plan.actions.length > 0) await beforeChange()
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
  { beforeChange, log }: Context,
): Promise<void> {
  if (plan.actions.length === 0) return
  await beforeChange()
  await together(sql, plan.actions, databaseSql)
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

/** They keep a verifier out of the server's log, whether the statement succeeds or fails. */
const silence: [name: string, value: string][] = [
  ['log_statement', 'none'],
  ['log_min_error_statement', 'panic'],
  ['log_min_duration_statement', '-1'],
  ['pg_stat_statements.track_utility', 'off'],
]

/** Of the settings in {@link silence}, those that we may make: others than superusers, from PostgreSQL 15 on, those granted to them. */
async function mayBeSilent(db: Db, { superuser }: SessionUser): Promise<typeof silence> {
  if (superuser) return silence
  const may = (name: string) => `pg_catalog.has_parameter_privilege('${name}', 'SET')`
  const [row] = await db.unsafe<{ major: number }[]>(
    `select pg_catalog.current_setting('server_version_num')::int / 10000 as major`,
  )
  if (!row || row.major < 15) return []
  const [allowed] = await db.unsafe<{ names: string[] }[]>(
    `select pg_catalog.json_build_array(${silence.map(([name]) => `case when ${may(name)} then '${name}' end`).join(', ')}) as names`,
  )
  return silence.filter(([name]) => allowed?.names.includes(name))
}

/** For the rest of the transaction, as far as we may. */
export async function beSilent(transaction: Db, session: SessionUser): Promise<void> {
  const settings = await mayBeSilent(transaction, session)
  const sets = settings.map(([name, value]) => `set local ${name} = '${value}'`)
  if (sets.length > 0) await transaction.unsafe(sets.join('; '))
}

async function setPassword(sql: Sql, action: ClusterAction, session: SessionUser): Promise<void> {
  await inTransaction(sql, async (transaction) => {
    await beSilent(transaction, session)
    for (const statement of clusterSql(action)) await transaction.unsafe(statement)
  })
}

async function translated(change: Change, work: () => Promise<unknown>, password?: SentPassword): Promise<void> {
  try {
    await work()
  } catch (error) {
    throw failedChange(change, error, password)
  }
}
