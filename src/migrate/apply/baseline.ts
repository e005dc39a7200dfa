import { AppError } from '../../errors.ts'
import type { Migration } from '../../formats/types.ts'
import { inTransaction } from '../../postgres/transaction.ts'
import { quoteIdent } from '../../sql/quote.ts'
import { readHistory } from '../history/history.ts'
import { asStrange, guardNative } from '../history/plain.ts'
import { createNative, readEnds, type ScriptOptions } from './options.ts'

/** Options for writing a mark. `file`: the version that is marked. */
export type MarkOptions = Pick<ScriptOptions, 'sql' | 'historyTable' | 'role' | 'beforeChange' | 'guard'> & {
  file: Migration
}

/**
 * Writes the tool's own mark that everything up to a version is applied. Creates the tool's history if it is missing. All in one
 * transaction.
 *
 * @throws {AppError} `history` if the history is no longer empty; `refused` if the role may not be used
 */
export async function markBaseline({ sql, historyTable, role, file, beforeChange, guard }: MarkOptions): Promise<void> {
  await beforeChange()
  guard()
  await readEnds(sql, role)
  await inTransaction(sql, async (tx) => {
    await createNative({ sql, historyTable, role })
    // Creating and reading it has switched to the role for this transaction.
    await tx.unsafe('set local role none')
    const { native } = historyTable
    const { applied, repeated } = await readHistory(
      tx,
      { ...historyTable, native: native && { ...native, exists: true } },
      [],
      role,
    )
    if (applied.length + repeated.length > 0)
      throw new AppError('history', 'the history is no longer empty', { hint: 'run this again' })
    await tx.unsafe(role === undefined ? 'set local role none' : `set local role ${quoteIdent(role)}`)
    const there = { ...historyTable, native: native && { ...native, exists: true } }
    await tx.unsafe(`${guardNative(there, 'write')} ${historyTable.format.native!.baseline!(native!.table, file)}`)
  }).catch((error: unknown) => {
    throw asStrange(error)
  })
}
