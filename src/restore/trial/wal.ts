import type { Session } from '../../postgres/session.ts'

/** The position in the write-ahead log; null if the server does not tell. */
export async function readWal({ sql }: Session): Promise<string | null> {
  const [row] = await sql.unsafe<{ lsn: string | null }[]>(
    `select case when pg_catalog.has_function_privilege('pg_catalog.pg_current_wal_lsn()', 'execute') then pg_catalog.pg_current_wal_lsn() end::text as lsn`,
  )
  return row?.lsn ?? null
}

/** Bytes of the log that the whole server has written since. */
export async function readWalSince({ sql }: Session, since: string): Promise<number> {
  const [row] = await sql.unsafe<{ bytes: string }[]>(
    `select pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), '${since}')::text as bytes`,
  )
  return Number(row!.bytes)
}
