// pure
import { type OwnMembership, type Planned, planned, standsAlone } from './actions.ts'
import type { Division } from './capable.ts'
import type { Rights } from './rights.ts'

/**
 * Actions of ours, with what makes them possible: before those that take the rights of another role, we become a member of it, and leave it
 * at the end of the same transaction. Only of the owners of databases we stay a member: files and later runs need it too. Pure.
 *
 * @param stays the roles that earlier parts of the plan have made us a member of; those of this part are added
 */
export function withJoins<A extends { do: string }>(
  actions: Planned<A>[],
  { joins, kept }: Pick<Division, 'joins' | 'kept'>,
  { user, major, roles }: Rights,
  stays = new Set<string>(),
): Planned<A | OwnMembership>[] {
  const result: Planned<A | OwnMembership>[] = []
  const open = new Set<string>()
  const membership = (verb: 'join' | 'leave', role: string, reason: string) =>
    result.push(
      planned<A | OwnMembership>(
        { do: verb, role, user: user.name, withOptions: major >= 16 },
        verb === 'join' ? 'grant' : 'revoke',
        `role ${role} ${verb === 'join' ? 'to' : 'from'} ${user.name}`,
        reason,
      ),
    )
  const join = (role: string) => {
    if (stays.has(role) || open.has(role)) return
    const database = kept.get(role)
    const forGood = database !== undefined || roles.some(({ name, own }) => name === role && own)
    ;(forGood ? stays : open).add(role)
    if (database !== undefined) return membership('join', role, `pgbosun acts as the owner of database ${database}`)
    membership('join', role, 'pgbosun acts as it, for a moment')
  }
  const leave = () => {
    for (const role of open) membership('leave', role, 'was only for the moment')
    open.clear()
  }
  for (const action of actions) {
    const alone = standsAlone(action)
    if (alone) leave()
    for (const role of joins.get(action as never) ?? []) join(role)
    result.push(action)
    if (alone) leave()
  }
  leave()
  return result
}
