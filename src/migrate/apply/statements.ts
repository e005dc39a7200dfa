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

/** Makes what follows in the message be done as the user that connected, whatever the file made of the session. */
const asOurselves = `set local session authorization default; set local role none; ${pinPath}`

/** Fails where the role does not exist or may not be used; tells which chains there are. */
export const preflight = (role: string | undefined) =>
  `${reset} ${role === undefined ? '' : `set role ${quoteIdent(role)}; set role none; `}select
     pg_catalog.to_regclass('pgbosun.migrations') is not null as own,
     pg_catalog.to_regclass('pgbosun.migration_details') is not null as details,
     pg_catalog.current_setting('session_replication_role') as replication`

/** Where the chains end; one that is not there ends at 0. */
export const endsOf = ({ own, details }: { own: boolean; details: boolean }) => {
  const end = (there: boolean, table: string) =>
    there ? `(select coalesce(pg_catalog.max(seq), 0) from ${table})` : '0'
  return `select ${end(own, 'pgbosun.migrations')} as "lastSeq", ${end(details, 'pgbosun.migration_details')} as "lastDetail"`
}

/** A time limit of 0 is none. */
export type FileSettings = RunsAs & { lockTimeoutMs: number; statementTimeoutMs: number }

const setRole = (role: string | undefined, local: 'local ' | '') =>
  role === undefined ? '' : `set ${local}role ${quoteIdent(role)};`

const setTimeouts = ({ lockTimeoutMs, statementTimeoutMs }: FileSettings, local: 'local ' | '') =>
  `set ${local}lock_timeout = ${Math.round(lockTimeoutMs)};${
    statementTimeoutMs > 0 ? `set ${local}statement_timeout = ${Math.round(statementTimeoutMs)};` : ''
  }`

/** What a file finds set, apart from its role: what the URL says, but for what our own configuration says too. */
function setPlace({ path, urlSettings = {}, statementTimeoutMs }: FileSettings, local: 'local ' | ''): string {
  const { statement_timeout: timeout, ...others } = urlSettings
  const settings = timeout === undefined || statementTimeoutMs > 0 ? others : urlSettings
  return `${setSettings(settings, local)}${setPath(path, local)}`
}

/**
 * What is sent before a file's text, in the same message and so in the same transaction. The row's `previous` lets it
 * fail when the file before has failed. The commit need not wait for the disk: the last message of a run does.
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

/** Records a step as applied in the tool's own history; what says that it was begun is there already when it was. */
function recordNative({ format, native }: HistoryTable, step: MigrationStep): string {
  const history = format.native!
  const table = native!.table
  if (!step.resume || !history.finish) return history.record(table, step, step.before)
  return [history.finish(table, step, step.before), ...realigned(history, table, step)].join('; ')
}

/** What was recorded when it was begun may be of other content: the rest of an interrupted file may be changed. */
const realigned = (history: NativeHistory, table: string, step: MigrationStep) =>
  step.resume && history.start && history.realign ? [history.realign(table, step)] : []

/** The same for a script that undoes, with `statements` instead of a new row; its commit waits for the disk. */
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

/** Sets what may be a list, such as search_path, without giving a row. */
const setting = (name: string, value: string) =>
  `do ${quoteLiteral(`begin perform pg_catalog.set_config(${quoteLiteral(name)}, ${quoteLiteral(value)}, false); end`)}`

/** What is recorded of a script that runs outside a transaction. Each but `begin` is one or more statements without the last semicolon. */
export type SplitRecord = {
  /** Before the first statement; undefined when an earlier run has done it. As ourselves, then as the role. */
  begin: { own: string; native: string | undefined } | undefined
  progress(progress: Progress): string
  finish(durationMs: number): { own: string; native: string | undefined }
  /** Nothing took effect. */
  forget(): { own: string; native: string | undefined }
}

/** Prepares the session for a script that runs outside a transaction, and records that it begins. */
export const openSplit = ({ begin }: SplitRecord, script: Script, historyTable: HistoryTable, settings: FileSettings) =>
  `${reset} ${begin ? `${begin.own};` : ''}${setTimeouts(settings, '')}${setRole(settings.role, '')}${begin?.native ? `${begin.native};` : ''}${setPlace(settings, '')}${prepared(historyTable, script)}`

/** Ends it: the session is ours again, and the record says what became of the script. */
export const closeSplit = ({ own, native }: { own: string; native: string | undefined }, role: string | undefined) =>
  `${reset} ${own};${native ? `${setRole(role, 'local ')}${native}` : ''}`

/**
 * Notes how far it has come, without touching what the script made of the session, apart from what would change how
 * its next statement is read, and the mark of a session that works. What the URL sets is not for our own statement.
 */
export const noteProgress = (
  record: SplitRecord,
  progress: Progress,
  { urlSettings = {}, text = '' }: Pick<RunsAs, 'urlSettings'> & { text?: string } = {},
) =>
  `${asOurselves} ${unsetLocally(urlSettings)}${record.progress(progress)}${leavesTraces(text) ? `; ${keepReadable}` : ''}`

/** The text was taken apart as the server reads it with these. */
const keepReadable = `set standard_conforming_strings = on; set client_encoding = 'UTF8'; ${markWork}`

/** Prepares the session again for the rest of a script that has discarded everything. */
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

/** Records it as applied, with the time that it took where the tool keeps that. */
function finishNative(history: NativeHistory, table: string, step: MigrationStep, durationMs: number): string {
  const finish = (history.finish ?? history.record)(table, step, step.before)
  const durations = history.durations?.(table, [{ file: step, durationMs }])
  return [finish, ...realigned(history, table, step), ...(durations === undefined ? [] : [durations])].join('; ')
}

/** What became of applied files: for the durations. */
export type WrittenRow = { table: OwnTable['table']; seq: number; durationMs: number; file: Migration }

/** Tells whether no file left a transaction open (`idle`), and writes the durations into the tool's own history. */
export function writeNativeDurations(rows: WrittenRow[], historyTable: HistoryTable, role: string | undefined): string {
  const native = historyTable.native && historyTable.format.native!.durations?.(historyTable.native.table, rows)
  return `${reset} select pg_catalog.pg_current_xact_id_if_assigned() is null as idle${
    native ? `; ${setRole(role, 'local ')}${native}` : ''
  }`
}

/** Writes the durations into our own tables and, by being a synchronous commit, brings all commits before it to disk. */
export const writeDurations = (rows: WrittenRow[]): string =>
  [...Map.groupBy(rows, ({ table }) => table)]
    .map(
      ([table, own]) => `update ${table} m set duration_ms = d.ms
     from (values ${own.map(({ seq, durationMs }) => `(${seq}, ${Math.round(durationMs)})`).join(', ')}) d (seq, ms) where m.seq = d.seq`,
    )
    .join('; ')

/**
 * Whether a file may leave something that would change how the next message is read, which its own reset comes too late for,
 * or may give up the mark of a session that works.
 */
export const leavesTraces = (text: string) => traces.test(text)

const traces = /conforming|quote|encoding|names|set_config|temp|advisory|discard|default_transaction|characteristics/i

/** Undoes that, as a message of its own. */
export const cleanSession = `${reset} discard temp; ${markWork}`
