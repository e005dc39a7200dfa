import { silentLog } from '../../src/log.ts'
import { openSession } from '../../src/postgres/connect.ts'
import type { Session } from '../../src/postgres/session.ts'
import { connectionTo } from './backup.ts'
import { test as base, urlOf } from './postgres.ts'

/** `test` with a session as pgbosun opens it, in a database of its own in which these statements were run. */
export const withSession = (setUp: string) =>
  base.extend<{ session: Session }>({
    session: async ({ database }, use) => {
      const session = await openSession(connectionTo(urlOf(database)), {
        applicationName: 'test',
        log: silentLog,
        ownPath: true,
      })
      await session.sql.unsafe(setUp)
      await use(session)
      await session.end()
    },
  })
