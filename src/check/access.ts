// pure
import { quoteIdent } from '../sql/quote.ts'
import { counted, plural, renderAge, renderDuration, someOf } from '../units.ts'

/** A user or an owner that is declared for some databases. */
export type DeclaredAccess = { role: string; databases: string[]; hasPassword: boolean }

/** What the catalogs of the server say of who may log in where; see `readAccess`. */
export type Access = {
  /** Databases that a declared user may connect to. `byPublic`: because everybody may. */
  reachable: { role: string; database: string; byPublic: boolean }[]
  /** How many objects a declared role owns in a database. */
  owned: { role: string; database: string; count: number }[]
  /** When passwords of declared users expire, in milliseconds since 1970. */
  expiring: { role: string; atMs: number }[]
  /** Roles that may log in and have no password; undefined if that may not be read. */
  withoutPassword: string[] | undefined
  /** Declared roles that are no superusers, but may become one by SET ROLE. */
  mayBecome: { role: string; superusers: string[] }[]
  sessionUser: string
}

/** A password that expires so soon is worth a warning. */
const soonMs = 14 * 86_400_000

/** What could be safer about who may log in where, as messages. @param lockDatabase has advice of its own where it is open */
export function adviceOnAccess(
  declared: DeclaredAccess[],
  access: Access,
  { lockDatabase, now }: { lockDatabase: string; now: Date },
): string[] {
  return [
    ...reachAdvice(declared, access, lockDatabase),
    ...access.mayBecome.map(
      ({ role, superusers }) =>
        `${role} can make itself a superuser: it may SET ROLE to ${someOf(superusers)}, directly or through other roles; revoke that membership`,
    ),
    ...declared.flatMap((one) => ownedAdvice(one, access)),
    ...access.expiring.flatMap(({ role, atMs }) => expiryAdvice(role, atMs - now.getTime())),
    ...passwordAdvice(access),
  ]
}

/** Users that reach the same databases are named together. */
function reachAdvice(declared: DeclaredAccess[], { reachable }: Access, lockDatabase: string): string[] {
  const of = new Map(declared.map(({ role, databases }) => [role, databases]))
  const others = reachable.filter(({ role, database }) => of.get(role)?.includes(database) === false)
  return [
    ...together(others.filter(({ byPublic, database }) => byPublic && database !== lockDatabase)).map(
      ({ roles, databases }) => {
        const revoke = databases.map((name) => `revoke connect on database ${quoteIdent(name)} from public`)
        return `${someOf(roles)} can also connect to ${someOf(databases)}, because everybody may: \`${someOf(revoke, '; ')}\`, and grant CONNECT to those who need it`
      },
    ),
    ...together(others.filter(({ byPublic }) => !byPublic)).map(
      ({ roles, databases }) =>
        `${someOf(roles)} can also connect to ${someOf(databases)}, which ${plural(databases.length, 'is', 'are')} not declared there: own privileges, or those of a role with this member, allow it`,
    ),
  ]
}

function together(reachable: Access['reachable']): { roles: string[]; databases: string[] }[] {
  const byRole = [...Map.groupBy(reachable, ({ role }) => role)].map(([role, list]) => ({
    role,
    databases: list.map(({ database }) => database),
  }))
  return [...Map.groupBy(byRole, ({ databases }) => JSON.stringify(databases)).values()].map((group) => ({
    roles: group.map(({ role }) => role),
    databases: group[0]!.databases,
  }))
}

function ownedAdvice({ role, databases }: DeclaredAccess, { owned }: Access): string[] {
  const others = owned.filter((one) => one.role === role && !databases.includes(one.database))
  if (others.length === 0) return []
  const what = someOf(others.map(({ database, count }) => `${counted(count, 'object')} in ${database}`))
  return [
    `${role} is declared for ${someOf(databases)}, but owns ${what}: give them to the owner of that database (\`databases.NAME.reassign\`, or \`reassign owned\` there)`,
  ]
}

function expiryAdvice(role: string, inMs: number): string[] {
  if (inMs > soonMs) return []
  const what = inMs <= 0 ? `expired ${renderAge(inMs)} ago` : `expires in ${renderAge(inMs)}`
  return [
    `the password of ${role} ${what}: nobody can log in with it ${inMs <= 0 ? 'any more' : 'then'}; set a new one and \`validUntil\``,
  ]
}

function passwordAdvice({ withoutPassword, sessionUser }: Access): string[] {
  if (withoutPassword === undefined)
    return [`whether every login has a password was not checked: ${sessionUser} may not read pg_authid`]
  if (withoutPassword.length === 0) return []
  const many = withoutPassword.length
  return [
    `${plural(many, 'the login', 'the logins')} ${someOf(withoutPassword)} ${plural(many, 'has', 'have')} no password: where pg_hba.conf trusts an address, anybody there is ${plural(many, 'that user', 'such a user')}; set one, or \`alter role … nologin\``,
  ]
}

/** When passwords were set, as far as pgbosun.events tell. */
export type PasswordsSet = {
  /** By role, when pgbosun set it last, in milliseconds since 1970. */
  setAt: ReadonlyMap<string, number>
  /** The oldest event, in milliseconds since 1970; undefined if there is none, or none may be read. */
  sinceMs: number | undefined
}

/**
 * Judges `check.passwordAge`. PostgreSQL does not keep when a password was set. What pgbosun has set is in its audit trail; what it has not
 * set since the first event is at least as old as that, unless somebody has set it by hand.
 */
export function adviceOnPasswordAge(
  declared: DeclaredAccess[],
  { setAt, sinceMs }: PasswordsSet,
  { maxAgeMs, now }: { maxAgeMs: number; now: Date },
): string[] {
  const limit = `check.passwordAge is ${renderDuration(maxAgeMs)}`
  const users = declared.filter(({ hasPassword }) => hasPassword).map(({ role }) => role)
  const age = (ms: number) => now.getTime() - ms
  const old = users.filter((role) => setAt.has(role) && age(setAt.get(role)!) > maxAgeMs)
  const unset = users.filter((role) => !setAt.has(role))
  const isOld = sinceMs !== undefined && age(sinceMs) > maxAgeMs
  return [
    ...old.map((role) => `the password of ${role} was set ${renderAge(age(setAt.get(role)!))} ago, but ${limit}`),
    ...(unset.length === 0
      ? []
      : isOld
        ? [
            `the password of ${someOf(unset)} was not set by pgbosun within the last ${renderAge(age(sinceMs))}, as far as its events go back, but ${limit}`,
          ]
        : [
            `how old the password of ${someOf(unset)} is, is not known: PostgreSQL does not keep it, and pgbosun has not set it; ${limit}`,
          ]),
  ]
}
