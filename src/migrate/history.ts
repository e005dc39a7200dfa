import type { Db } from '../db/sql.ts'
import type { Applied } from './types.ts'

type Row = Omit<Applied, 'version'> & { version: string }

/** The history by seq; empty where there is none. Two round trips, which overlap with other queries sent at the same time. */
export async function readHistory(db: Db): Promise<Applied[]> {
  const [found] = await db.unsafe<{ present: boolean }[]>(
    `select to_regclass('pgbosun.migrations') is not null as present`,
  )
  if (!found?.present) return []
  const [row] = await db.unsafe<{ history: Row[] }[]>(`
    select coalesce(json_agg(json_build_object(
             'seq', seq, 'version', version::text, 'name', name, 'sha256', sha256, 'status', status,
             'appliedAt', to_char(applied_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
             'durationMs', duration_ms, 'appliedBy', applied_by, 'toolVersion', tool_version) order by seq), '[]') as history
      from pgbosun.migrations`)
  return (row?.history ?? []).map((entry) => ({ ...entry, version: BigInt(entry.version) }))
}
