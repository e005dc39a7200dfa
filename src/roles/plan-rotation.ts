// pure
import { AppError, usage } from '../errors.ts'
import { shellWord } from '../text.ts'
import { counted, someOf } from '../units.ts'
import type { DesiredRoles } from './types.ts'

/** Two logins of one application, which are members of one group. */
export type Pair = { group: string; logins: readonly [string, string] }

/** How many sessions each login had, at one moment. */
export type Look = ReadonlyMap<string, number>

/** What is known about which of the two is used. */
export type KnownUse = {
  /** The login that the application uses, and the one that got its new password, as they were remembered. */
  inUse?: string | undefined
  next?: string | undefined
  looks: readonly Look[]
}

/** `other` stays as it is. */
export type Chosen = { idle: string; other: string }

/**
 * The pair that a name means: the group itself, or one of its logins.
 * @throws {AppError} `usage` unless exactly two users with a declared password are members of the group
 */
export function pairOf({ roles, memberships }: Pick<DesiredRoles, 'roles' | 'memberships'>, name: string): Pair {
  const logins = new Set(
    roles.flatMap((role) => (role.kind === 'user' && role.password !== undefined ? [role.name] : [])),
  )
  const membersOf = (group: string) =>
    memberships.flatMap(({ role, member }) => (role === group && logins.has(member) ? [member] : []))
  const groups = logins.has(name)
    ? memberships.flatMap(({ role, member }) => (member === name && membersOf(role).length === 2 ? [role] : []))
    : [name]
  const [group, ...others] = groups
  const members = group === undefined ? [] : membersOf(group)
  const [one, two] = members
  if (others.length > 0)
    throw usage(`${name} has a partner in ${someOf(groups)}: name the group that is meant`, {
      hint: `for example \`pgbosun roles rotate ${shellWord(group ?? '')}\``,
    })
  if (one !== undefined && two !== undefined && members.length === 2 && group !== undefined)
    return { group, logins: [one, two] }
  const found = members.length === 0 ? 'none' : someOf(members)
  throw usage(
    `${name} does not name two logins with declared passwords that are members of one group (found ${found})`,
    {
      hint: 'declare two users with `preset: app` in one database, each with its own password, and name the owner of the database or one of the two',
    },
  )
}

const partner = ({ logins: [one, two] }: Pair, login: string) => (login === one ? two : one)

/** The most sessions that a login had at any moment. */
const sessions = (looks: readonly Look[], login: string) => Math.max(0, ...looks.map((look) => look.get(login) ?? 0))

/** @throws {AppError} `usage` if `--idle` names another role */
function asChosen(pair: Pair, idle: string): Chosen {
  if (!pair.logins.includes(idle))
    throw usage(`--idle ${idle} is neither ${pair.logins[0]} nor ${pair.logins[1]}`, { hint: 'name one of the two' })
  return { idle, other: partner(pair, idle) }
}

/**
 * Which login gets a new password. PostgreSQL does not remember when a role was last used, so it is the one that was remembered as idle, or
 * is named, or has no session while the other has some; and in none of the looks may it have a session.
 *
 * @param asked `--idle`
 * @throws {AppError} `roles` where that is not certain; nothing was changed
 */
export function chooseIdle(pair: Pair, { inUse, looks }: KnownUse, asked: string | undefined): Chosen {
  const busy = pair.logins.filter((login) => sessions(looks, login) > 0)
  const [first] = busy
  const used = asked === undefined ? (inUse ?? (busy.length === 1 ? first : undefined)) : undefined
  if (asked === undefined && used === undefined)
    throw unknown(
      busy.length === 2
        ? `${pair.logins[0]} and ${pair.logins[1]} both have sessions`
        : `neither ${pair.logins[0]} nor ${pair.logins[1]} has a session now, and nothing is remembered of them`,
      'find out which one the application has in its configuration, and name the other one with --idle',
    )
  const chosen = asChosen(pair, asked ?? partner(pair, used!))
  const open = sessions(looks, chosen.idle)
  if (open > 0)
    throw unknown(
      `${chosen.idle} has ${counted(open, 'session')}: a new password would end its next connection`,
      `if the application has been switched to ${chosen.idle}, run \`pgbosun roles rotate ${shellWord(pair.group)} --finish\`; otherwise switch it to ${chosen.other} first`,
    )
  return chosen
}

/**
 * Which login is closed once the application uses the other one.
 *
 * @param asked `--idle`: then the application need not be connected
 * @throws {AppError} `roles` where it is not certain; nothing was changed
 */
export function chooseClosed(pair: Pair, { inUse, next, looks }: KnownUse, asked: string | undefined): Chosen {
  const remembered = inUse !== undefined && next === partner(pair, inUse) ? inUse : undefined
  if (asked === undefined && remembered === undefined)
    throw unknown(
      `no rotation of ${pair.group} is under way`,
      `run \`pgbosun roles rotate ${shellWord(pair.group)}\` first, and switch the application; or name the login that nobody uses any more with --idle`,
    )
  const chosen = asChosen(pair, asked ?? remembered!)
  const open = sessions(looks, chosen.idle)
  if (open > 0)
    throw unknown(
      `${chosen.idle} still has ${counted(open, 'session')}`,
      `switch every part of the application to ${chosen.other}, wait until its old sessions have ended, and run this again`,
    )
  if (asked === undefined && sessions(looks, chosen.other) === 0)
    throw unknown(
      `nobody is connected as ${chosen.other}, so the application may not have been switched to it yet`,
      `start the application; or, if it has been switched and only does not run now, add --idle ${shellWord(chosen.idle)}`,
    )
  return chosen
}

const unknown = (message: string, hint: string) => new AppError('roles', `${message}; nothing was changed`, { hint })
