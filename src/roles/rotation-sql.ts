// pure
import { quoteIdent, quoteLiteral } from '../sql/quote.ts'

/** How many sessions each of these roles has, in every database. A row for each role that has one. */
export const sessionsOf = (roles: readonly string[]) =>
  `select usename::text as login, pg_catalog.count(*)::int as sessions from pg_catalog.pg_stat_activity
    where usename::text in (${roles.map((role) => quoteLiteral(role)).join(', ')}) group by 1 order by 1`

/** Takes from a role what lets it log in. Its objects, memberships and settings stay. */
export const closeLogin = (role: string) => `alter role ${quoteIdent(role)} nologin password null`

export const openLogin = (role: string) => `alter role ${quoteIdent(role)} login`
