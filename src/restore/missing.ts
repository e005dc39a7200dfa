import type { TocEntry } from '../archive/toc.ts'
import type { Db } from '../postgres/db.ts'
import { isConnectionLost } from '../postgres/lost.ts'
import { isServerError } from '../postgres/server-error.ts'
import { named } from './plan.ts'

/** Something of a backup that could not be restored, in words. */
export type Missing = { object: string; problem: string }

/** Given if a load goes on after a failure: it is called for everything that fails. */
export type OnMissing = ((missing: Missing) => void) | undefined

/** Makes one thing. A failure of the server names it; if the load goes on, it is noted as missing. */
export async function make(entry: TocEntry, onMissing: OnMissing, run: () => Promise<unknown>): Promise<void> {
  try {
    await run()
  } catch (error) {
    if (isServerError(error) && !isConnectionLost(error)) {
      if (onMissing) return onMissing({ object: named(entry), problem: error.message })
      error.message = `${entry.desc.toLowerCase()} ${entry.tag}: ${error.message}`
    }
    throw error
  }
}

/** Each message is a transaction: locks on all tables at once would be too many. If the load goes on, one that fails is repeated in parts. */
export async function runStatements(db: Db, statements: string[], onMissing: OnMissing, size = 50): Promise<void> {
  for (let i = 0; i < statements.length; i += size) {
    const batch = statements.slice(i, i + size)
    try {
      await db.unsafe(batch.join('\n'))
    } catch (error) {
      if (!onMissing || !isServerError(error) || isConnectionLost(error)) throw error
      if (batch.length === 1) onMissing({ object: batch[0]!.trim(), problem: error.message })
      else await runStatements(db, batch, onMissing, 1)
    }
  }
}
