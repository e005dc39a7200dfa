// pure
import type { DatabaseAction, Planned } from './actions.ts'
import { grouped, inWords, shortList, target } from './object-groups.ts'
import { describeOthers, planSurplus, type Surplus } from './passed-on.ts'
import type { Strangers } from './strict.ts'
import type { AclEntry, CurrentObject } from './types.ts'
import type { Wanted } from './wanted-privileges.ts'

/** Per object, what must be revoked and what stays. */
export type Verdicts = Map<CurrentObject, { surplus: Surplus[]; stays: AclEntry[] }>

/**
 * Decides what must be revoked and what stays. Revoking a privilege on a table also revokes it on its columns, so if it must stay on a
 * column, it stays on the table; and what is declared on a column does not count as staying, so that it is granted again. Pure.
 *
 * @param exactOn the roles that shall have exactly the declared privileges on an object
 */
export function judge(wanted: Map<CurrentObject, Wanted>, exactOn: (object: CurrentObject) => Set<string>): Verdicts {
  const held = new Map<string, string[]>()
  const verdicts: Verdicts = new Map()
  const look = (object: CurrentObject, heldBy: (entry: AclEntry) => string[]) => {
    const verdict = planSurplus(object.acl, { ...wanted.get(object)!, exact: exactOn(object), heldBy })
    verdicts.set(object, verdict)
    return verdict
  }
  const objects = [...wanted.keys()]
  for (const object of objects.filter(({ column }) => column !== null))
    for (const { entry, keptBy } of look(object, () => []).surplus) {
      const key = keyOf(object, entry)
      held.set(key, [...(held.get(key) ?? []), ...keptBy])
    }
  const taken = new Set<string>()
  for (const object of objects.filter(({ column }) => column === null))
    for (const { entry, keptBy } of look(object, (entry) => held.get(keyOf(object, entry)) ?? []).surplus)
      if (object.kind === 'table' && keptBy.length === 0) taken.add(keyOf(object, entry))
  for (const object of objects.filter(({ column }) => column !== null)) {
    const { surplus, stays } = verdicts.get(object)!
    verdicts.set(object, { surplus, stays: stays.filter((entry) => !taken.has(keyOf(object, entry))) })
  }
  // In the order of the objects.
  return new Map(objects.map((object) => [object, verdicts.get(object)!]))
}

const keyOf = ({ schema, name }: CurrentObject, { grantee, privilege, grantor }: AclEntry) =>
  JSON.stringify([schema, name, grantee, privilege, grantor])

/** The revokes that follow from the verdicts. Pure. */
export function planRevokes(
  wanted: Map<CurrentObject, Wanted>,
  verdicts: Verdicts,
  strangers: Strangers,
): Planned<DatabaseAction>[] {
  const items = [...verdicts].flatMap(([object, { surplus }]) =>
    surplus.map(({ entry, optionOnly, passedOn, keptBy }) => ({
      object,
      key: {
        kind: object.kind,
        schema: object.schema,
        grantee: entry.grantee,
        privilege: entry.privilege,
        grantor: entry.grantor === object.owner ? null : entry.grantor,
        column: object.column,
        absent: wanted.get(object)!.isAbsent(entry.grantee, entry.privilege),
        losers: losersOf(object, entry, passedOn, wanted.get(object)!, strangers),
        optionOnly,
        passedOn,
        keptBy,
      },
    })),
  )
  // Grants by other roles are revoked first, because they may depend on grants by the owner; columns before tables, which would include them.
  const order = ({ grantor, column }: (typeof items)[number]['key']) =>
    (grantor === null ? 2 : 0) + (column === null ? 1 : 0)
  return grouped(items)
    .toSorted((a, b) => order(a.key) - order(b.key))
    .map(
      ({
        key: { kind, grantee, privilege, grantor, column, absent, losers, optionOnly, passedOn, keptBy },
        objects,
      }) => {
        const why = absent ? 'is declared absent' : 'is not declared'
        return {
          change: {
            action: 'revoke',
            object: `${optionOnly ? 'the grant option of ' : ''}${privilege} on ${inWords(objects)} from ${grantee}`,
            reason: [
              objects.length === 1 ? why : `${why} on ${shortList(objects)}`,
              ...describeOthers({ grantee, passedOn, keptBy }),
            ].join('; '),
          },
          payload: {
            do: 'revoke',
            kind,
            targets: objects.map(target),
            grantee,
            privileges: [privilege],
            grantor,
            column,
            optionOnly,
            ...(losers.length > 0 && { losers }),
            cascade: passedOn.length > 0,
            impossible: keptBy.length > 0,
          },
        }
      },
    )
}

/** Of those who lose a privilege, the ones that the file does not name. */
function losersOf(
  object: CurrentObject,
  { grantee, privilege }: AclEntry,
  passedOn: string[],
  { isAbsent }: Wanted,
  strangers: Strangers,
): string[] {
  const unnamed = strangers.on(object)
  return [grantee, ...passedOn].filter((name) => unnamed.includes(name) && !isAbsent(name, privilege))
}
