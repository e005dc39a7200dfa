import type { NativeHistory } from '../../formats/format.ts'
import type { Migration, Progress, Script } from '../../formats/types.ts'
import { markWork } from '../../postgres/lock.ts'
import { pinPath, type RunsAs, setPath } from '../../postgres/search-path.ts'
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts'
import { setSettings, unsetLocally } from '../../sql/settings.ts'
import { type HistoryTable, type NewRow, type OwnTable, ownTableOf } from '../history/history-table.ts'
import type { Sending, Unsendable } from '../plan/sending.ts'
import type { MigrationStep } from '../types.ts'

/** Undoes what a file may have left in the session: role, settings, search_path. Keeps advisory locks. */
export const reset = 'reset session authorization; set role none; reset all;'

/** Runs what follows in the message as the user that connected, whatever the file did to the session. */
const asOurselves = `set local session authorization default; set local role none; ${pinPath}`

/** Fails if the role does not exist or may not be used; returns which chains exist. */
export const preflight = (role: string | undefined) =>
  `${reset} ${role === undefined ? '' : `set role ${quoteIdent(role)}; set role none; `}select
     pg_catalog.to_regclass('pgbosun.migrations') is not null as own,
     pg_catalog.to_regclass('pgbosun.migration_details') is not null as details,
     pg_catalog.current_setting('session_replication_role') as replication`

/** The last numbers of the chains; 0 for a chain that does not exist. */
export const endsOf = ({ own, details }: { own: boolean; details: boolean }) => {
  const end = (there: boolean, table: string) =>
    there ? `(select coalesce(pg_catalog.max(seq), 0) from ${table})` : '0'
  return `select ${end(own, 'pgbosun.migrations')} as "lastSeq", ${end(details, 'pgbosun.migration_details')} as "lastDetail"`
}

/** A time limit of 0 means no limit. */
export type FileSettings = RunsAs & { lockTimeoutMs: number; statementTimeoutMs: number }

const setRole = (role: string | undefined, local: 'local ' | '') =>
  role === undefined ? '' : `set ${local}role ${quoteIdent(role)};`

const setTimeouts = ({ lockTimeoutMs, statementTimeoutMs }: FileSettings, local: 'local ' | '') =>
  `set ${local}lock_timeout = ${Math.round(lockTimeoutMs)};${
    statementTimeoutMs > 0 ? `set ${local}statement_timeout = ${Math.round(statementTimeoutMs)};` : ''
  }`

/** The settings that a file runs with, apart from its role: those of the URL, unless our configuration sets the same. */
function setPlace({ path, urlSettings = {}, statementTimeoutMs }: FileSettings, local: 'local ' | ''): string {
  const { statement_timeout: timeout, ...others } = urlSettings
  const settings = timeout === undefined || statementTimeoutMs > 0 ? others : urlSettings
  return `${setSettings(settings, local)}${setPath(path, local)}`
}

/**
 * The SQL before a file's text, in the same message and so in the same transaction. Through the row's `previous` it fails if the file
 * before it has failed. The commit does not wait for the disk: the last message of a run does.
 */
export function filePrefix(
  step: MigrationStep,
  row: NewRow,
  historyTable: HistoryTable,
  settings: FileSettings,
): string {
  const ledger = ownTableOf(historyTable, step)
  const own = step.resume ? ledger.finish(step, row, null) : ledger.insert(step, row)
  const native = historyTable.native ? `${recordNative(historyTable, step)};` : ''
  return `${isolated(step.fake ? undefined : step.sending)}${reset} ${own}; set local synchronous_commit = off; ${setTimeouts(settings, 'local ')}${setRole(
    settings.role,
    'local ',
  )}${native}${setPlace(settings, 'local ')}${prepared(historyTable, step)}\n`
}

/** Records a step as applied in the tool's own history; a resumed step already has a row there that says it was started. */
function recordNative({ format, native }: HistoryTable, step: MigrationStep): string {
  const history = format.native!
  const table = native!.table
  if (!step.resume || !history.finish) return history.record(table, step, step.before)
  return [history.finish(table, step, step.before), ...realigned(history, table, step)].join('; ')
}

/** Updates the checksum that was recorded at the start: the rest of an interrupted file may have changed. */
const realigned = (history: NativeHistory, table: string, step: MigrationStep) =>
  step.resume && history.start && history.realign ? [history.realign(table, step)] : []

/** The same for a down script, with `statements` instead of a new row; its commit waits for the disk. */
export const undoPrefix = (
  sending: Sending | Unsendable,
  statements: string,
  native: string | undefined,
  historyTable: HistoryTable,
  settings: FileSettings,
) =>
  `${isolated(sending)}${reset} ${statements}; ${setTimeouts(settings, 'local ')}${setRole(settings.role, 'local ')}${native === undefined ? '' : `${native};`}${setPlace(settings, 'local ')}${prepared(historyTable)}\n`

/** Must be the first statement of a transaction. */
const isolated = (sending: Sending | Unsendable | undefined) =>
  sending && 'isolation' in sending && sending.isolation !== undefined ? `set transaction ${sending.isolation}; ` : ''

/** What the format's tool sets for the session before each file. */
function prepared({ format, native }: HistoryTable, script?: Script): string {
  const statement = native && format.native?.prepare?.(native.table)
  const settings = Object.entries(script?.settings ?? {}).map(([name, value]) => setting(name, value))
  return [...(statement === undefined ? [] : [statement]), ...settings].map((text) => `${text};`).join('')
}

/** Sets a setting that may be a list, such as search_path, without returning a row. */
const setting = (name: string, value: string) =>
  `do ${quoteLiteral(`begin perform pg_catalog.set_config(${quoteLiteral(name)}, ${quoteLiteral(value)}, false); end`)}`

/** The SQL that records a script that runs outside a transaction: one or more statements, without the last semicolon. */
export type SplitRecord = {
  /** Before the first statement; undefined if an earlier run has done it. `own` runs as ourselves, then `native` as the role. */
  begin: { own: string; native: string | undefined } | undefined
  progress(progress: Progress): string
  finish(durationMs: number): { own: string; native: string | undefined }
  /** Nothing took effect. */
  forget(): { own: string; native: string | undefined }
}

/** Prepares the session for a script that runs outside a transaction, and records that it starts. */
export const openSplit = ({ begin }: SplitRecord, script: Script, historyTable: HistoryTable, settings: FileSettings) =>
  `${reset} ${begin ? `${begin.own};` : ''}${setTimeouts(settings, '')}${setRole(settings.role, '')}${begin?.native ? `${begin.native};` : ''}${setPlace(settings, '')}${prepared(historyTable, script)}`

/** Ends such a script: resets the session, and records how the script ended. */
export const closeSplit = ({ own, native }: { own: string; native: string | undefined }, role: string | undefined) =>
  `${reset} ${own};${native ? `${setRole(role, 'local ')}${native}` : ''}`

/**
 * Records the progress without changing what the script did to the session, except for settings that would change how the next
 * statement is parsed, and the mark of a working session. The settings of the URL do not apply to our own statement.
 */
export const noteProgress = (
  record: SplitRecord,
  progress: Progress,
  { urlSettings = {}, text = '' }: Pick<RunsAs, 'urlSettings'> & { text?: string } = {},
) =>
  `${asOurselves} ${unsetLocally(urlSettings)}${record.progress(progress)}${leavesTraces(text) ? `; ${keepReadable}` : ''}`

/** The settings with which the server parses the text as our scanner did. */
const keepReadable = `set standard_conforming_strings = on; set client_encoding = 'UTF8'; ${markWork}`

/** Prepares the session again after a script has run DISCARD ALL. */
export const resumeSession = (script: Script, historyTable: HistoryTable, settings: FileSettings) =>
  `${setRole(settings.role, '')}${setPlace(settings, '')}${prepared(historyTable, script)}${setTimeouts(settings, '')}${keepReadable}`

/** The record of a file that is applied outside a transaction. */
export function recordOfStep(
  step: MigrationStep,
  historyTable: HistoryTable,
  row: NewRow,
  start: Progress,
): SplitRecord {
  const ledger = ownTableOf(historyTable, step)
  const seq = step.resume?.seq ?? row.seq
  const { native: history } = historyTable.format
  const table = historyTable.native?.table ?? ''
  return {
    begin: step.resume
      ? undefined
      : {
          own: `${ledger.insert(step, row)}; ${ledger.progress(seq, start)}`,
          native: history?.start?.(table, step, step.before),
        },
    progress: (progress) => ledger.progress(seq, progress),
    finish: (durationMs) => ({
      own: ledger.finish(step, { ...row, seq, status: 'applied' }, durationMs),
      native: history && finishNative(history, table, step, durationMs),
    }),
    forget: () => ({ own: ledger.forget(seq), native: history?.forget?.(table, step, step.before) }),
  }
}

/** Records it as applied, with its duration if the tool records that. */
function finishNative(history: NativeHistory, table: string, step: MigrationStep, durationMs: number): string {
  const finish = (history.finish ?? history.record)(table, step, step.before)
  const durations = history.durations?.(table, [{ file: step, durationMs }])
  return [finish, ...realigned(history, table, step), ...(durations === undefined ? [] : [durations])].join('; ')
}

/** A recorded file and how long it took. */
export type WrittenRow = { table: OwnTable['table']; seq: number; durationMs: number; file: Migration }

/** Returns whether no file left a transaction open (`idle`), and writes the durations into the tool's own history. */
export function writeNativeDurations(rows: WrittenRow[], historyTable: HistoryTable, role: string | undefined): string {
  const native = historyTable.native && historyTable.format.native!.durations?.(historyTable.native.table, rows)
  return `${reset} select pg_catalog.pg_current_xact_id_if_assigned() is null as idle${
    native ? `; ${setRole(role, 'local ')}${native}` : ''
  }`
}

/** Writes the durations into our own tables. As a synchronous commit, this also makes sure that all earlier commits are on disk. */
export const writeDurations = (rows: WrittenRow[]): string =>
  [...Map.groupBy(rows, ({ table }) => table)]
    .map(
      ([table, own]) => `update ${table} m set duration_ms = d.ms
     from (values ${own.map(({ seq, durationMs }) => `(${seq}, ${Math.round(durationMs)})`).join(', ')}) d (seq, ms) where m.seq = d.seq`,
    )
    .join('; ')

/**
 * Whether a file may leave something in the session that changes how the next message is parsed, before that message's own reset
 * takes effect; or may remove the mark of a working session.
 */
export const leavesTraces = (text: string) => traces.test(text)

const traces = /conforming|quote|encoding|names|set_config|temp|advisory|discard|default_transaction|characteristics/i

/** Removes such traces, in a message of its own. */
export const cleanSession = `${reset} discard temp; ${markWork}`
