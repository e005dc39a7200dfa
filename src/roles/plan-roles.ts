// pure
import { AppError } from '../errors.ts'
import { makeVerifier, matchesVerifier, type Password } from '../postgres/scram.ts'
import { type ClusterAction, type Planned, planned } from './actions.ts'
import { whySet } from './standing.ts'
import type { CurrentCluster, CurrentRole, DesiredRole, DesiredRoles, RoleAttribute } from './types.ts'

/** Declared passwords by role. */
export type Secrets = ReadonlyMap<string, Password>

/** `randomBytes` of node:crypto, or fixed bytes in a test. */
export type RandomBytes = (size: number) => Buffer

type Actions = Planned<ClusterAction>[]

/** Creates missing roles, and alters differing attributes of existing ones, one by one. */
export function planRoles({ roles }: DesiredRoles, current: CurrentCluster): Actions {
  return roles.flatMap((role) => {
    const existing = current.roles.find(({ name }) => name === role.name)
    if (existing) return role.kind === 'user' || role.kind === 'group' ? alterRole(role, existing, current) : []
    const notNeeded = role.createdWith !== undefined && current.databases.some(({ name }) => name === role.createdWith)
    return notNeeded ? [] : createRole(role)
  })
}

function createRole(role: DesiredRole): Actions {
  const login = role.kind === 'user'
  const create: ClusterAction = { do: 'create role', role: role.name, login }
  const fresh: CurrentRole = {
    name: role.name,
    login,
    superuser: false,
    inherits: true,
    bypassRls: false,
    createRole: false,
    createDb: false,
    replication: false,
    connectionLimit: -1,
    validUntil: 'infinity',
  }
  return [
    planned(create, 'create', `role ${role.name}`, login ? 'does not exist; logs in' : 'does not exist'),
    ...alterBypass(role, fresh),
    ...alterAttributes(role, fresh),
    ...alterLimits(role, fresh),
  ]
}

function alterRole(role: DesiredRole, existing: CurrentRole, { session, major, closed }: CurrentCluster): Actions {
  const { name } = role
  const login = role.kind === 'user'
  return [
    // Removing our own LOGIN would lock out the next run.
    ...(existing.login !== login && name !== session.name && !closed?.has(name)
      ? [alterAttribute(name, 'login', login)]
      : []),
    ...(major < 16 && role.inherits && !existing.inherits && role.attributes?.inherit === undefined
      ? [alterAttribute(name, 'inherit', true)]
      : []),
    ...alterBypass(role, existing),
    ...alterAttributes(role, existing),
    ...alterLimits(role, existing),
  ]
}

const alterAttribute = (role: string, attribute: 'login' | 'bypassrls' | RoleAttribute, value: boolean) =>
  planned<ClusterAction>(
    { do: 'alter role', role, attribute, value },
    'alter',
    `role ${role}`,
    `${attribute} is ${!value}, declared ${value}`,
  )

const alterBypass = ({ name, bypassRls }: DesiredRole, existing: CurrentRole): Actions =>
  bypassRls === undefined || bypassRls === existing.bypassRls ? [] : [alterAttribute(name, 'bypassrls', bypassRls)]

function alterAttributes({ name, attributes = {} }: DesiredRole, existing: CurrentRole): Actions {
  const actual: Record<RoleAttribute, boolean> = {
    createrole: existing.createRole,
    createdb: existing.createDb,
    replication: existing.replication,
    inherit: existing.inherits,
  }
  const declared = Object.entries(attributes) as [RoleAttribute, boolean][]
  return declared
    .filter(([attribute, value]) => value !== actual[attribute])
    .map(([attribute, value]) => alterAttribute(name, attribute, value))
}

function alterLimits({ name: role, connectionLimit, validUntil }: DesiredRole, existing: CurrentRole): Actions {
  const object = `role ${role}`
  const actions: Actions = []
  if (connectionLimit !== undefined && connectionLimit !== existing.connectionLimit) {
    const reason = `connection limit is ${existing.connectionLimit}, declared ${connectionLimit}`
    actions.push(planned({ do: 'limit role', role, connectionLimit }, 'alter', object, reason))
  }
  const until = validUntil === undefined || validUntil === 'infinity' ? validUntil : Date.parse(validUntil)
  if (validUntil !== undefined && until !== existing.validUntil) {
    const was =
      typeof existing.validUntil === 'number' ? new Date(existing.validUntil).toISOString() : existing.validUntil
    actions.push(
      planned({ do: 'expire role', role, validUntil }, 'alter', object, `valid until ${was}, declared ${validUntil}`),
    )
  }
  return actions
}

/** Sets passwords where the stored verifier does not match the declared one. */
export function planPasswords(
  { roles, plaintext }: DesiredRoles,
  current: CurrentCluster,
  secrets: Secrets,
  randomBytes: RandomBytes,
): Actions {
  const plain = plaintext === true
  return roles.flatMap(({ name: role, password }) => {
    const secret = secrets.get(role)
    if (password === undefined || secret === undefined || current.closed?.has(role)) return []
    const reason = whyToSet(role, secret, current, plain)
    if (reason === undefined) return []
    const sent = plain && 'password' in secret ? secret.password : verifierOf(secret, current, randomBytes)
    const shown = plain ? `${reason}; sent as plain text, which the server sees and may log` : reason
    return [planned<ClusterAction>({ do: 'set password', role, sent, plain }, 'set', `password of role ${role}`, shown)]
  })
}

const verifierOf = (secret: Password, { scramIterations }: CurrentCluster, randomBytes: RandomBytes) =>
  'verifier' in secret
    ? secret.verifier
    : makeVerifier(secret.prepared, { salt: randomBytes(16), iterations: scramIterations })

/** Undefined if the server has the declared password. @throws {AppError} `refused` where nothing tells */
function whyToSet(
  name: string,
  secret: Password,
  { verifiers, standings, session, roles }: CurrentCluster,
  plain: boolean,
): string | undefined {
  if (verifiers === undefined) {
    const standing = standings?.get(name)
    if (standing === undefined) throw unreadableVerifiers(name, session.name)
    if (!roles.some((role) => role.name === name)) return 'has none'
    return standing === 'in place' ? undefined : whySet(standing)
  }
  const stored = verifiers.get(name) ?? null
  const match = matchesVerifier(stored, secret, name)
  // the server itself makes an md5 hash of what is sent as it is, where it is set up so
  if (match === 'yes' || (match === 'outdated' && plain)) return undefined
  return match === 'outdated' ? 'stored as an md5 hash' : stored === null ? 'has none' : 'differs from the declared one'
}

const unreadableVerifiers = (role: string, user: string) =>
  new AppError('refused', `the password of role ${role} cannot be compared: ${user} may not read pg_authid`, {
    hint: `connect as a superuser, or remove the password of ${role} from the configuration`,
  })
