// pure
import { plural, someOf } from '../units.ts'
import type { AclEntry } from './types.ts'

/** An entry that is not declared, or whose grant option is not. */
export type Surplus = {
  entry: AclEntry
  /** Whether only the grant option is surplus: the privilege itself is declared. */
  optionOnly: boolean
  /** Managed roles that got the privilege from this entry, directly or through others: theirs is revoked with it. */
  passedOn: string[]
  /** Roles that got the privilege from this entry and are not managed: because of them it stays. */
  keptBy: string[]
}

type Rules = {
  /** Roles that shall have exactly the declared privileges. */
  exact: Set<string>
  isDeclared: (grantee: string, privilege: string) => boolean
  /** Whether the declared privilege may be passed on. Default: it may not. */
  mayPassOn?: (grantee: string, privilege: string) => boolean
  /** Whether the privilege is declared absent, whoever has it. */
  isAbsent?: (grantee: string, privilege: string) => boolean
  /** Further roles because of which an entry must stay, although they did not get the privilege from it. */
  heldBy?: (entry: AclEntry) => string[]
}

/**
 * What has to be revoked from an access control list, with what depends on it: PostgreSQL refuses to revoke a grant option that was
 * used (2BP01), unless the privileges that were passed on are revoked as well. Pure.
 *
 * @returns `stays`: the entries that are left afterwards
 */
export function planSurplus(
  acl: AclEntry[],
  { exact, isDeclared, mayPassOn = () => false, isAbsent = () => false, heldBy = () => [] }: Rules,
): { surplus: Surplus[]; stays: AclEntry[] } {
  const candidates = acl.filter(
    ({ grantee, privilege, grantable }) =>
      isAbsent(grantee, privilege) ||
      (exact.has(grantee) && !(isDeclared(grantee, privilege) && (!grantable || mayPassOn(grantee, privilege)))),
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

/** All entries that were granted with the grant option of an entry, directly or through others. */
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

/** Text about other roles that a surplus entry affects, for the reason of its change. */
export const describeOthers = ({
  grantee,
  passedOn,
  keptBy,
}: Pick<Surplus, 'passedOn' | 'keptBy'> & { grantee: string }): string[] => [
  ...(passedOn.length > 0 ? [`${grantee} passed it on to ${someOf(passedOn)}: that is revoked too`] : []),
  ...(keptBy.length > 0
    ? [
        `but ${grantee} passed it on to ${someOf(keptBy)}, not declared here: revoke that first, or declare ${plural(keptBy.length, 'that role', 'those roles')}`,
      ]
    : []),
]
