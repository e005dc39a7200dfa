import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { askingReader } from '../config/renewed.ts'
import { noteReplaced } from '../config/replaced-passwords.ts'
import { AppError } from '../errors.ts'
import { type Change, type Item, ofOneKind } from '../plan.ts'
import type { Session } from '../postgres/session.ts'
import { type ClusterAction, type ClusterPlan, type DatabasePlan, makePlan, type Planned } from '../roles/actions.ts'
import type { AdminStatement } from '../roles/admin-script.ts'
import { applyCluster, applyDatabase } from '../roles/apply.ts'
import { authorised } from '../roles/authorise.ts'
import { readCatalog, readCluster, readDatabase } from '../roles/current.ts'
import { desiredRoles } from '../roles/desired.ts'
import { isConcurrentChange, notConverged, refuseUnprivileged } from '../roles/errors.ts'
import { freshDatabase } from '../roles/fresh.ts'
import { clusterItems, databaseItems, reassignItems, thingsIn } from '../roles/items.ts'
import { isOwn, refusedLogin } from '../roles/own-login.ts'
import { planCluster } from '../roles/plan-cluster.ts'
import { adviceOnOpenSchemas, planDatabase } from '../roles/plan-database.ts'
import { planGrants } from '../roles/plan-grants.ts'
import { planPasswords, type Secrets } from '../roles/plan-roles.ts'
import { readSecrets } from '../roles/secrets.ts'
import { describeLosses, lossesOf } from '../roles/strict.ts'
import type { CurrentCluster, DesiredRoles } from '../roles/types.ts'
import type { Context } from '../run/context.ts'
import type { Journal } from '../run/journal.ts'
import type { Run } from '../run/run.ts'
import type { Show } from '../run/story.ts'
import { someOf } from '../units.ts'
import { ableTo, forAdmin, noteForAdmin, planWhole, refuseWhole, type WholePlan } from './authority.ts'
import { closedLogins } from './closed-logins.ts'
import { refuseLosses, refuseUnaccepted } from './losses.ts'
import { askAboutOwners, handOver, handoverChanges, handoverItems, type Owners, readOwners } from './ownership.ts'
import { readRemovals, removalChanges, removalItems, removeRoles } from './removal.ts'

/** The declared roles and databases, with the passwords. */
export type Declared = {
  desired: DesiredRoles
  secrets: Secrets
  /** Only look: what cannot be read is reported, and the rest is compared. */
  looking: boolean
  /** Roles whose password cannot be read here. */
  unread: string[]
  /** Whether everybody may lose privileges in mode `strict`, this time. */
  acceptRevokes?: boolean
}

/**
 * Reads what is declared, before anything is changed, so that an unreadable secret is exit 2. Undefined when nothing is declared.
 * @param onUnreadable called for an unreadable secret instead of failing
 */
export async function readDeclared(
  { loaded }: Context,
  onUnreadable?: (role: string, error: Error) => void,
): Promise<Declared | undefined> {
  const { databases, roles, users } = loaded.config
  if ([databases, roles, users].every((map) => Object.keys(map).length === 0)) return undefined
  const desired = desiredRoles(loaded.config)
  const unread: string[] = []
  const hear =
    onUnreadable &&
    ((role: string, error: Error) => {
      onUnreadable(role, error)
      unread.push(role)
    })
  const secrets = await readSecrets(desired, askingReader(loaded), hear)
  return { desired, secrets, looking: onUnreadable !== undefined, unread }
}

/** The same for commands that only read: a container that only checks need not have the secrets of roles. What cannot be read is reported by name. */
export const readDeclaredToLook = (context: Context): Promise<Declared | undefined> =>
  readDeclared(context, (role, error) => {
    if (!(error instanceof AppError) || error.kind !== 'usage') throw error
    context.out.warn(`the password of role ${role} was not compared: ${error.message}`)
  })

/** Databases, roles, memberships, then schemas and extensions in each database. */
export async function ensure(run: Run, declared: Declared, show: Show, journal: Journal): Promise<void> {
  const { desired } = declared
  const { out, log } = run.context
  let applied: { plan: ClusterPlan; current: CurrentCluster } | undefined
  await converging(run, async (again) => {
    const first = await clusterPlan(run, declared)
    const { standings } = first.current
    const owners = await readOwners(run, desired, first.current)
    if (owners.refusal) throw owners.refusal
    for (const problem of ofOneKind(owners.lockedOut)) out.warn(problem)
    // Refuses what could not be done later.
    const removals = await readRemovals(run, desired, first.plan.session)
    refuseUnprivileged(first.plan.session, removalChanges(removals))
    await refuseLosses(run, declared.acceptRevokes ?? false, desired)
    const handover = handoverChanges(owners)
    if (!first.plan.session.superuser) refuseWhole(await planWhole(run, desired, first.plan, owners))
    if (first.plan.changes.length + handover.length === 0) return
    await run.changingCluster(async ({ sql }) => {
      // The backend of a killed run has ended only now, and may still have finished its work, such as creating a database.
      const { plan, current } = await clusterPlan(run, declared, standings)
      const own = (action: Planned<ClusterAction>) => isOwn(action, plan.session.name)
      // Applications start as the new owner only after everything was handed over; until then they keep their roles.
      const apps = new Set(desired.databases.flatMap((database) => database.apps))
      const isOfApps = ({ payload }: Planned<ClusterAction>) => payload.do === 'revoke role' && apps.has(payload.member)
      const [before, after] =
        handover.length > 0
          ? splitPlan(plan, (action) => startsAsRole(action) || isOfApps(action) || own(action))
          : [plan, undefined]
      const parts = await authorisedParts(run, desired, { plan, before, after, owners })
      const notes = await noted(run, plan, current)
      const plans = [parts.before, ...(parts.after ? [parts.after] : [])]
      const items = () => [
        ...plans.flatMap(clusterItems),
        ...handoverItems(parts),
        ...notes.map((change) => ({ ...change, implied: true })),
      ]
      show([...plans.flatMap(({ changes }) => changes), ...handoverChanges(parts), ...notes], { again, items })
      await applyCluster(sql, parts.before, { beforeChange: journal.beforeChange, log })
      await handOver(run, parts, journal)
      if (parts.after) await applyCluster(sql, parts.after, { beforeChange: journal.beforeChange, log })
      noteOwnPassword(run, plan, declared.secrets)
      applied = { plan, current }
    })
  })
  if (desired.databases.some(({ name }) => name === run.context.connection().database)) await run.openTarget()
  if (applied?.current.verifiers === undefined && applied)
    await (await unread()).notePasswords(run, applied.plan, declared.secrets)
  await eachDatabase(run, desired, planDatabase, show, journal)
  await removeAbsent(run, declared, show, journal)
}

/** Removes the roles that are declared absent: last, because schemas and databases may have just got another owner. */
async function removeAbsent(run: Run, declared: Declared, show: Show, journal: Journal): Promise<void> {
  if (declared.desired.absent.length === 0) return
  await converging(run, async (again) => {
    const { session } = (await clusterPlan(run, declared)).plan
    const removals = await readRemovals(run, declared.desired, session)
    show(removalChanges(removals), { again, items: () => removalItems(removals) })
    await removeRoles(run, removals, session, journal)
  })
}

type Parts = { before: ClusterPlan; after: ClusterPlan | undefined; reassign: Owners['reassign'] }

/** The parts of a plan, in order, with what makes them possible for us. */
async function authorisedParts(
  run: Run,
  desired: DesiredRoles,
  {
    plan,
    before,
    after,
    owners,
  }: { plan: ClusterPlan; before: ClusterPlan; after: ClusterPlan | undefined; owners: Owners },
): Promise<Parts> {
  if (plan.session.superuser) return { before, after, reassign: owners.reassign }
  const whole = await planWhole(run, desired, plan, owners)
  refuseWhole(whole)
  const member = new Set<string>()
  const able = (part: ClusterPlan) => makePlan(part.session, ableTo(whole, part.actions, member), part.warnings)
  const first = able(before)
  const reassign = new Map(
    [...owners.reassign].map(([name, one]) => [name, { ...one, actions: ableTo(whole, one.actions, member) }]),
  )
  return { before: first, reassign, after: after && able(after) }
}

/** Grants privileges on what exists, and default privileges on what will be created. */
export async function grant(run: Run, declared: Declared, show: Show, journal: Journal): Promise<void> {
  const planner: Planner = (desired, name, current) => {
    const plan = planGrants(desired, name, current)
    refuseUnaccepted(declared.acceptRevokes ?? false, lossesOf(desired, plan))
    return plan
  }
  await eachDatabase(run, declared.desired, planner, show, journal)
}

type Planner = typeof planDatabase | typeof planGrants

async function eachDatabase(
  run: Run,
  desired: DesiredRoles,
  planner: Planner,
  show: Show,
  journal: Journal,
): Promise<void> {
  for (const { name } of desired.databases) {
    await run.inDatabase(name, (session) =>
      converging(run, async (again) => {
        const plan = await databasePlan(run, session!, desired, name, planner)
        show(inDatabase(name, plan.changes), { again, items: () => databaseItems(name, plan) })
        if (plan.changes.length > 0)
          await applyDatabase(session!.sql, plan, { beforeChange: journal.beforeChange, log: run.context.log })
      }),
    )
  }
}

const inDatabase = (name: string, changes: Change[]) =>
  changes.map((change) => ({ ...change, object: `${change.object} (database ${name})` }))

async function clusterPlan(
  run: Run,
  { desired, secrets, looking }: Declared,
  standings?: CurrentCluster['standings'],
): Promise<{ plan: ClusterPlan; current: CurrentCluster }> {
  const { out } = run.context
  const read = await readCluster(run.reads(run.cluster), desired)
  const closed = await closedLogins(run, desired, read)
  const open = new Map([...secrets].filter(([name]) => !closed.has(name)))
  const known = read.verifiers === undefined && !looking
  const current: CurrentCluster = {
    ...read,
    closed,
    ...(known && { standings: standings ?? (await (await unread()).readStandings(run, open, read)) }),
  }
  const unreadable = looking && current.verifiers === undefined && secrets.size > 0
  if (unreadable)
    out.warn(
      `passwords were not compared (${someOf([...secrets.keys()])}): ${current.session.name} may not read pg_authid`,
    )
  const own = current.session.name
  const refused = looking ? undefined : refusedLogin(desired, current, { now: new Date(), secret: secrets.get(own) })
  if (refused) throw refused
  const plan = planCluster(desired, current, unreadable ? new Map() : secrets, randomBytes)
  for (const warning of plan.warnings) out.warn(warning)
  return { plan, current }
}

/** Only loaded where pg_authid may not be read. */
const unread = () => import('./unread-passwords.ts')

/** What is remembered of the passwords that a plan sets, where they cannot be read back. */
const noted = async (run: Run, plan: ClusterPlan, { verifiers }: CurrentCluster): Promise<Change[]> =>
  verifiers === undefined ? (await unread()).noteChanges(run, plan) : []

const setsOwnPassword = ({ session, actions }: ClusterPlan) =>
  actions.some(({ payload }) => payload.do === 'set password' && payload.role === session.name)

/** Warns that the password pgbosun logs in with has to be changed in two places. */
function warnOfOwnPassword({ context }: Run, plan: ClusterPlan): void {
  if (!setsOwnPassword(plan)) return
  context.out.warn(
    `this changes the password of ${plan.session.name}, the user that pgbosun itself connects as: write the new one into ${placeOfOwn(context)} as well, right afterwards`,
  )
}

/** Where our own password is. */
function placeOfOwn(context: Context): string {
  const { source, login } = context.connection()
  return login?.().password ?? source
}

/** Lets the rest of this run, and `serve` after it, log in with the new password. */
function noteOwnPassword({ context }: Run, plan: ClusterPlan, secrets: Secrets): void {
  const { password } = context.connection()
  const [old, secret] = [password(), secrets.get(plan.session.name)]
  if (!setsOwnPassword(plan) || !secret || !('password' in secret) || old === undefined || old === secret.password)
    return
  noteReplaced(plan.session.name, old, secret.password)
  context.out.warn(
    `the password of ${plan.session.name}, the user that pgbosun itself connects as, was changed: write the new one into ${placeOfOwn(context)} now, or the next run will be refused`,
  )
}

/** Whether the action makes the sessions of a user start as another role. */
const startsAsRole = ({ payload }: Planned<ClusterAction>) =>
  payload.do === 'set' && payload.setting.role !== null && payload.setting.name.toLowerCase() === 'role'

/** Splits a plan into the actions to do first and those to do later, each in its order. */
function splitPlan(
  plan: ClusterPlan,
  isLater: (action: Planned<ClusterAction>) => boolean,
): [ClusterPlan, ClusterPlan] {
  const part = (later: boolean) =>
    makePlan(
      plan.session,
      plan.actions.filter((action) => isLater(action) === later),
      [],
    )
  return [part(false), part(true)]
}

/** Asks what {@link ensure} and {@link grant} will need to know about the target database, at once. */
export async function askAboutRoles(run: Run, { desired, secrets }: Declared): Promise<void> {
  const { target, context, cluster } = run
  const { database } = context.connection()
  const reads = run.reads(cluster)
  const asked: Promise<unknown>[] = [
    readCatalog(reads, desired).then((current) => askAboutOwners(run, desired, current)),
    // while the server is still answering: the step that plans finds the result
    readCluster(reads, desired).then(
      (current) => current.verifiers && planPasswords(desired, current, secrets, randomBytes),
    ),
  ]
  if (target && desired.databases.some(({ name }) => name === database))
    asked.push(readDatabase(run.reads(target), desired, database))
  await Promise.all(asked)
}

async function databasePlan(
  run: Run,
  session: Session,
  desired: DesiredRoles,
  name: string,
  planner: Planner,
): Promise<DatabasePlan> {
  const current = await readDatabase(run.reads(session), desired, name)
  const plan = planner(desired, name, current)
  for (const warning of plan.warnings) run.context.out.warn(warning)
  return authorised(session.sql, plan, { desired, name, current })
}

/** What differs from the declaration, and what is wrong with it. */
export type RoleDrift = {
  ensure: Change[]
  grant: Change[]
  /** Those of `ensure` that do not depend on who we are. */
  more: Change[]
  cluster: ClusterPlan
  owners: Owners
  /** Databases that do not exist yet. */
  absent: string[]
  /** Applications that cannot work as declared, as messages. */
  lockedOut: string[]
  /** Why `up` would change nothing. */
  refusal: AppError | undefined
  /** Schemas in which everyone may create objects, with what to do. */
  open: string[]
  /** What roles that the file does not name would lose, which nobody accepted. */
  losses: string[]
  reviewable: ReviewableRoles
}

/** The same, for a plan that is reviewed. `things`: what exists in the databases, as an atom names it. */
export type ReviewableRoles = { ensure: (() => Item[])[]; grant: (() => Item[])[]; things: (() => string[])[] }

const nothingReviewable = (): ReviewableRoles => ({ ensure: [], grant: [], things: [] })

/** {@link roleDrift} for a plan: throws what `up` would refuse. */
export async function plannedDrift(
  run: Run,
  declared: Declared | undefined,
): Promise<Pick<RoleDrift, 'ensure' | 'grant' | 'absent' | 'reviewable'>> {
  if (!declared) return { ensure: [], grant: [], absent: [], reviewable: nothingReviewable() }
  const drift = await roleDrift(run, declared)
  if (drift.refusal) throw drift.refusal
  warnOfOwnPassword(run, drift.cluster)
  for (const problem of ofOneKind(drift.lockedOut)) run.context.out.warn(problem)
  for (const loss of drift.losses)
    run.context.out.warn(
      `${loss}: up is exit 30 until manage.strictAccept names them, or roles apply --accept-revokes was run`,
    )
  if (drift.cluster.session.superuser || drift.ensure.length + drift.grant.length === 0) return drift
  return { ...drift, ...(await authorisedDrift(run, declared.desired, drift)) }
}

/** The same with what makes it possible for us; where an administrator is needed, with a warning. */
async function authorisedDrift(
  run: Run,
  desired: DesiredRoles,
  { cluster, owners, absent, more, reviewable: { things } }: RoleDrift,
): Promise<Pick<RoleDrift, 'ensure' | 'grant' | 'reviewable'>> {
  const whole = await planWhole(run, desired, cluster, owners)
  const note = noteForAdmin(whole)
  if (note !== undefined) run.context.out.warn(note)
  const member = new Set<string>()
  const server = { actions: ableTo(whole, whole.cluster, member) }
  const able = (plans: WholePlan['ensure'], leftOut: string[] = []) =>
    [...plans]
      .filter(([name]) => !leftOut.includes(name))
      .map(([name, actions]): [string, Pick<DatabasePlan, 'actions'>] => [
        name,
        { actions: ableTo(whole, actions, member) },
      ])
  const [handover, ensure, grant] = [able(whole.handover), able(whole.ensure), able(whole.grant, absent)]
  const changesOf = (plans: typeof ensure) =>
    plans.flatMap(([name, { actions }]) =>
      inDatabase(
        name,
        actions.map(({ change }) => change),
      ),
    )
  return {
    ensure: [...server.actions.map(({ change }) => change), ...changesOf(handover), ...more, ...changesOf(ensure)],
    grant: changesOf(grant),
    reviewable: {
      things,
      ensure: [
        () => clusterItems(server),
        () => handover.flatMap(([name, plan]) => reassignItems(name, plan)),
        () => more.map((change) => ({ ...change, implied: true })),
        () => ensure.flatMap(([name, plan]) => databaseItems(name, plan)),
      ],
      grant: [() => grant.flatMap(([name, plan]) => databaseItems(name, plan))],
    },
  }
}

/** What an administrator must run before our user can make everything what is declared. */
export async function planForAdmin(
  run: Run,
  declared: Declared | undefined,
): Promise<{ user: string; statements: AdminStatement[] }> {
  const [row] = await run.cluster.sql.unsafe<{ user: string }[]>('select session_user as user')
  const { user } = row!
  if (!declared) return { user, statements: [] }
  const { plan, current } = await clusterPlan(run, declared)
  const owners = await readOwners(run, declared.desired, current)
  if (owners.refusal) throw owners.refusal
  if (plan.session.superuser) return { user, statements: [] }
  return { user, statements: forAdmin(await planWhole(run, declared.desired, plan, owners)) }
}

/** What differs now from what is declared. For a database that does not exist yet, only the grants are left out. */
export async function roleDrift(run: Run, declared: Declared): Promise<RoleDrift> {
  const { plan: cluster, current } = await clusterPlan(run, declared)
  const owners = await readOwners(run, declared.desired, current)
  const more = await noted(run, cluster, current)
  const drift: RoleDrift = {
    ensure: [...cluster.changes, ...handoverChanges(owners), ...more],
    more,
    grant: [],
    cluster,
    owners,
    absent: [],
    lockedOut: owners.lockedOut,
    refusal: owners.refusal,
    open: [],
    losses: [],
    reviewable: { ...nothingReviewable(), ensure: [() => clusterItems(cluster), () => handoverItems(owners)] },
  }
  await addRemovals(run, declared, drift)
  const { reviewable } = drift
  const major = Math.floor(run.cluster.serverVersion / 10_000)
  for (const { name, owner } of declared.desired.databases) {
    await run.inDatabase(name, async (session) => {
      const current = session
        ? await readDatabase(run.reads(session), declared.desired, name)
        : freshDatabase(cluster.session, { major, owner })
      const plan = planDatabase(declared.desired, name, current)
      drift.ensure.push(...inDatabase(name, plan.changes))
      reviewable.ensure.push(() => databaseItems(name, plan))
      if (!session) return drift.absent.push(name)
      const grants = planGrants(declared.desired, name, current)
      drift.grant.push(...inDatabase(name, grants.changes))
      reviewable.grant.push(() => databaseItems(name, grants))
      reviewable.things.push(() => thingsIn(name, current))
      const losses = lossesOf(declared.desired, grants)
      if (losses.size > 0) drift.losses.push(`${describeLosses(losses)} (database ${name})`)
      drift.open.push(...adviceOnOpenSchemas(declared.desired, name, current))
    })
  }
  return drift
}

async function addRemovals(run: Run, { desired }: Declared, drift: RoleDrift): Promise<void> {
  try {
    const removals = await readRemovals(run, desired, drift.cluster.session)
    drift.ensure.push(...removalChanges(removals))
    drift.reviewable.ensure.push(() => removalItems(removals))
  } catch (error) {
    if (!(error instanceof AppError) || error.kind !== 'refused') throw error
    drift.refusal ??= error
    const undone = desired.absent.map(({ name }) => `role ${name}`)
    drift.ensure.push({ action: 'drop', object: undone.join(', '), reason: error.message })
  }
}

/** Fails unless, after everything was applied, the plan is empty. */
export async function refuseDrift(run: Run, declared: Declared): Promise<void> {
  const { ensure, grant, lockedOut } = await roleDrift(run, declared)
  const changes = [...ensure, ...grant]
  for (const problem of ofOneKind(lockedOut)) run.context.out.warn(problem)
  if (changes.length > 0) throw notConverged(changes)
}

/** Other tools do not know our lock: when one changes the same objects at the same time, read and plan again. */
async function converging(run: Run, attempt: (again: boolean) => Promise<void>): Promise<void> {
  const limit = 5
  for (let i = 1; ; i++) {
    run.guard()
    try {
      return await attempt(i > 1)
    } catch (error) {
      if (!isConcurrentChange(error) || i === limit) throw error
      run.context.log.info(
        { attempt: i, problem: (error as Error).message },
        'something else changed roles at the same time: planning again',
      )
      // Two programs that wait equally long would meet again.
      await sleep(i * (50 + Math.random() * 200), undefined, { signal: run.context.signal })
    }
  }
}
