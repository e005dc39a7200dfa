// pure
import type { Config } from '../config/schema.ts'
import { usage } from '../errors.ts'
import { yamlWord } from '../text.ts'
import type { DesiredMembership, MembershipOptions } from './types.ts'

type Entry = NonNullable<NonNullable<Config['roles'][string]>['memberOf']>[number]

/** The memberships that `memberOf` and `members` of a role declare. Options that are the default are left out. */
export const membershipsOf = (
  name: string,
  { memberOf = [], members = [] }: { memberOf?: Entry[] | undefined; members?: Entry[] | undefined },
): DesiredMembership[] => [
  ...memberOf.map((entry) => ({ role: nameOf(entry), member: name, ...optionsOf(entry) })),
  ...members.map((entry) => ({ role: name, member: nameOf(entry), ...optionsOf(entry) })),
]

/** Whether the declaration says that a member inherits, which up to PostgreSQL 15 is an attribute of the member. */
export const saysInherit = (memberOf: Entry[] = []): boolean =>
  memberOf.some((entry) => typeof entry !== 'string' && entry.inherit === true)

const nameOf = (entry: Entry) => (typeof entry === 'string' ? entry : entry.role)

const optionsOf = (entry: Entry): Partial<MembershipOptions> =>
  typeof entry === 'string'
    ? {}
    : {
        ...(entry.admin === true && { admin: true }),
        ...(entry.inherit === false && { inherit: false }),
        ...(entry.set === false && { set: false }),
      }

/**
 * Each membership once.
 *
 * @throws {AppError} `usage` for one that is declared with two sets of options
 */
export function eachOnce(memberships: DesiredMembership[]): DesiredMembership[] {
  const found = new Map<string, DesiredMembership>()
  for (const one of memberships) {
    const key = JSON.stringify([one.role, one.member])
    const other = found.get(key)
    if (other !== undefined && inWords(other) !== inWords(one))
      throw usage(`the membership of ${one.member} in ${one.role} is declared twice, with different options`, {
        hint: `declare it once: memberOf: [${inWords(other)}] or memberOf: [${inWords(one)}]`,
      })
    if (other === undefined) found.set(key, one)
  }
  return [...found.values()]
}

const inWords = ({ role, admin = false, inherit = true, set = true }: DesiredMembership) =>
  admin || !inherit || !set
    ? `{ role: ${yamlWord(role)}, admin: ${admin}, inherit: ${inherit}, set: ${set} }`
    : yamlWord(role)

/**
 * Orders memberships so that those of a role come before those in that role.
 *
 * @throws {AppError} `usage` with the circle, when they form one
 */
export function inMembershipOrder(memberships: DesiredMembership[]): DesiredMembership[] {
  const ordered: DesiredMembership[] = []
  const visit = (member: string, path: string[]) => {
    if (path.includes(member)) {
      const circle = [...path.slice(path.indexOf(member)), member].join(' → ')
      throw usage(`the memberships form a circle: ${circle}`, { hint: 'remove one of these from its `memberOf`' })
    }
    for (const membership of memberships) {
      if (membership.member !== member || ordered.includes(membership)) continue
      visit(membership.role, [...path, member])
      ordered.push(membership)
    }
  }
  for (const { member } of memberships) visit(member, [])
  return ordered
}
