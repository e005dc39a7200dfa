import { type Connection, loggedInAs } from '../../config/connection.ts'
import { openSession } from '../../postgres/connect.ts'
import type { Db } from '../../postgres/db.ts'
import { startHeartbeat } from '../../postgres/heartbeat.ts'
import { createLogin, type Login } from '../../postgres/login.ts'
import { wasLost } from '../../postgres/lost.ts'
import type { Session } from '../../postgres/session.ts'
import { classify } from '../../postgres/wait.ts'
import { quoteIdent } from '../../sql/quote.ts'
import { type RestoredInto, type RestorePlan, whenLost } from '../apply.ts'
import { failed } from '../failure.ts'
import { loginRefused } from '../isolation.ts'
import { loginName, loginPattern } from '../name.ts'
import { createRoles, dropRoles } from '../roles.ts'
import { backUpFirst, dropSlotsOf } from '../swap/swap.ts'
import { createGate, dropGate, emptyGate, throughGate, withinTransaction } from './gate.ts'
import type { TransactionLoad } from './load.ts'
import { readLeftGates } from './read.ts'
import { inOneTransaction } from './transaction.ts'
import type { InPlaceWorld, TransactionWorld } from './world.ts'

/** What a restore in place did. */
export type RestoredInPlace = RestoredInto & { backedUp: string | null; held: boolean }

/**
 * Replaces everything in a database by a backup, in one transaction: whoever looks sees all of the old or all of the new, whatever happens
 * to us. The database stays the same one, with its OID, name, properties and sessions.
 *
 * @throws {AppError} `corrupt`, `restore`, `locked`, `refused`, `unreachable`; the message says that nothing was changed
 */
export async function restoreInPlace(plan: RestorePlan, world: InPlaceWorld): Promise<RestoredInPlace> {
  const { lock, rights, log } = world
  const { createRoles: wanted = [] } = plan
  const signal = AbortSignal.any([world.signal, whenLost(lock)])
  let roles: readonly string[] = []
  try {
    signal.throwIfAborted()
    const backedUp = world.backUp ? await backUpFirst(world.backUp, { name: plan.into, lock, log }) : null
    signal.throwIfAborted()
    if (wanted.length > 0) await createRoles(lock, wanted, rights)
    roles = wanted
    const done = await withOurSession(plan, world, (ours) => asWhoLoads(ours, plan, { ...world, signal }))
    await dropSlotsOf(plan.into, world.slots, world)
    return { ...done, missing: [], backedUp }
  } catch (error) {
    const lost = wasLost(error)
    if (!lost) await dropRoles(lock.sql, roles, log).catch(() => {})
    throw failed(error, plan, world.signal, { lost, down: false, left: undefined, published: false })
  }
}

/** Our own session in the database, which removes what killed runs left there. */
async function withOurSession<T>(
  { into }: RestorePlan,
  { connect, lock, log }: InPlaceWorld,
  use: (ours: Session) => Promise<T>,
): Promise<T> {
  const ours = await connect(into)
  const stops = [startHeartbeat(lock, { log }), startHeartbeat(ours, { log })]
  try {
    for (const left of await readLeftGates(ours.sql, loginPattern)) {
      await dropGate(ours.sql, left)
      log.info({ role: left }, 'removed what a killed restore in place left behind')
    }
    return await use(ours)
  } finally {
    for (const stop of stops) stop()
    await ours.end()
  }
}

/** Opens the session that loads: as a login that may do nothing else, where code in the backup must not get our rights. */
async function asWhoLoads(ours: Session, plan: RestorePlan, world: InPlaceWorld) {
  if (!plan.isolated) {
    const session = await world.connect(plan.into)
    try {
      return await inOneTransaction(
        plan,
        transactionWorld(world, { session, ours: withinTransaction(session.sql), login: undefined }),
      )
    } finally {
      await session.end()
    }
  }
  const login = await makeLogin(plan, world, await readLacking(ours.sql))
  try {
    await createGate(ours.sql, login.user)
    const session = await openAs(login, plan.into, world)
    try {
      const gate = throughGate(ours.sql, session.sql, login.user, world.rights.user)
      const empty = () => emptyGate(ours.sql, login.user)
      return await inOneTransaction(plan, {
        ...transactionWorld(world, { session, ours: gate, login }),
        beforeAgain: empty,
      })
    } finally {
      await session.end()
    }
  } finally {
    await dropGate(ours.sql, login.user).catch((error: Error) =>
      world.log.warn(
        { role: login.user, problem: error.message },
        'could not remove the login of this restore: the next restore will do it',
      ),
    )
  }
}

const transactionWorld = (
  world: InPlaceWorld,
  { session, ours, login }: Pick<TransactionLoad, 'session' | 'ours' | 'login'>,
): TransactionWorld => ({
  ...world,
  load: { ...world.load, session, ours, login },
  beforeAgain: async () => {},
})

const makeLogin = (
  { into, story }: RestorePlan,
  { lock, rights, validMs, load }: InPlaceWorld,
  lacks: string[],
): Promise<Login> =>
  createLogin(lock.sql, {
    database: into,
    user: loginName(story),
    rights: { sessionUser: rights.user, superuser: rights.superuser, lacks },
    validMs,
    more: (user) =>
      (load.noTablespaces ? [] : load.plan.tablespaces).map(
        (name) => `grant create on tablespace ${quoteIdent(name)} to ${quoteIdent(user)}`,
      ),
  })

/** What not everybody may do in the database. Where everybody may, a grant would leave a list of privileges where there was none. */
async function readLacking(db: Db): Promise<string[]> {
  const rows = await db.unsafe<{ privilege: string }[]>(
    `select p as privilege from pg_catalog.unnest(array['connect', 'temporary']) p
      where not pg_catalog.has_database_privilege('public', pg_catalog.current_database(), p) order by 1`,
  )
  return rows.map(({ privilege }) => privilege)
}

async function openAs(
  login: Login,
  database: string,
  { connection, applicationName, log, signal }: InPlaceWorld,
): Promise<Session> {
  const theirs: Connection = loggedInAs(connection, login)
  try {
    return await openSession(theirs, { database, applicationName, log, endWith: signal })
  } catch (error) {
    const { error: refused } = classify(error, 'the server', theirs)
    throw refused.kind === 'refused' ? loginRefused(refused.message, error) : error
  }
}
