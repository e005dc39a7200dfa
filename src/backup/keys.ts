import type { Backup } from '../archive/backup.ts'
import { dumpName, globalsName, objectKey } from '../archive/layout.ts'
import { AppError, hasReason } from '../errors.ts'
import { sealedSuffix } from '../store/age.ts'
import { checkOpens } from '../store/pack.ts'
import type { Store } from '../store/store.ts'

/** Whether a backup can be decrypted. `opens`: null where it is not encrypted, or that cannot be known; then `problem` says why. */
export type KeyCheck = {
  id: string
  database: string
  encrypted: boolean
  opens: boolean | null
  problem: string | null
}

/**
 * Finds out by their headers whether a backup can be decrypted; what follows is not read.
 * @throws {AppError} `backup` if the store cannot be read
 */
export async function checkKeys(
  store: Store,
  { id, database, encryption, problem }: Backup,
  identities: readonly string[],
): Promise<KeyCheck> {
  const where = { id, database }
  if (problem !== undefined) return { ...where, encrypted: false, opens: null, problem }
  if (!encryption) return { ...where, encrypted: false, opens: null, problem: null }
  try {
    for (const plain of [dumpName, globalsName]) {
      const name = `${plain}${sealedSuffix}`
      await checkOpens(store, objectKey(database, id, name), name, identities)
    }
    return { ...where, encrypted: true, opens: true, problem: null }
  } catch (error) {
    if (hasReason(error, 'no-identity'))
      return { ...where, encrypted: true, opens: false, problem: 'no identity opens it' }
    if (error instanceof AppError && error.kind === 'corrupt')
      return { ...where, encrypted: true, opens: null, problem: error.message }
    throw error
  }
}
