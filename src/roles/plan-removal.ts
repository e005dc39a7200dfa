// pure
import { AppError } from '../errors.ts'
import type { Change } from '../plan.ts'
import { quoteIdent, quoteLiteral } from '../sql/quote.ts'
import { counted, someOf } from '../units.ts'
import type { Dependents, DoomedRole } from './removal.ts'
import type { DesiredAbsence, DesiredRoles, SessionUser } from './types.ts'

/** How one role is removed; each part is done in this order. */
export type RemovalPlan = {
  absence: DesiredAbsence
  role: DoomedRole
  /** Databases in which something depends on the role. */
  databases: string[]
  /** What is done before what it owns changes its owner, and afterwards. */
  before: Change[]
  after: Change[]
}

/**
 * The roles to remove, or why nothing may be changed. What they own changes its owner object by object, and is in a plan of its own. Pure.
 *
 * @throws {AppError} `refused`
 */
export function planRemovals(desired: DesiredRoles, doomed: DoomedRole[], session: SessionUser): RemovalPlan[] {
  return desired.absent.flatMap((absence) => {
    const role = doomed.find(({ name }) => name === absence.name)
    if (!role) return []
    refuse(absence, role, desired, session)
    const databases = role.dependents.flatMap(({ database }) => database ?? [])
    return [{ absence, role, databases, before: changesBefore(role), after: changesAfter(role, absence) }]
  })
}

const why = (name: string) => `${name} is declared absent`

const changesBefore = ({ name, login, sessions, granted }: DoomedRole): Change[] => [
  ...(login ? [{ action: 'alter', object: `role ${name}`, reason: 'login is true, and it is declared absent' }] : []),
  ...(sessions > 0 ? [{ action: 'end', object: `${counted(sessions, 'session')} of ${name}`, reason: why(name) }] : []),
  ...granted.map(({ role, member }) => ({
    action: 'grant',
    object: `role ${role} to ${member}`,
    reason: `${name} had granted it, and is declared absent`,
  })),
]

const changesAfter = ({ name, dependents }: DoomedRole, { reassignTo }: DesiredAbsence): Change[] => [
  ...dependents
    .filter(({ extensions }) => extensions > 0)
    .map((one) => ({
      action: 'alter',
      object: `${counted(one.extensions, 'extension or language', 'extensions or languages')}${placeOf(one)}`,
      reason: `owner is ${name}, reassigned to ${reassignTo}`,
    })),
  ...dependents
    .filter(({ named }) => named > 0)
    .map((one) => ({
      action: 'revoke',
      object: `privileges of ${name} on ${counted(one.named, 'object')}${placeOf(one)}`,
      reason: `${why(name)}; what it passed on goes too`,
    })),
  { action: 'drop', object: `role ${name}`, reason: 'is declared absent' },
]

const placeOf = ({ database }: Dependents) => (database === null ? ' of the whole server' : ` (database ${database})`)

function refuse(absence: DesiredAbsence, role: DoomedRole, desired: DesiredRoles, session: SessionUser): void {
  const { name, path } = absence
  const no = (why: string, hint: string) => {
    throw new AppError('refused', `${name} is declared absent, but ${why}`, { hint: `nothing was changed; ${hint}` })
  }
  if (name === session.name) no('pgbosun itself connects as it', 'let pgbosun connect as another user')
  if (role.superuser)
    no('it is a superuser', `look at what it is for, then: alter role ${quoteIdent(name)} nosuperuser`)
  if (role.sessions > 0 && !absence.terminate)
    no(
      `it has ${counted(role.sessions, 'open session')}`,
      `close them, or set ${path}.terminate: true, which ends them`,
    )
  if (role.dependents.length > 0 && absence.reassignTo === undefined)
    no(
      `something depends on it: ${someOf(role.dependents.map(inWords), ', ', 10)}`,
      `set ${path}.reassignTo to the role that shall own its objects; its privileges go`,
    )
  const closed = role.dependents.find(({ reachable }) => !reachable)
  if (closed)
    no(
      `something depends on it in database ${closed.database}, which accepts no connections`,
      `alter database ${quoteIdent(closed.database!)} allow_connections true, then run this again`,
    )
  const left = role.shared.filter(
    (one) => one.kind !== 'database' || !desired.databases.some((database) => getsOwner(database, one.name, name)),
  )
  if (left.length > 0)
    no(
      `it owns ${someOf(left.map((one) => `the ${one.kind} ${one.name}`))}, which reassignTo does not give away`,
      left
        .map((one) =>
          one.kind === 'database'
            ? `declare another owner: databases: { ${one.name}: { owner: … } }`
            : `alter tablespace ${quoteIdent(one.name)} owner to …`,
        )
        .join('; '),
    )
}

const getsOwner = ({ name, owner, ownerFixed }: DesiredRoles['databases'][number], database: string, from: string) =>
  name === database && ownerFixed && owner !== from

function inWords({ database, owned, named }: Dependents): string {
  const what = [
    ...(owned > 0 ? [`it owns ${counted(owned, 'object')}`] : []),
    ...(named > 0 ? [`it has privileges on ${counted(named, 'object')}`] : []),
  ]
  return `${what.join(' and ')}${database === null ? ' of the whole server' : ` in database ${database}`}`
}

/** The statements that take away what is left in one database, in one transaction: nothing may be owned that is not meant. Pure. */
export function leaveSql(name: string, to: string): string[] {
  const role = quoteIdent(name)
  return [leftovers(name), `reassign owned by ${role} to ${quoteIdent(to)}`, `drop owned by ${role}`]
}

/**
 * Fails with 22012 (division by zero) when the role still owns anything but extensions, their members, languages, default privileges and
 * user mappings: REASSIGN OWNED would give away databases too, and DROP OWNED drop what came meanwhile.
 */
const leftovers = (name: string) => `select 1 / (pg_catalog.count(*) = 0)::int from pg_catalog.pg_shdepend s
  where s.refclassid = 'pg_catalog.pg_authid'::regclass and s.refobjid = pg_catalog.quote_ident(${quoteLiteral(name)})::regrole and s.deptype = 'o'
    and (s.dbid = 0 or s.dbid = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()))
    and s.classid not in ('pg_catalog.pg_extension'::regclass, 'pg_catalog.pg_language'::regclass, 'pg_catalog.pg_default_acl'::regclass,
                          'pg_catalog.pg_user_mapping'::regclass)
    and not exists (select from pg_catalog.pg_depend d where d.classid = s.classid and d.objid = s.objid and d.deptype = 'e')`

/** Memberships that the role granted stay, granted by us: DROP OWNED would take them away. One transaction. Pure. */
export const regrantSql = ({ name, granted }: DoomedRole, major: number): string[] =>
  granted.flatMap(({ role, member, admin, inherit, set }) => {
    const [of, to] = [quoteIdent(role), quoteIdent(member)]
    return major >= 16
      ? [
          `grant ${of} to ${to} with admin ${admin}, inherit ${inherit}, set ${set}`,
          `revoke ${of} from ${to} granted by ${quoteIdent(name)}`,
        ]
      : [`revoke ${of} from ${to}`, `grant ${of} to ${to}${admin ? ' with admin option' : ''}`]
  })
