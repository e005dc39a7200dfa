import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { AppError, usage } from '../../errors.ts'
import { isFolder, readNames } from '../../formats/files.ts'
import type { NewFile } from '../../formats/format.ts'
import { pgbosun } from '../../formats/pgbosun.ts'
import type { Migration } from '../../formats/types.ts'
import { makeFolder } from '../../machine/make-folder.ts'
import type { BeforeChange } from '../../plan.ts'
import type { Db, Sql } from '../../postgres/db.ts'
import { inTransaction } from '../../postgres/transaction.ts'
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts'
import { readHistory } from '../history/history.ts'
import { type HistoryTable, ownHistoryTable, ownTableOf } from '../history/history-table.ts'
import type { Adopted, AdoptPlan } from '../plan/adopt.ts'
import type { History } from '../types.ts'
import { readEnds } from './options.ts'

/**
 * The files that are missing from a folder: all of them if the folder does not exist.
 * @throws {AppError} `usage` if the folder contains anything but these files with this content
 */
export function missingFiles(dir: string, files: NewFile[]): NewFile[] {
  if (!existsSync(dir)) return files
  if (!statSync(dir).isDirectory()) throw usage(`${dir} is not a folder`, { hint: 'name a folder with --into' })
  const textOf = new Map(files.map(({ file, text }) => [file, text]))
  const there = namesBelow(dir)
  const odd = there.find((name) => textOf.get(name) !== readFileSync(join(dir, name), 'utf8'))
  if (odd !== undefined) {
    const what = textOf.has(odd) ? 'with other content than would be written' : 'which is none of the new files'
    throw usage(`${dir} is not empty: it contains ${odd}, ${what}`, {
      hint: 'name another folder with --into, or empty this one',
      file: join(dir, odd),
    })
  }
  return files.filter(({ file }) => !there.includes(file))
}

const namesBelow = (dir: string): string[] =>
  readNames(dir).flatMap((name) =>
    isFolder(join(dir, name)) ? namesBelow(join(dir, name)).map((below) => `${name}/${below}`) : [name],
  )

/**
 * Writes files, each completely or not at all.
 * @throws {AppError} `usage` when the folder cannot be written to
 */
export async function writeFolder(dir: string, files: NewFile[]): Promise<void> {
  for (const { file, text } of files) {
    const path = join(dir, file)
    // If we are killed now, no tool takes a name that starts with a dot for a migration.
    const unfinished = join(dirname(path), `.${basename(path)}.unfinished`)
    try {
      await makeFolder(dirname(path))
      writeFileSync(unfinished, text)
      renameSync(unfinished, path)
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException
      throw usage(`${path} cannot be written: ${code}`, {
        hint: 'name a writable folder with --into',
        cause,
      })
    }
  }
}

export type AdoptOptions = {
  /** A session (`max: 1`) that nothing else uses meanwhile. */
  sql: Sql
  /** That of the other tool. */
  historyTable: HistoryTable
  /** Those of the other tool's folder, from which the plan was made. */
  files: Migration[]
  history: History
  plan: AdoptPlan
  /** The role that reads the tool's own history; undefined for the session user. */
  role: string | undefined
  lockTimeoutMs: number
  toolVersion: string
  beforeChange: BeforeChange
  guard(): void
}

/**
 * Records the plan in our history, in one transaction during which nobody can write to the tool's history.
 * @throws {AppError} `history` if one of the histories changed after the plan was made
 */
export async function adoptHistory(options: AdoptOptions): Promise<void> {
  const { sql, role, plan, beforeChange, guard } = options
  const wanted = plan.adopted.filter(({ state }) => state === 'adopt')
  if (wanted.length === 0) return
  await beforeChange()
  guard()
  const ends = await readEnds(sql, role)
  if (ends.lastSeq !== plan.lastSeq || ends.lastDetail !== plan.lastDetail) throw changed()
  await inTransaction(sql, async (tx) => {
    await refuseChanged(tx, options)
    await tx.unsafe(rowsOf(wanted, options).join(';\n'))
  })
}

async function refuseChanged(
  tx: Db,
  { historyTable, files, history, role, lockTimeoutMs }: AdoptOptions,
): Promise<void> {
  const { table } = historyTable.native!
  const lock = `set local lock_timeout = ${Math.round(lockTimeoutMs)}; lock table ${table} in share mode`
  await tx.unsafe(role === undefined ? lock : `set local role ${quoteIdent(role)}; ${lock}; set local role none`)
  const now = await readHistory(tx, historyTable, files, role)
  // Reading has switched to the role for this transaction.
  await tx.unsafe('set local role none')
  if (JSON.stringify(now) !== JSON.stringify(history)) throw changed()
}

const changed = () => new AppError('history', 'the history changed after this was planned', { hint: 'run this again' })

/** The statements, without semicolons, that add the rows to the chains, with the details from the tool's history. */
function rowsOf(wanted: Adopted[], { plan, toolVersion }: AdoptOptions): string[] {
  const ends = { 'pgbosun.migrations': plan.lastSeq, 'pgbosun.migration_details': plan.lastDetail }
  return wanted.flatMap(({ file, row }) => {
    const ledger = ownTableOf(ownHistoryTable(pgbosun), file)
    const previous = ends[ledger.table]
    const seq = previous + 1
    ends[ledger.table] = seq
    const known = [
      ...(row?.appliedAt ? [`applied_at = ${quoteLiteral(row.appliedAt)}`] : []),
      ...(typeof row?.durationMs === 'number' ? [`duration_ms = ${Math.round(row.durationMs)}`] : []),
      ...(row?.appliedBy ? [`applied_by = ${quoteLiteral(row.appliedBy)}`] : []),
    ]
    return [
      ledger.insert(file, { seq, previous, status: 'adopted', toolVersion }),
      ...(known.length > 0 ? [`update ${ledger.table} set ${known.join(', ')} where seq = ${seq}`] : []),
    ]
  })
}
