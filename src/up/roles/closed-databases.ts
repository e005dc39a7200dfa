import type { Run } from '../../run/run.ts'
import { quoteIdent } from '../../sql/quote.ts'
import { visibleSql } from '../../text.ts'

/** A declared database that a session may not be opened in, and what opens it. */
export type ClosedDatabase = { name: string; why: string }

/** Its CONNECT is missing, pg_hba.conf lets nobody in, it takes no connections. Everything else is no answer about this database. */
const remedies: Record<string, (database: string, user: string) => string> = {
  42501: (database, user) => visibleSql(`grant connect on database ${quoteIdent(database)} to ${quoteIdent(user)}`),
  28000: (database, user) => `let ${user} into ${database} in pg_hba.conf`,
  55000: (database) => visibleSql(`alter database ${quoteIdent(database)} allow_connections true`),
}

/**
 * The same run for a command that only looks: a database that it may not enter is left out, and named.
 * @param onClosed called at most once for each database; `inDatabase` then gives no session, as for one that does not exist
 */
export function passingClosed(run: Run, user: string, onClosed: (found: ClosedDatabase) => void): Run {
  const known = new Set<string>()
  return {
    ...run,
    async inDatabase(name, use) {
      if (known.has(name)) return use(undefined)
      let entered = false
      try {
        return await run.inDatabase(name, (session) => {
          entered = true
          return use(session)
        })
      } catch (error) {
        const { code = '', message } = error as { code?: string; message: string }
        const remedy = remedies[code]
        if (entered || !remedy) throw error
        known.add(name)
        onClosed({ name, why: `${message}: \`${remedy(name, user)}\`` })
        return use(undefined)
      }
    },
  }
}
