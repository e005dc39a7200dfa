import type { CurrentCluster, DesiredRoles } from '../../roles/types.ts'
import type { Run } from '../../run/run.ts'

/**
 * The declared logins that a rotation has closed. The notes are only read if one of them may not log in.
 * @returns their names
 */
export async function closedLogins(
  { target }: Pick<Run, 'target'>,
  { roles }: DesiredRoles,
  current: Pick<CurrentCluster, 'roles'>,
): Promise<Set<string>> {
  const declared = new Set(roles.flatMap(({ name, kind }) => (kind === 'user' ? [name] : [])))
  const shut = current.roles.filter(({ name, login }) => declared.has(name) && !login).map(({ name }) => name)
  if (shut.length === 0 || !target) return new Set()
  const { readNotes } = await import('../../state/notes.ts')
  const closed = (await readNotes(target.sql))?.closed ?? []
  return new Set(shut.filter((name) => closed.includes(name)))
}
