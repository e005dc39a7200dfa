import { setTimeout as sleep } from 'node:timers/promises'
import { describe } from '../config/connection.ts'
import { AppError } from '../errors.ts'
import { isConnectionLost } from '../postgres/lost.ts'
import { isServerError } from '../postgres/server-error.ts'
import type { Session } from '../postgres/session.ts'
import { openWhenReady } from '../postgres/wait.ts'
import type { Context } from '../run/context.ts'
import { asAppError } from '../run/failure.ts'
import { plural, renderDuration, someOf } from '../units.ts'
import { readProgress, type SchemaProgress } from './schema-version.ts'
import type { MigrateTarget } from './target.ts'

/** The result of one look at the database. `why`: a message that says what is missing; undefined when the schema is new enough. */
type Look = { why: string | undefined; current: string | undefined; refused?: AppError }

const everyMs = 10_000

/**
 * Waits until the schema of the target database is new enough. Takes no lock and writes nothing; each look uses a session of its own.
 *
 * @returns the name of the newest version that was applied
 * @throws {AppError} `unreachable` after the timeout; `refused` at once, unless wait.patient; `usage` for text that is not a version
 */
export async function waitForVersion(
  context: Context,
  target: MigrateTarget,
  { wanted, timeoutMs }: { wanted: string[]; timeoutMs: number },
): Promise<string | undefined> {
  const { log, signal } = context
  const deadline = performance.now() + timeoutMs
  let said = { why: '', at: 0 }
  for (let looks = 0; ; looks++) {
    const { why, current, refused } = await look(context, target, { wanted, timeoutMs, deadline })
    if (why === undefined) return current
    const now = performance.now()
    if (now >= deadline) throw refused ?? notInTime(context, { why, current, timeoutMs })
    if (why !== said.why || now - said.at >= everyMs) {
      log.info(`waiting for the schema of ${describe(context.connection())}: ${why}`)
      said = { why, at: now }
    }
    await sleep(Math.min(pauseMs(looks), deadline - now), undefined, { signal })
  }
}

/** Short at first; with jitter, so that many pods do not ask at once. */
const pauseMs = (looks: number) => Math.min(2_000, 100 * 1.4 ** looks) * (0.75 + Math.random() / 2)

async function look(
  context: Context,
  target: MigrateTarget,
  { wanted, timeoutMs, deadline }: { wanted: string[]; timeoutMs: number; deadline: number },
): Promise<Look> {
  const { connection, log, signal, runId, loaded } = context
  const patient = loaded.config.wait.patient
  const session = await openWhenReady(connection(), {
    applicationName: `pgbosun ${runId}`,
    log,
    signal,
    patient,
    timeoutMs,
    deadline,
    allowStandby: true,
    mayBeMissing: true,
    lockDatabase: loaded.config.lock.database,
  })
  if (!session) return { why: 'the database does not exist yet', current: undefined }
  try {
    return renderProgress(await readInTime(context, target, session, wanted))
  } catch (error) {
    return notYet(error, patient)
  } finally {
    await session.end()
  }
}

/** With short timeouts, because a migration may lock its tool's own table for as long as it runs. */
async function readInTime(
  context: Context,
  target: MigrateTarget,
  { sql }: Session,
  wanted: string[],
): Promise<SchemaProgress> {
  await sql.unsafe(`set lock_timeout = '2s'; set statement_timeout = '10s'`)
  return readProgress(context, target, sql, wanted)
}

function renderProgress({ missing, current, note }: SchemaProgress): Look {
  const [first] = missing
  if (first === undefined) return { why: undefined, current }
  const at = current === undefined ? 'nothing is applied yet' : `it is at ${current}`
  return {
    why: `${someOf(missing)} ${plural(missing.length, 'is', 'are')} not applied; ${at}${note === undefined ? '' : `, ${note}`}`,
    current,
  }
}

/** A table that does not exist yet, or is locked, is looked at again later. */
function notYet(error: unknown, patient: boolean): Look {
  if (isConnectionLost(error)) return { why: 'the connection was lost', current: undefined }
  if (isServerError(error) && ['42P01', '3F000', '55P03', '57014'].includes(error.code))
    return { why: `the history cannot be read yet: ${error.message}`, current: undefined }
  const refused = asAppError(error)
  if (patient && refused.kind === 'refused') return { why: refused.message, current: undefined, refused }
  throw refused
}

function notInTime(
  context: Context,
  { why, current, timeoutMs }: { why: string; current: string | undefined; timeoutMs: number },
): AppError {
  return new AppError(
    'unreachable',
    `the schema of ${describe(context.connection())} was not new enough within ${renderDuration(timeoutMs)}: ${why}`,
    {
      hint: 'check that `pgbosun up` or `pgbosun migrate` has run, or raise wait.timeout (`--timeout 10m`)',
      report: { current_version: current ?? null },
    },
  )
}
