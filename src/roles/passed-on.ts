// pure
import type { AclEntry } from './types.ts'

/** An entry that somebody is not to have, or whose grant option. */
export type Surplus = {
  entry: AclEntry
  /** The privilege is declared, passing it on is not. */
  optionOnly: boolean
  /** Managed roles that have it from there, at first hand or further on: it goes with it. */
  passedOn: string[]
  /** Roles that have it from there and are nobody's business: it stays because of them. */
  keptBy: string[]
}

type Rules = {
  /** Roles whose privileges are exactly the declared ones. */
  exact: Set<string>
  isDeclared: (grantee: string, privilege: string) => boolean
  /** For whose sake an entry cannot go, though it was not passed on to them from here. */
  heldBy?: (entry: AclEntry) => string[]
}

/**
 * What has to be revoked of an access control list, with what hangs on it: PostgreSQL refuses to take a grant option from somebody
 * who has used it (2BP01), unless what was passed on goes as well. Pure.
 *
 * @returns `stays`: the entries that are left once that is done
 */
export function planSurplus(
  acl: AclEntry[],
  { exact, isDeclared, heldBy = () => [] }: Rules,
): { surplus: Surplus[]; stays: AclEntry[] } {
  const candidates = acl.filter(
    ({ grantee, privilege, grantable }) => exact.has(grantee) && (grantable || !isDeclared(grantee, privilege)),
  )
  const surplus = candidates.map((entry): Surplus => {
    const given = entry.grantable ? passedOnBy(entry, acl) : []
    const kept = [...namesOf(given.filter(({ grantee }) => !exact.has(grantee))), ...heldBy(entry)]
    return {
      entry,
      optionOnly: isDeclared(entry.grantee, entry.privilege),
      passedOn: kept.length > 0 ? [] : namesOf(given),
      keptBy: [...new Set(kept)].sort(),
    }
  })
  const going = surplus.filter(({ keptBy }) => keptBy.length === 0)
  const withOthers = new Set(going.flatMap(({ entry }) => (entry.grantable ? passedOnBy(entry, acl) : [])))
  const gone = new Set([...withOthers, ...going.filter(({ optionOnly }) => !optionOnly).map(({ entry }) => entry)])
  return {
    surplus: surplus.filter(({ entry }) => !withOthers.has(entry)),
    stays: acl.filter((entry) => !gone.has(entry)),
  }
}

const namesOf = (entries: AclEntry[]) => [...new Set(entries.map(({ grantee }) => grantee))].sort()

/** Everything that was granted with the option of an entry, at first hand or further on. */
function passedOnBy({ grantee, privilege }: AclEntry, acl: AclEntry[]): AclEntry[] {
  const found = new Set<AclEntry>()
  const grantors = new Set([grantee])
  for (const grantor of grantors)
    for (const entry of acl) {
      if (entry.grantor !== grantor || entry.privilege !== privilege || found.has(entry)) continue
      found.add(entry)
      if (entry.grantable) grantors.add(entry.grantee)
    }
  return [...found]
}

/** Who else is concerned by a surplus entry, for the reason of its change. */
export const describeOthers = ({
  grantee,
  passedOn,
  keptBy,
}: Pick<Surplus, 'passedOn' | 'keptBy'> & { grantee: string }): string[] => [
  ...(passedOn.length > 0 ? [`${grantee} passed it on to ${passedOn.join(', ')}: that goes with it`] : []),
  ...(keptBy.length > 0
    ? [
        `but ${grantee} passed it on to ${keptBy.join(', ')}, not declared here: revoke that first, or declare ${keptBy.length === 1 ? 'that role' : 'those roles'}`,
      ]
    : []),
]
