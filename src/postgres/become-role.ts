import { AppError } from '../errors.ts'
import { quoteIdent } from '../sql/quote.ts'
import { visibleSql } from '../text.ts'
import type { Db } from './db.ts'
import { isServerError } from './server-error.ts'

/**
 * Makes the rest of the transaction act as a role.
 * @param what cannot be loaded otherwise: `seeds`
 * @throws {AppError} `refused` when the session user may not act as it, or the role does not exist
 */
export async function becomeRole(tx: Db, role: string, what: string): Promise<void> {
  try {
    await tx.unsafe(`set local role ${quoteIdent(role)}`)
  } catch (cause) {
    if (!isServerError(cause) || !['42501', '22023'].includes(cause.code)) throw cause
    throw new AppError('refused', `${what} cannot be loaded as the role ${role}: ${cause.message}`, {
      hint: `let the session user act as that role: grant ${visibleSql(quoteIdent(role))} to <session user>`,
      sqlstate: cause.code,
      cause,
    })
  }
}
