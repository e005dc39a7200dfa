import { AppError } from '../../errors.ts'
import type { Applied, Migration } from '../../formats/types.ts'
import type { BeforeChange } from '../../plan.ts'
import type { Db, Sql } from '../../postgres/db.ts'
import { isServerError } from '../../postgres/server-error.ts'
import { inTransaction } from '../../postgres/transaction.ts'
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts'
import { readHistory } from '../history/history.ts'
import { type HistoryTable, ownTableOf } from '../history/history-table.ts'
import { asStrange, guardNative } from '../history/plain.ts'
import type { Repair, RepairPlan } from '../plan/repair.ts'
import { compareContent, isDone } from '../plan/verify.ts'
import { readEnds } from './options.ts'

export type RepairOptions = {
  /** A session (`max: 1`) that nothing else uses meanwhile. */
  sql: Sql
  historyTable: HistoryTable
  /** Those of the folder. */
  files: Migration[]
  plan: RepairPlan
  /** The role that writes the tool's own history; undefined for the session user. */
  role: string | undefined
  toolVersion: string
  beforeChange: BeforeChange
  guard(): void
}

/**
 * Makes all repairs or none, and verifies them in the same transaction by reading the history again.
 *
 * @throws {AppError} `history` if the history changed meanwhile or could not be repaired; `refused` without the privilege
 */
export async function repairHistory(options: RepairOptions): Promise<void> {
  const { sql, historyTable, role, plan, beforeChange, guard } = options
  if (plan.repairs.length === 0) return
  await beforeChange()
  guard()
  const { lastSeq, lastDetail } = await readEnds(sql, role)
  if ((!historyTable.native && lastSeq !== plan.lastSeq) || lastDetail !== plan.lastDetail) {
    throw new AppError('history', 'the history changed after this was planned', { hint: 'run this again' })
  }
  await inTransaction(sql, async (tx) => {
    if (historyTable.native) await tx.unsafe(asRole(role, guardNative(historyTable, 'write')))
    let next = lastDetail
    for (const repair of plan.repairs) {
      const added = repair.action === 'applied' && repair.row.seq === 0 ? ++next : 0
      await repairNative(tx, options, repair)
      const statement = ownStatement(options, repair, added)
      if (statement !== undefined) await tx.unsafe(statement)
    }
    for (const repair of plan.repairs) await refuseUndone(tx, options, repair)
  }).catch((error: unknown) => {
    throw asFailure(asStrange(error))
  })
}

/** Repairs the tool's own history. */
async function repairNative(tx: Db, options: RepairOptions, repair: Repair): Promise<void> {
  const { native: history } = options.historyTable.format
  if (!options.historyTable.native || !history) return
  const { table } = options.historyTable.native
  const { action, file, before, row } = repair
  const send = (statements: string) => tx.unsafe(asRole(options.role, statements))
  if (action === 'realign') {
    const isKept = row.checksum !== null || row.description !== undefined
    if (history.realign && isKept) await send(history.realign(table, file))
  } else if (action === 'applied') {
    // It is recorded again, because a tool's own repair may have removed the started row, or left an older one.
    if (history.forget) await send(history.forget(table, file, before))
    const found = await recordOf(tx, options, repair)
    if (!found || !isDone(found)) await send(history.record(table, file, before))
  } else await send(history.unrecord(table, file, before))
}

const asRole = (role: string | undefined, statements: string) =>
  role === undefined ? statements : `set local role ${quoteIdent(role)}; ${statements}; set local role none`

/** Repairs our own record: updates or removes the row, or adds one with the number `added`. The chain of rows stays intact. */
function ownStatement(
  { historyTable, toolVersion }: RepairOptions,
  { action, row, file }: Repair,
  added: number,
): string | undefined {
  const ledger = ownTableOf(historyTable, file)
  const { seq } = row
  if (added > 0) return ledger.insert(file, { seq: added, previous: added - 1, status: 'faked', toolVersion })
  if (seq === 0) return undefined
  if (action === 'pending' || action === 'forget') return ledger.forget(seq)
  const content = `name = ${quoteLiteral(file.name)}, sha256 = '${file.sha256}'`
  const status = row.status === 'started' ? `, status = 'applied', applied_at = pg_catalog.clock_timestamp()` : ''
  const set = action === 'realign' ? content : `${content}${status}, progress = null`
  return `update ${ledger.table} set ${set} where seq = ${seq}`
}

/** The current record of a migration. */
async function recordOf(
  tx: Db,
  { historyTable, files, role }: RepairOptions,
  { row }: Repair,
): Promise<Applied | undefined> {
  const { applied, repeated } = await readHistory(tx, historyTable, files, role)
  // Reading has switched to the role for this transaction.
  await tx.unsafe('set local role none')
  return [...applied, ...repeated].find(({ id }) => id === row.id)
}

async function refuseUndone(tx: Db, options: RepairOptions, repair: Repair): Promise<void> {
  const { action, file } = repair
  const found = await recordOf(tx, options, repair)
  const isThere =
    found !== undefined && isDone(found) && found.progress === null && compareContent(found, file) === 'same'
  if (action === 'pending' || action === 'forget' ? found === undefined : isThere) return
  throw new AppError('history', `the record of ${repair.name} could not be repaired; nothing was changed`, {
    hint: `look at its rows in ${options.historyTable.native?.table ?? 'pgbosun.migrations'}`,
  })
}

function asFailure(error: unknown): unknown {
  if (!isServerError(error)) return error
  const [kind, hint] =
    error.code === '42501'
      ? (['refused', 'grant it, or connect as the owner of the history'] as const)
      : ([
          'history',
          'repair by hand what the server names, or repair one migration at a time, the newest first',
        ] as const)
  return new AppError(kind, `the history could not be repaired, and nothing was changed: ${error.message}`, {
    hint,
    sqlstate: error.code,
    cause: error,
  })
}
