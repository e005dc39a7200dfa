import { type BackupResult, runBackup } from '../../backup/run.ts'
import { AppError } from '../../errors.ts'
import { readMounts } from '../../machine/mounts.ts'
import { ofOneKind } from '../../plan.ts'
import type { Result } from '../../run/context.ts'
import { asAppError } from '../../run/failure.ts'
import { withProgress } from '../../run/progress.ts'
import { openStore } from '../../store/open.ts'
import { endsWithContainer, persistenceHint } from '../../store/persistence.ts'
import type { Store } from '../../store/store.ts'
import { megabytes, renderBytes, seconds, someLines } from '../../units.ts'
import { backedUpBySuperuser } from '../../up/backup-user.ts'
import { backupOptions, checkBackupFiles } from '../../up/backups.ts'
import type { Command, CommandContext } from '../command.ts'
import { chosenDatabases } from '../databases.ts'
import { tuneForStreams } from '../v8.ts'

/** `backup run`: backs up every database of `backup.databases`, one after the other. */
export const backupRun: Command = {
  name: 'backup run',
  details: 'A backup is verified by reading it back and decoding it. Without backup.databases: the target database.',
  flags: {},
  startsAnew: true,
  exits: {
    unreachable: 'no connection within wait.timeout',
    locked: 'another backup of the same database took longer than lock.timeout',
    refused: 'credentials, or no access to lock.database',
    backup: 'a backup failed: nothing of it is in the store',
  },
  async run(context) {
    tuneForStreams()
    checkBackupFiles(context.loaded)
    const store = openStore(context.loaded, context.signal)
    const gone = endsWithContainer(store.name, readMounts())
    if (gone !== undefined) context.out.warn(`${gone}: ${persistenceHint}`)
    const databases = chosenDatabases(context)
    const superusers = new Set<string>()
    const made: BackupResult[] = []
    const failures: AppError[] = []
    for (const database of databases) {
      try {
        made.push(await backUp(context, store, database, (user) => superusers.add(user)))
      } catch (error) {
        if (context.signal.aborted) throw error
        const failure = asAppError(error)
        if (databases.length > 1)
          context.log.error({ database, kind: failure.kind, hint: failure.hint }, failure.message)
        failures.push(failure)
      }
    }
    for (const user of superusers) context.log.warn(backedUpBySuperuser(user))
    return { fields: fields(made, databases), failure: summarise(failures, databases.length) } satisfies Result
  },
}

/** `backup`: the same as `backup run`. */
export const backup: Command = { ...backupRun, name: 'backup' }

async function backUp(
  context: CommandContext,
  store: Store,
  database: string,
  onSuperuser: (user: string) => void,
): Promise<BackupResult> {
  const { out } = context
  const result = await withProgress(context, 'MB dumped', (onProgress) =>
    runBackup({
      ...backupOptions(context, store, database),
      slot: null,
      onSuperuser,
      onProgress: (done, total) => onProgress(megabytes(done), megabytes(total)),
    }),
  )
  for (const warning of ofOneKind(result.warnings.map((text) => `${database}: ${text}`))) out.warn(warning)
  const { id, sizeBytes, durationMs } = result
  out.print(`backup  ${database}  ${id}  ${renderBytes(sizeBytes)}, verified, in ${seconds(durationMs)}`)
  return result
}

const asFields = ({ id, database, sizeBytes, durationMs }: BackupResult) => ({
  id,
  database,
  size_bytes: sizeBytes,
  duration_ms: durationMs,
})

/** The fields of the first backup at the top level, and all backups as a list. */
const fields = (made: BackupResult[], [database]: string[]) => ({
  ...(made[0] ? asFields(made[0]) : { id: null, database, size_bytes: null, duration_ms: null }),
  backups: made.map(asFields),
})

/** With one database its failure is that of the command; with several, all failures are reported together, with exit 60. */
function summarise(failures: AppError[], of: number): AppError | undefined {
  const [first] = failures
  if (first === undefined || of === 1) return first
  const message = `${failures.length} of ${of} backups failed:\n  ${someLines(failures.map((failure) => failure.message)).join('\n  ')}`
  return new AppError('backup', message, { hint: first.hint, excerpt: first.excerpt, cause: first })
}
