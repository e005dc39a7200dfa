import type { Db } from '../postgres/db.ts'
import { quoteLiteral } from '../sql/quote.ts'

type Run = { runId: string; command: string; actor?: string | undefined }

/** Records that a run is about to make its first change. */
export const writeStarted = (db: Db, run: Run) => writeEvent(db, run, 'started', null, null)

/** Records how a run ended and what it changed. `detail` is shown to people, so it must contain nothing secret. */
export const writeFinished = (db: Db, { exitCode, detail, ...run }: Run & { exitCode: number; detail: unknown }) =>
  writeEvent(db, run, 'finished', exitCode, detail)

/** Deletes the events that are older than `keepMs`. */
export async function deleteOldEvents(db: Db, keepMs: number): Promise<void> {
  await db.unsafe(
    `delete from pgbosun.events where at < pg_catalog.clock_timestamp() - ${Math.ceil(keepMs)} * interval '1 millisecond'`,
  )
}

async function writeEvent(
  db: Db,
  { runId, command, actor }: Run,
  phase: string,
  exitCode: number | null,
  detail: unknown,
): Promise<void> {
  // jsonb does not allow NUL characters.
  const json = JSON.stringify(detail ?? null, (_, value) =>
    typeof value === 'string' ? value.replaceAll('\0', '') : value,
  )
  await db.unsafe(
    `insert into pgbosun.events (run_id, actor, command, phase, exit_code, detail)
     values (${quoteLiteral(runId)}, ${actor === undefined ? 'session_user' : quoteLiteral(actor)}, ${quoteLiteral(command)},
             ${quoteLiteral(phase)}, ${exitCode ?? 'null'}, ${detail == null ? 'null' : quoteLiteral(json)})`,
  )
}

/** When the oldest event happened; undefined if there is none, or this session may not read the table. */
export async function readFirstEventAt(db: Db): Promise<Date | undefined> {
  const [found] = await db.unsafe(
    `select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'pgbosun' and c.relname = 'events'
        and pg_catalog.has_schema_privilege(n.oid, 'usage') and pg_catalog.has_table_privilege(c.oid, 'select')`,
  )
  if (!found) return undefined
  const [row] = await db.unsafe<{ ms: string | null }[]>(
    "select pg_catalog.floor(extract(epoch from pg_catalog.min(at)) * 1000)::text as ms from pgbosun.events where at > '-infinity'",
  )
  return row?.ms == null ? undefined : new Date(Number(row.ms))
}

/** The last run that is recorded to have ended; undefined if there is none, or this session may not read the table. */
export async function readLastRun(
  db: Db,
): Promise<{ at: string; command: string; exitCode: number; error: string | null } | undefined> {
  if (!(await readFirstEventAt(db))) return undefined
  const [row] = await db.unsafe<{ at: string; command: string; exitCode: number; error: string | null }[]>(
    `select pg_catalog.to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at, command, exit_code as "exitCode",
            detail ->> 'error' as error
       from pgbosun.events where phase = 'finished' order by id desc limit 1`,
  )
  return row
}

/** Whether the newest recorded change to a migration undid it. @param object of the change: `migration 001_a` */
export async function wasUndone(db: Db, object: string): Promise<boolean> {
  const [there] = await db.unsafe<{ present: boolean }[]>(
    `select pg_catalog.to_regclass('pgbosun.events') is not null as present`,
  )
  if (!there?.present) return false
  const [row] = await db.unsafe<{ action: string }[]>(
    `select c ->> 'action' as action
       from pgbosun.events e, pg_catalog.jsonb_array_elements(e.detail -> 'changes') with ordinality as x (c, place)
      where e.phase = 'finished' and c ->> 'object' = ${quoteLiteral(object)}
      order by e.id desc, place desc limit 1`,
  )
  return row?.action === 'undo'
}

/** One event, as it is shown; `at` is RFC 3339 in UTC. */
export type Event = {
  id: number
  run_id: string
  at: string
  actor: string
  command: string
  phase: 'started' | 'finished'
  exit_code: number | null
  changes: number | null
  detail: unknown
}

/** The newest 100 events, oldest first; none if there is no state. */
export async function readEvents(db: Db): Promise<Event[]> {
  const [found] = await db.unsafe<{ present: boolean }[]>(
    `select pg_catalog.to_regclass('pgbosun.events') is not null as present`,
  )
  if (!found?.present) return []
  const [row] = await db.unsafe<{ events: Event[] }[]>(`
    select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
             'id', id, 'run_id', run_id, 'at', pg_catalog.to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'actor', actor,
             'command', command, 'phase', phase, 'exit_code', exit_code,
             'changes', pg_catalog.jsonb_array_length(detail -> 'changes'), 'detail', detail) order by id), '[]') as events
      from (select * from pgbosun.events order by id desc limit 100) e`)
  return row?.events ?? []
}
