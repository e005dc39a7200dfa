import type { Session } from './session.ts'

/**
 * Whether further sessions of the session user may start `withoutEventTriggers`: from PostgreSQL 17 on superusers may, and those who
 * were granted SET on the parameter. A server that does not know the parameter, or refuses it, refuses the whole session.
 */
export async function mayGoWithoutEventTriggers({
  sql,
  serverVersion,
}: Pick<Session, 'sql' | 'serverVersion'>): Promise<boolean> {
  if (!hasEventTriggersParameter(serverVersion)) return false
  const [row] = await sql.unsafe<{ may: boolean }[]>(
    "select pg_catalog.has_parameter_privilege(session_user, 'event_triggers', 'SET') as may",
  )
  return row?.may ?? false
}

/** From that version on there are event triggers at login, which can lock everybody out, and a parameter that stops them. */
export const hasEventTriggersParameter = (serverVersion: number) => serverVersion >= 170_000
