import { type Db, quoteLiteral } from './sql.ts'

type Run = { runId: string; command: string; actor?: string | undefined }

/** Notes that a run is about to make its first change. */
export const writeStarted = (db: Db, run: Run) => writeEvent(db, run, 'started', null, null)

/** Notes how the run ended and what it changed. `detail` is shown to people: nothing secret. */
export const writeFinished = (db: Db, { exitCode, detail, ...run }: Run & { exitCode: number; detail: unknown }) =>
  writeEvent(db, run, 'finished', exitCode, detail)

/** Deletes the events that are older than `keepMs`. */
export async function deleteOldEvents(db: Db, keepMs: number): Promise<void> {
  await db.unsafe(
    `delete from pgbosun.events where at < clock_timestamp() - ${Math.ceil(keepMs)} * interval '1 millisecond'`,
  )
}

async function writeEvent(
  db: Db,
  { runId, command, actor }: Run,
  phase: string,
  exitCode: number | null,
  detail: unknown,
): Promise<void> {
  // jsonb has no NUL character.
  const json = JSON.stringify(detail ?? null, (_, value) =>
    typeof value === 'string' ? value.replaceAll('\0', '') : value,
  )
  await db.unsafe(
    `insert into pgbosun.events (run_id, actor, command, phase, exit_code, detail)
     values (${quoteLiteral(runId)}, ${actor === undefined ? 'session_user' : quoteLiteral(actor)}, ${quoteLiteral(command)},
             ${quoteLiteral(phase)}, ${exitCode ?? 'null'}, ${detail == null ? 'null' : quoteLiteral(json)})`,
  )
}
