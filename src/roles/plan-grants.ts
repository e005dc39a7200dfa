// pure

import { ofOneKind } from '../plan.ts'
import { type DatabaseAction, exactRoles, type GrantsPlan, makePlan, type Planned } from './actions.ts'
import { grouped, inWords, shortList, target } from './object-groups.ts'
import { findDatabase, schemaOwner } from './plan-database.ts'
import { planDefaults } from './plan-defaults.ts'
import { planUnwanted } from './plan-extensions.ts'
import { judge, planRevokes, type Verdicts } from './plan-revokes.ts'
import { strangersIn } from './strict.ts'
import type { CurrentDatabase, CurrentObject, DesiredDatabase, DesiredGrant, DesiredRoles } from './types.ts'
import { namesOf, placeOf, type Wanted, wantedPrivileges } from './wanted-privileges.ts'

type Actions = Planned<DatabaseAction>[]

/**
 * The privileges to grant and to revoke in a database, on existing and on future objects. Pure.
 * Only revokes from roles that we manage, in covered schemas, and never an owner's own privileges.
 */
export function planGrants(desired: DesiredRoles, name: string, current: CurrentDatabase): GrantsPlan {
  const database = withReaders(desired, findDatabase(desired, name), current)
  const exact = exactRoles(desired)
  exact.delete(current.owner)
  const strangers = strangersIn(desired, database, current)
  const defaults = planDefaults(desired, database, current, exact, strangers)
  const wanted = wantedPrivileges(database, current)
  // Privileges in schemas that are not declared are left alone.
  const covered = new Set(database.covered)
  const isCovered = ({ schema }: CurrentObject) => schema === null || covered.has(schema)
  const nobody = new Set<string>()
  const verdicts = judge(wanted, (object) => {
    if (!isCovered(object)) return nobody
    const others = strangers.on(object)
    return others.length === 0 ? exact : new Set([...exact, ...others])
  })
  const missing = planMissing(wanted, verdicts)
  return makePlan(
    current.session,
    [
      ...missing.filter((action) => !isOfColumn(action)),
      ...defaults.grants,
      ...planRevokes(wanted, verdicts, strangers),
      // after the revokes: revoking a privilege on a table also revokes it on the columns
      ...missing.filter(isOfColumn),
      ...defaults.revokes,
      ...planUnwanted(current),
    ],
    [unmatchedNames(database, current), unexpectedCreators(database, current)].flatMap(ofOneKind),
  )
}

/** Up to PostgreSQL 13 there is no role that reads everything, so grants in every schema are needed, even in undeclared ones. */
function withReaders({ readAll }: DesiredRoles, database: DesiredDatabase, current: CurrentDatabase): DesiredDatabase {
  if (current.major >= 14) return database
  const grants = readAll.flatMap((grantee) =>
    current.schemas.flatMap(({ name: schema }): DesiredGrant[] => [
      { schema, kind: 'schema', names: null, grantee, privileges: ['USAGE'] },
      { schema, kind: 'table', names: null, grantee, privileges: ['SELECT'] },
      { schema, kind: 'sequence', names: null, grantee, privileges: ['SELECT'] },
    ]),
  )
  return { ...database, grants: [...database.grants, ...grants] }
}

/** Grants what is missing. That includes privileges that are revoked together with the grant option they came from: the owner grants them again. */
function planMissing(wanted: Map<CurrentObject, Wanted>, verdicts: Verdicts): Actions {
  const items = [...verdicts].flatMap(([object, { stays }]) =>
    [...wanted.get(object)!.present]
      .filter(([grantee]) => grantee !== object.owner)
      .flatMap(([grantee, privileges]) =>
        [false, true].flatMap((withOption) => {
          const held = (privilege: string) =>
            stays.some(
              (entry) => entry.grantee === grantee && entry.privilege === privilege && (entry.grantable || !withOption),
            )
          const missing = [...privileges.keys()]
            .filter((one) => privileges.get(one) === withOption && !held(one))
            .sort()
          const { kind, schema, column } = object
          return missing.length === 0 ? [] : [{ key: { kind, schema, column, grantee, missing, withOption }, object }]
        }),
      ),
  )
  return grouped(items).map(({ key: { kind, column, grantee, missing, withOption }, objects }) => ({
    change: {
      action: 'grant',
      object: `${missing.join(', ')} on ${inWords(objects)} to ${grantee}${withOption ? ' with grant option' : ''}`,
      reason: objects.length === 1 ? 'is missing' : `is missing on ${shortList(objects)}`,
    },
    payload: {
      do: 'grant',
      kind,
      targets: objects.map(target),
      grantee,
      privileges: missing,
      column,
      withOption,
    },
  }))
}

const isOfColumn = ({ payload }: Actions[number]) => payload.do === 'grant' && payload.column !== null

function unmatchedNames({ name, grants }: DesiredDatabase, { objects }: CurrentDatabase): string[] {
  const keyOf = (place: string, one: string, column: string | null) => JSON.stringify([place, one, column])
  const known = new Set(
    objects.flatMap((object) => namesOf(object).map((one) => keyOf(placeOf(object), one, object.column))),
  )
  return grants
    .filter(({ absent }) => !absent)
    .flatMap((grant) => {
      const place = grant.schema === null ? '' : `${grant.schema}.`
      return (grant.names ?? []).flatMap((one) =>
        (grant.columns ?? [null])
          .filter((column) => !known.has(keyOf(placeOf(grant), one, column)))
          .map((column) => {
            const what = `${grant.kind} ${place}${one}`
            return `database ${name} has no ${column === null ? what : `column ${column} of ${what}`}, but a grant to ${grant.grantee} names it`
          }),
      )
    })
}

/** Roles that may create objects that no default privileges are declared for. */
function unexpectedCreators(database: DesiredDatabase, current: CurrentDatabase): string[] {
  return current.objects.flatMap((object) => {
    if (object.kind !== 'schema') return []
    const defaults = database.defaults.filter(({ schema }) => schema === object.name)
    if (defaults.length === 0) return []
    const expected = new Set([
      schemaOwner(object.name, database, current),
      ...defaults.flatMap(({ creators }) => creators ?? []),
    ])
    return object.acl
      .filter(({ privilege, grantee }) => privilege === 'CREATE' && grantee !== 'PUBLIC' && !expected.has(grantee))
      .map(
        ({ grantee }) =>
          `${grantee} may create objects in schema ${object.name}, but no default privileges are declared for them: add ${grantee} to \`creators\``,
      )
  })
}
