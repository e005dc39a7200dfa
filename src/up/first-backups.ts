import type { BackupResult } from '../backup/run.ts'
import { AppError, withReport } from '../errors.ts'

/** A backup that was made before migrations were applied. */
export type FirstBackup = Pick<BackupResult, 'id' | 'database' | 'sizeBytes' | 'durationMs'>

/** As the JSON document has them. */
export const firstBackupFields = (made: FirstBackup[]) => ({
  backup_first: made.map(({ id, database, sizeBytes, durationMs }) => ({
    id,
    database,
    size_bytes: sizeBytes,
    duration_ms: durationMs,
  })),
})

/** Does work during which backups are made. They are there even when it fails, and its error says so. */
export async function withFirstBackups<T>(work: (made: FirstBackup[]) => Promise<T>): Promise<T> {
  const made: FirstBackup[] = []
  try {
    return await work(made)
  } catch (error) {
    throw error instanceof AppError ? withReport(error, firstBackupFields(made)) : error
  }
}
