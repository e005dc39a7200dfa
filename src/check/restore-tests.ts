// pure
import type { RestoreTest } from '../archive/restore-test.ts'
import { seconds } from '../units.ts'

/** The test restores of the backups of one database. */
export type RestoreTestFacts = {
  database: string
  /** The last one, of whatever backup. */
  last: (RestoreTest & { id: string }) | undefined
  /** The newest slot of `backup.verify.schedule` whose test should be finished by now; undefined without a schedule. */
  newestSlot: Date | undefined
  /** Since when there has been a backup to restore. */
  since: Date | undefined
}

/** What is wrong with the test restores of a database; undefined: nothing. */
export function judgeRestoreTests({ database, last, newestSlot, since }: RestoreTestFacts): {
  failed: string | undefined
  overdue: string | undefined
} {
  const expected = newestSlot !== undefined && since !== undefined && newestSlot > since
  const missing = expected && (last === undefined || last.at < newestSlot)
  return {
    failed:
      last && !last.ok
        ? `the backup ${last.id} of ${database} could not be restored for a test on ${last.server}: ${last.problem}`
        : undefined,
    overdue: missing
      ? `no backup of ${database} was restored for a test since ${newestSlot.toISOString()}, when it was due; ${last ? `the last time was ${last.at.toISOString()}` : 'none ever was'}`
      : undefined,
  }
}

/** The last test restore, for people: `restored in 3.1 s on db-test:5432, PostgreSQL 17.2`. */
export const renderRestoreTest = ({ at, ok, durationMs, server }: RestoreTest): string =>
  ok
    ? `restored in ${seconds(durationMs ?? 0)} on ${server} (${at.toISOString()})`
    : `test restore FAILED (${at.toISOString()})`

/** The last test restore as fields of a JSON document; null if there was none. */
export const restoreTestFields = (last: RestoreTestFacts['last']) =>
  last
    ? {
        id: last.id,
        at: last.at.toISOString(),
        ok: last.ok,
        problem: last.problem,
        duration_ms: last.durationMs,
        server: last.server,
      }
    : null
