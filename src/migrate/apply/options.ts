import { AppError } from '../../errors.ts'
import { type Log, silentLog } from '../../log.ts'
import type { BeforeChange } from '../../plan.ts'
import type { ServerNotice } from '../../postgres/answers.ts'
import type { BlockerWatch } from '../../postgres/blockers.ts'
import type { Sql } from '../../postgres/db.ts'
import { isConnectionLost } from '../../postgres/lost.ts'
import type { RunsAs } from '../../postgres/search-path.ts'
import { isServerError } from '../../postgres/server-error.ts'
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts'
import type { HistoryTable } from '../history/history-table.ts'
import type { StepResult } from '../types.ts'
import { createRetryPolicy } from './retry.ts'
import { endsOf, preflight, reset } from './statements.ts'

/** Options that applying and undoing share. */
export type ScriptOptions = RunsAs & {
  /** A session (`max: 1`) that nothing else uses meanwhile. It runs the scripts. */
  sql: Sql
  /** The session that writes our own tables, if `sql` may not; it is idle meanwhile. */
  own?: Sql | undefined
  historyTable: HistoryTable
  lockTimeoutMs: number
  /** 0 means no limit. */
  statementTimeoutMs?: number
  /** How often a file is tried again after a lock timeout or a deadlock. */
  lockRetries?: number
  /** How long to keep waiting for a backup of ours. */
  dumpTimeoutMs?: number
  /** Watches which sessions block this one. */
  watch?: BlockerWatch | undefined
  toolVersion: string
  beforeChange: BeforeChange
  /** Called before each message; throws if the run lock or the session was lost, and then nothing more is sent. */
  guard(): void
  /** The hint for an error of the server; default: that of postgres/sqlstate. */
  hintFor?: (error: unknown) => Promise<string | undefined>
  /** Whether a migration was applied before, and undone. Default: none. */
  wasUndone?: (name: string) => Promise<boolean>
  onProgress?: (done: number, total: number, name: string, durationMs: number) => void
  log?: Log
  signal?: AbortSignal
}

/** The settings, the log and the retries of a run, from its options. */
export function settingsOf(options: ScriptOptions) {
  const {
    role,
    path,
    urlSettings = {},
    lockTimeoutMs,
    statementTimeoutMs = 0,
    lockRetries = 0,
    dumpTimeoutMs = 0,
    watch,
    signal,
  } = options
  const log = options.log ?? silentLog
  return {
    log,
    settings: { role, path, urlSettings, lockTimeoutMs, statementTimeoutMs },
    retryPolicy: createRetryPolicy({ lockRetries, dumpTimeoutMs, watch, log, signal }),
  }
}

/** The results as fields of the command's JSON document. */
export const reportOf = (results: StepResult[]) => ({
  results: results.map(({ name, status, durationMs }) => ({ name, status, duration_ms: durationMs })),
})

/**
 * The last numbers of the chains. Also checks that the session can be used.
 * @throws {AppError} `refused` if the role may not be used, or if foreign keys are disabled, on which the chains rely
 */
export async function readEnds(
  sql: Sql,
  role: string | undefined,
  own: Sql = sql,
): Promise<{ lastSeq: number; lastDetail: number }> {
  const answer = await sql
    .unsafe<{ own: boolean; details: boolean; replication: string }[][]>(preflight(role))
    .catch((error: unknown) => {
      throw asRefused(error, role)
    })
  const [found] = answer.flat()
  if (!found) throw new Error('the server did not answer')
  if (found.replication !== 'replica') {
    const [ends] = await own.unsafe<{ lastSeq: number; lastDetail: number }[]>(endsOf(found))
    return ends ?? { lastSeq: 0, lastDetail: 0 }
  }
  throw new AppError('refused', 'session_replication_role is replica here, which disables foreign keys', {
    hint: 'the history of pgbosun relies on one: reset the setting of this user or this database with ALTER ROLE or ALTER DATABASE',
  })
}

/** Exit 12: the migrations cannot run as the role. */
function asRefused(error: unknown, role: string | undefined): unknown {
  if (isConnectionLost(error) || !isServerError(error)) return error
  return new AppError('refused', `the migrations cannot run as ${role ?? 'this user'}: ${error.message}`, {
    hint: `make the user that connects a member of ${role ?? 'the owner'}, or set \`migrate.role\``,
    sqlstate: error.code,
    cause: error,
  })
}

/** Creates the tool's own history if it does not exist, as the tool does. */
export async function createNative({
  sql,
  historyTable,
  role,
}: Pick<ScriptOptions, 'sql' | 'historyTable' | 'role'>): Promise<void> {
  const { native, format } = historyTable
  if (!native || native.exists) return
  const schema = format.native!.table.includes('.') ? '' : `create schema if not exists ${quoteIdent(native.schema)};`
  const as = role === undefined ? '' : `set local role ${quoteIdent(role)};`
  const [present] = await sql.unsafe<{ there: boolean }[]>(
    `select pg_catalog.to_regnamespace(${quoteLiteral(quoteIdent(native.schema))}) is not null as there`,
  )
  await sql.unsafe(`${reset} ${as} ${present?.there ? '' : schema} ${format.native!.create(native.table)}`)
}

/** Logs a notice that the server sent while a file ran. */
export function logNotice(log: Log, migration: string, { severity, sqlstate, message, hint }: ServerNotice): void {
  const fields = { migration, sqlstate, ...(hint !== undefined && { hint }) }
  const said = `${migration}: ${severity.toLowerCase()}: ${message}`
  if (severity === 'WARNING') log.warn(fields, said)
  else if (severity === 'NOTICE' || severity === 'INFO') log.info(fields, said)
  else log.debug(fields, said)
}
