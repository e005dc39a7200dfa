import { becomeRole as become } from '../postgres/become-role.ts'
import type { Db } from '../postgres/db.ts'

/**
 * Makes the rest of the transaction act as a role.
 * @throws {AppError} `refused` when the session user may not act as it, or the role does not exist
 */
export const becomeRole = (tx: Db, role: string): Promise<void> => become(tx, role, 'seeds')
