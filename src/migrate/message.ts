import { quoteIdent, quoteLiteral } from '../db/sql.ts'
import type { AppliedStatus, Migration } from './types.ts'

/** Undoes what a file may have left in the session: role, settings, search_path. Keeps advisory locks. */
export const reset = 'reset session authorization; set role none; reset all;'

/** Fails where the role does not exist or may not be used; tells where the history ends. */
export const preflight = (role: string | undefined) =>
  `${reset} ${role === undefined ? '' : `set role ${quoteIdent(role)}; set role none; `}select coalesce(max(seq), 0) as last from pgbosun.migrations`

/** A row of the history that is about to be written. `previous` chains it to the row before: 0 is the start. */
export type NewRow = { seq: number; previous: number; status: AppliedStatus; toolVersion: string }

/** `role` undefined: the session user. */
export type FileSettings = { role: string | undefined; lockTimeoutMs: number }

/**
 * What is sent before a file's text, in the same message and so in the same transaction. The row's `previous` lets it
 * fail when the file before has failed. The commit need not wait for the disk: the last message of a run does.
 */
export const filePrefix = (file: Migration, row: NewRow, { role, lockTimeoutMs }: FileSettings) =>
  `${reset} ${insertRow(file, row)} set local synchronous_commit = off; ${
    role === undefined ? '' : `set local role ${quoteIdent(role)}; `
  }set local lock_timeout = ${Math.round(lockTimeoutMs)};\n`

/** Records a file before it runs outside a transaction, and prepares the session, as the file must be alone in its message. */
export const startAlone = (file: Migration, row: NewRow, { role, lockTimeoutMs }: FileSettings) =>
  `${reset} ${insertRow(file, row)} set lock_timeout = ${Math.round(lockTimeoutMs)}; ${
    role === undefined ? '' : `set role ${quoteIdent(role)}`
  }`

/** Records that it has finished. */
export const finishAlone = (seq: number, durationMs: number) =>
  `${reset} update pgbosun.migrations set status = 'applied', duration_ms = ${Math.round(durationMs)}
    where seq = ${seq} and status = 'started'`

/** Takes the record back: it failed, and did nothing. */
export const forgetAlone = (seq: number) =>
  `${reset} delete from pgbosun.migrations where seq = ${seq} and status = 'started'`

/**
 * The last message of a run: writes the durations and, by being a synchronous commit, brings all commits before it to disk.
 * `idle` tells that no file left a transaction open.
 */
export const writeDurations = (rows: { seq: number; durationMs: number }[]) =>
  `${reset} select pg_current_xact_id_if_assigned() is null as idle; update pgbosun.migrations m set duration_ms = d.ms
     from (values ${rows.map(({ seq, durationMs }) => `(${seq}, ${Math.round(durationMs)})`).join(', ')}) d (seq, ms) where m.seq = d.seq`

/** Whether a file may leave something that would change how the next message is read, which its own reset comes too late for. */
export const leavesTraces = (text: string) => /conforming|quote|encoding|names|set_config|temp/i.test(text)

/** Undoes that, as a message of its own. */
export const resetTraces = `${reset} discard temp`

const insertRow = ({ version, name, sha256 }: Migration, { seq, previous, status, toolVersion }: NewRow) =>
  'insert into pgbosun.migrations (seq, previous, version, name, sha256, status, tool_version) values (' +
  `${seq}, ${previous === 0 ? 'null' : previous}, ${version}, ${quoteLiteral(name)}, '${sha256}', '${status}', ${quoteLiteral(toolVersion)});`
