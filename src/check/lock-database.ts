import type { Db } from '../postgres/db.ts'
import { quoteLiteral } from '../sql/quote.ts'

/** Advice of `check` when everybody may connect to the lock database, and so block all runs. */
export async function adviceOnLockDatabase(db: Db, name: string): Promise<string[]> {
  const [row] = await db.unsafe<{ open: boolean }[]>(
    `select exists (
       select from pg_catalog.pg_database d,
              pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) a
        where d.datname = ${quoteLiteral(name)} and a.grantee = 0 and a.privilege_type = 'CONNECT') as open`,
  )
  if (!row?.open) return []
  return [
    `everybody may connect to the lock database ${name}, and so block all runs: set lock.database to a database of its own, \`revoke connect on database … from public\`, and grant connect to the users that run pgbosun`,
  ]
}
