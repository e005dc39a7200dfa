// pure
import { levels } from '../desired-database.ts'
import type { CurrentDefault, CurrentObject, DefaultKind } from '../types.ts'
import { type Entry, grantsOn, type Rest, restOf } from './grants.ts'
import { filled } from './roles.ts'
import type { Found, Names, Part } from './types.ts'

/** Owner, access levels, grants and default privileges of one schema. Pure. */
export function generatedSchema(
  { name, owner, databaseOwner }: { name: string; owner: string; databaseOwner: string },
  objects: CurrentObject[],
  { inside }: Found,
  names: Names,
): { part: Part; entries: Entry[]; referred: string[] } {
  const nameable = (one: string) => !names.unnamed.has(one)
  const rows = inside.defaults.filter(
    ({ schema, grantee, creator }) => schema === name && nameable(grantee) && nameable(creator),
  )
  const rest = restOf(objects, nameable)
  const defaults = defaultsOf(rows)
  const creators = [[owner], [...new Set([owner, ...rows.map(({ creator }) => creator)])].sort()]
    .map((some) => ({ some, access: accessLevels(rest, defaults, some) }))
    .toSorted((a, b) => weight(b.access) - weight(a.access))[0]!
  for (const [grantee, level] of creators.access) take(rest, defaults, grantee, level, creators.some)
  const entries = grantsOn(rest, inside.defaults)
  const remaining = [...defaults.values()].filter(({ privileges }) => privileges.size > 0)
  const named = creators.access.size > 0 && creators.some.length > 1
  return {
    part: filled({
      owner: owner === databaseOwner ? undefined : owner,
      creators: named ? creators.some : undefined,
      access: Object.fromEntries(creators.access),
      grants: entries.map(({ part }) => part),
      defaultPrivileges: remaining.map((one) => defaultOf(one, owner)),
    }),
    entries: [
      ...entries,
      ...[...creators.access.keys()].map((grantee) => ({ grantee, part: {}, absent: false, open: false })),
    ],
    referred: [
      owner,
      ...(named ? creators.some : []),
      ...remaining.flatMap(({ creator, grantee }) => [creator, grantee]),
    ],
  }
}

type Default = Pick<CurrentDefault, 'creator' | 'kind' | 'grantee'> & { privileges: Set<string> }
type Defaults = Map<string, Default>

const keyOf = ({ creator, kind, grantee }: Pick<CurrentDefault, 'creator' | 'kind' | 'grantee'>) =>
  JSON.stringify([creator, kind, grantee])

/** Default privileges, one entry for each creator, kind and grantee. Pure. */
export function defaultsOf(rows: CurrentDefault[]): Defaults {
  const defaults: Defaults = new Map()
  for (const row of rows) {
    const { creator, kind, grantee, privilege } = row
    const entry = defaults.get(keyOf(row)) ?? { creator, kind, grantee, privileges: new Set<string>() }
    entry.privileges.add(privilege)
    defaults.set(keyOf(row), entry)
  }
  return defaults
}

const defaultOf = ({ creator, kind, grantee, privileges }: Default, owner: string): Part => ({
  ...(creator !== owner && { creator }),
  on: kind,
  to: grantee,
  privileges: [...privileges].sort(),
})

/** What each level says, by kind, for one who has it. */
const rulesOf = (level: string) => Object.entries(levels[level]!) as [Exclude<DefaultKind, 'large object'>, string[]][]

/** Whether a level says nothing of what is created later. */
const isNow = (level: string) => rulesOf(level).every(([kind]) => kind === 'schema')

/** The highest level whose privileges a role has on everything that exists, and will have on everything that the creators make. */
function accessLevels(rest: Rest, defaults: Defaults, creators: string[]): Map<string, string> {
  const found = new Map<string, string>()
  const grantees = new Set([...rest].flatMap(([{ kind }, held]) => (kind === 'schema' ? [...held.keys()] : [])))
  grantees.delete('PUBLIC')
  for (const grantee of [...grantees].sort()) {
    const level = ['write', 'read', 'create', 'use'].find((one) =>
      rulesOf(one).every(([kind, privileges]) => {
        const now = [...rest].every(([object, held]) => {
          const own = object.kind === kind && object.column === null ? held.get(grantee) : undefined
          // a level without the option is not worth a line beside the grant with it
          const has = (privilege: string) => own?.has(privilege) && !(own.get(privilege) && isNow(one))
          return object.kind !== kind || object.column !== null || privileges.every(has)
        })
        const later = () =>
          creators.every((creator) => {
            const held = defaults.get(keyOf({ creator, kind, grantee }))?.privileges
            return creator === grantee || privileges.every((privilege) => held?.has(privilege))
          })
        return now && (kind === 'schema' || later())
      }),
    )
    if (level !== undefined) found.set(grantee, level)
  }
  return found
}

const weight = (access: Map<string, string>) =>
  [...access.values()].reduce((sum, level) => sum + (['read', 'write'].includes(level) ? 1000 : 1), 0)

/** Takes away what a level says, so that the rest is what must be written beside it. */
function take(rest: Rest, defaults: Defaults, grantee: string, level: string, creators: string[]): void {
  for (const [kind, privileges] of rulesOf(level)) {
    for (const [object, held] of rest) {
      const own = held.get(grantee)
      if (object.kind !== kind || object.column !== null || own === undefined) continue
      for (const privilege of privileges) if (own.get(privilege) === false) own.delete(privilege)
    }
    if (kind === 'schema') continue
    for (const creator of creators)
      for (const privilege of privileges) defaults.get(keyOf({ creator, kind, grantee }))?.privileges.delete(privilege)
  }
}
