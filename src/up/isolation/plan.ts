// pure
import type { Connection } from '../../config/connection.ts'
import type { Rights } from '../../postgres/login.ts'

/**
 * How code of the owner (files, triggers, functions, checks) is kept from using rights that only the session user has. SET ROLE alone is
 * not enough: the code can leave the role again.
 *
 * - `none`: the session user has no further rights; `role`: the risk was accepted (`migrate.isolation`)
 * - `login`: a login is created for the run; `url`: one is configured
 */
export type Isolation =
  | { mode: 'none' }
  | { mode: 'role'; rights: Rights }
  | { mode: 'login'; rights: Rights }
  | { mode: 'url'; rights: Rights; connection: Connection }

/** Nothing keeps the code from using those rights. `why`: what the session user cannot do, as the end of a sentence. */
export type Impossible = { mode: 'impossible'; rights: Rights; why: string }

/**
 * Decides how files are run as a role.
 * @param rights undefined where files run as the session user, or there is no such role
 * @param configured `connection`: of `migrate.url`; `accepted`: `migrate.isolation: role`
 */
export function planIsolation(
  role: string | undefined,
  rights: Rights | undefined,
  { connection, accepted }: { connection: Connection | undefined; accepted: boolean },
): Isolation | Impossible {
  if (role === undefined || !rights || rights.more.length === 0) return { mode: 'none' }
  if (connection) return { mode: 'url', rights, connection }
  if (accepted) return { mode: 'role', rights }
  if (!rights.mayCreateRole) return { mode: 'impossible', rights, why: 'may not create a login for this run' }
  if (!rights.mayGrantRole) return { mode: 'impossible', rights, why: `may not let others act as ${role}` }
  return { mode: 'login', rights }
}
