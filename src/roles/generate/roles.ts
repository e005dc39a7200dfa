// pure
import type { CurrentMembership, CurrentRole } from '../types.ts'
import { settingsOf } from './settings.ts'
import type { Found, Names, Note, Part } from './types.ts'

/** All roles that the file manages, and of the others those that it refers to. Pure. */
export function generatedRoles(
  found: Found,
  names: Names,
  referred: ReadonlySet<string>,
): { roles: Part; users: Part; notes: Note[] } {
  const notes: Note[] = []
  const roles: Record<string, Part> = {}
  const users: Record<string, Part> = {}
  const facts = factsOf(found)
  const seen = new Set(referred)
  for (const role of found.cluster.roles) {
    const { name, login } = role
    if (name.startsWith('pg_') || names.external.has(name) || names.unnamed.has(name)) continue
    const path = [login ? 'users' : 'roles', name]
    const { part, notes: more } = roleOf(role, path, { found, names, facts })
    for (const one of facts.memberships.get(name) ?? []) seen.add(one.role)
    ;(login ? users : roles)[name] = part
    notes.push(...more)
  }
  for (const [name, { reason, lost }] of names.external) {
    if (seen.has(name)) roles[name] = { external: true }
    if (seen.has(name) || lost)
      notes.push({ path: ['roles', name], text: lost ? `${name} is external: ${reason}` : reason, lost })
  }
  for (const name of names.unnamed)
    notes.push({ path: [], text: `left out: the role ${name}, a name that the file cannot have`, lost: true })
  return { roles, users, notes }
}

type Facts = ReturnType<typeof factsOf>

const factsOf = ({ cluster: { memberships, settings } }: Found) => ({
  memberships: Map.groupBy(
    memberships.filter((row) => !isCreatorsRow(row)),
    ({ member }) => member,
  ),
  settings: Map.groupBy(
    settings.filter(({ role }) => role !== null),
    ({ role }) => role!,
  ),
})

/** The membership that PostgreSQL 16+ creates for the creator of a role: it says nothing about who may do what as whom. */
const isCreatorsRow = ({ admin, inherit, set, grantedByBootstrap }: CurrentMembership) =>
  grantedByBootstrap && admin && !inherit && !set

function roleOf(
  role: CurrentRole,
  path: string[],
  { found, names, facts }: { found: Found; names: Names; facts: Facts },
): { part: Part; notes: Note[] } {
  const { name } = role
  const rows = (facts.memberships.get(name) ?? []).filter((row) => !names.unnamed.has(row.role))
  const memberships = [...Map.groupBy(rows, (row) => row.role)].map(([of, some]) => ({
    role: of,
    ...together(some, found.cluster.major),
  }))
  const stored = facts.settings.get(name) ?? []
  const everywhere = stored.filter(({ database }) => database === null)
  const start = everywhere.find((one) => one.name === 'role')?.value
  const actsAs = role.login && memberships.some((one) => one.role === start && one.set) ? start : undefined
  const config = settingsOf(
    path,
    everywhere.filter((one) => actsAs === undefined || one.name !== 'role'),
  )
  const inOne = [
    ...Map.groupBy(
      stored.filter(({ database }) => database !== null),
      ({ database }) => database!,
    ),
  ].map(([database, some]) => ({ database, ...settingsOf(path, some) }))
  const until = untilOf(role, path)
  const password = passwordOf(role, path, found, names)
  return {
    part: filled({
      ...password.part,
      memberOf: memberships.map(membershipOf),
      actsAs,
      connectionLimit: role.connectionLimit === -1 ? undefined : role.connectionLimit,
      ...until.part,
      createRole: role.createRole || undefined,
      createDb: role.createDb || undefined,
      replication: role.replication || undefined,
      bypassRls: role.bypassRls || undefined,
      inherit: role.inherits ? undefined : false,
      config: config.part,
      configIn: Object.fromEntries(
        inOne.filter(({ part }) => Object.keys(part).length > 0).map(({ database, part }) => [database, part]),
      ),
    }),
    notes: [...password.notes, ...until.notes, ...config.notes, ...inOne.flatMap(({ notes }) => notes)],
  }
}

/** Without what is not defined or empty. */
export const filled = (part: Part): Part =>
  Object.fromEntries(
    Object.entries(part).filter(
      ([, value]) => value !== undefined && !(typeof value === 'object' && Object.keys(value ?? {}).length === 0),
    ),
  )

/** From PostgreSQL 16 on, a role may have been granted several times: what one of these allows, it may. */
const together = (rows: CurrentMembership[], major: number) => ({
  admin: rows.some(({ admin }) => admin),
  inherit: major < 16 || rows.some(({ inherit }) => inherit),
  set: rows.some(({ set }) => set),
})

function membershipOf({ role, admin, inherit, set }: { role: string; admin: boolean; inherit: boolean; set: boolean }) {
  const options = { ...(admin && { admin }), ...(!inherit && { inherit }), ...(!set && { set }) }
  return Object.keys(options).length === 0 ? role : { role, ...options }
}

function untilOf({ login, validUntil }: CurrentRole, path: string[]): { part: Part; notes: Note[] } {
  if (validUntil === 'infinity') return { part: {}, notes: [] }
  if (!login)
    return { part: {}, notes: [{ path, text: 'left out: its validUntil, which only users have', lost: true }] }
  const instant = new Date(Number(validUntil))
  return Number.isNaN(instant.getTime()) || instant.getUTCFullYear() > 9999 || instant.getUTCFullYear() < 0
    ? { part: {}, notes: [{ path, text: 'left out: its validUntil is out of range', lost: true }] }
    : { part: { validUntil: instant.toISOString() }, notes: [] }
}

function passwordOf(
  { name, login }: CurrentRole,
  path: string[],
  { passwords }: Found,
  { variables }: Names,
): { part: Part; notes: Note[] } {
  const note = (text: string, lost: boolean) => ({ part: {}, notes: [{ path, text, lost }] })
  if (passwords === undefined) return login ? note('whether it has a password could not be read', false) : nothing
  if (!passwords.has(name)) return login ? note('it has no password', false) : nothing
  return login
    ? { part: { password: { env: variables.get(name) } }, notes: [] }
    : note('left out: its password, which only users have', true)
}

const nothing = { part: {}, notes: [] }
