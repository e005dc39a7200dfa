import type { Db } from '../postgres/db.ts'
import type { ClusterPlan, DatabasePlan } from './actions.ts'
import { adminStatements, refuseTheirs } from './admin-script.ts'
import { type Division, divide, type Item, rightsQuestion } from './capable.ts'
import { withJoins } from './joining.ts'
import type { DatabaseFacts } from './needs.ts'
import { type Rights, readDatabaseRights, readRights } from './rights.ts'
import type { CurrentDatabase, DesiredRoles } from './types.ts'

/** What is planned, and who can do it. */
export type Authority = { division: Division; rights: Rights }

type Planned = { desired: DesiredRoles; major: number; items: Item[]; databases: ReadonlyMap<string, DatabaseFacts> }

/** Reads what we may do, and divides what is planned. @param db any session of ours. One round trip. */
export async function readAuthority(db: Db, { desired, major, items, databases }: Planned): Promise<Authority> {
  const rights = await readRights(db, rightsQuestion({ major, items, databases }))
  return { division: divide({ desired, rights, items, databases }), rights }
}

/** @throws {AppError} `refused`, with the SQL for an administrator, unless we can do everything that is planned */
export function refuseUnlessOurs({ division, rights }: Authority, changes: number): void {
  const statements = adminStatements(division, rights)
  if (statements.length > 0) throw refuseTheirs(statements, { user: rights.user.name, changes })
}

/** Refuses a plan for the whole server of which we cannot do everything; nothing is asked for a superuser. Errors as in {@link refuseUnlessOurs}. */
export async function refuseForeign(
  db: Db,
  { session, actions }: ClusterPlan,
  about: { desired: DesiredRoles; major: number },
): Promise<void> {
  if (session.superuser || actions.length === 0) return
  const items = actions.map((planned) => ({ database: null, planned }))
  refuseUnlessOurs(await readAuthority(db, { ...about, items, databases: new Map() }), items.length)
}

/**
 * The plan for one database, with what makes its actions possible. A superuser's is returned as it is.
 * @param db a session in that database
 * @throws {AppError} as {@link refuseUnlessOurs}
 */
export async function authorised(
  db: Db,
  plan: DatabasePlan,
  { desired, name, current }: { desired: DesiredRoles; name: string; current: CurrentDatabase },
): Promise<DatabasePlan> {
  if (plan.session.superuser || plan.actions.length === 0) return plan
  const items = plan.actions.map((planned) => ({ database: name, planned }))
  const databases = new Map([[name, { current, rights: await readDatabaseRights(db) }]])
  const authority = await readAuthority(db, { desired, major: current.major, items, databases })
  refuseUnlessOurs(authority, items.length)
  const actions = withJoins(plan.actions, authority.division, authority.rights)
  return { ...plan, actions, changes: actions.map(({ change }) => change) }
}
