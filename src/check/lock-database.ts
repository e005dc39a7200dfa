import type { Db } from '../postgres/db.ts'
import { quoteLiteral } from '../sql/quote.ts'

/** What `check` advises about who may keep runs waiting: nothing where only those it was granted to may connect. */
export async function adviceOnLockDatabase(db: Db, name: string): Promise<string[]> {
  const [row] = await db.unsafe<{ open: boolean }[]>(
    `select exists (
       select from pg_catalog.pg_database d,
              pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) a
        where d.datname = ${quoteLiteral(name)} and a.grantee = 0 and a.privilege_type = 'CONNECT') as open`,
  )
  if (!row?.open) return []
  return [
    `everybody may connect to the lock database ${name}, and so keep all runs waiting: give lock.database one of its own, \`revoke connect on database … from public\`, and grant it to the users of the runners`,
  ]
}
