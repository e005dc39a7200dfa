import { bytesOf, parseBytes } from '../postgres/bytes.ts'
import type { Db } from '../postgres/db.ts'
import { jsonList } from '../postgres/properties.ts'
import type { ServerDatabase } from './databases.ts'

/** Every database of the server. Every role may run this, in any of them. */
export async function readDatabases(db: Db): Promise<ServerDatabase[]> {
  const [row] = await db.unsafe<{ databases: string }[]>(
    `select ${bytesOf(
      jsonList(`select d.datname as name, d.datistemplate as template, d.datallowconn and d.datconnlimit <> -2 as connectable,
                       pg_catalog.shobj_description(d.oid, 'pg_database') as comment
                  from pg_catalog.pg_database d order by d.datname`),
    )} as databases`,
  )
  return parseBytes<ServerDatabase[]>(row!.databases)
}
