// pure
import { spelledOut } from './privileges.ts'
import type { CurrentDatabase, CurrentObject, DesiredDatabase, DesiredGrant } from './types.ts'

/** What is declared for one object or column. */
export type Wanted = {
  /** By grantee, each privilege, with whether it may be passed on. */
  present: Map<string, Map<string, boolean>>
  isDeclared: (grantee: string, privilege: string) => boolean
  mayPassOn: (grantee: string, privilege: string) => boolean
  isAbsent: (grantee: string, privilege: string) => boolean
}

/**
 * Per object and column, the declared privileges. What is declared absent wins over what is declared present, except that columns may
 * be granted of a table whose privilege as a whole is absent. Pure.
 */
export function wantedPrivileges(
  { grants }: DesiredDatabase,
  { objects, major }: CurrentDatabase,
): Map<CurrentObject, Wanted> {
  const rules = Map.groupBy(
    grants.map((grant) => ({
      ...grant,
      names: grant.names && new Set(grant.names),
      privileges: spelledOut(grant.kind, grant.privileges, major),
    })),
    placeOf,
  )
  // what is declared for all objects of a kind in a schema is worked out once
  const shared = new Map<string, Wanted>()
  return new Map(
    objects.map((object) => {
      const some = rules.get(placeOf(object)) ?? []
      if (some.some(({ names, columns }) => names !== null || columns !== undefined))
        return [object, wantedOf(object, some)]
      const key = JSON.stringify([placeOf(object), object.column === null])
      const wanted = shared.get(key) ?? wantedOf(object, some)
      shared.set(key, wanted)
      return [object, wanted]
    }),
  )
}

/** Kind and schema, which a grant and its objects have in common: with many of both, only those of one place are compared. Pure. */
export const placeOf = ({ kind, schema }: Pick<DesiredGrant | CurrentObject, 'kind' | 'schema'>): string =>
  JSON.stringify([kind, schema])

type Rule = Omit<DesiredGrant, 'privileges' | 'names'> & {
  privileges: readonly string[]
  names: ReadonlySet<string> | null
}

function wantedOf(object: CurrentObject, rules: Rule[]): Wanted {
  const present = new Map<string, Map<string, boolean>>()
  for (const rule of rules) {
    if (rule.absent || !matches(rule, object)) continue
    const privileges = present.get(rule.grantee) ?? new Map<string, boolean>()
    for (const privilege of rule.privileges)
      privileges.set(privilege, (privileges.get(privilege) ?? false) || rule.grantable === true)
    present.set(rule.grantee, privileges)
  }
  const absent = new Set<string>()
  for (const rule of rules) {
    if (!rule.absent || !(matches(rule, object) || (!rule.columns && matchesTable(rule, object)))) continue
    for (const privilege of rule.privileges) {
      if (!rule.columns && object.column !== null && present.get(rule.grantee)?.has(privilege)) continue
      absent.add(JSON.stringify([rule.grantee, privilege]))
      present.get(rule.grantee)?.delete(privilege)
    }
  }
  return {
    present,
    isDeclared: (grantee, privilege) => present.get(grantee)?.has(privilege) ?? false,
    mayPassOn: (grantee, privilege) => present.get(grantee)?.get(privilege) ?? false,
    isAbsent: (grantee, privilege) => absent.has(JSON.stringify([grantee, privilege])),
  }
}

/** Whether a grant is about this object; one with columns, about this column. */
const matches = (rule: Rule, object: CurrentObject): boolean =>
  (object.column === null ? rule.columns === undefined : (rule.columns?.includes(object.column) ?? false)) &&
  matchesTable(rule, object)

/** They are of one place already. */
const matchesTable = ({ names }: Rule, object: CurrentObject): boolean =>
  names === null || namesOf(object).some((name) => names.has(name))

/** What an object may be called in a grant: its name, or that with the types of its arguments. Pure. */
export const namesOf = ({ name, arguments: types }: CurrentObject): string[] =>
  types === null ? [name] : [name, `${name}(${types})`]
