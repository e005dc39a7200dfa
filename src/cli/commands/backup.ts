import { openStore } from '../../archive/open.ts'
import { type BackupResult, runBackup } from '../../backup/run.ts'
import { joinedSchedule } from '../../config/schedules.ts'
import { AppError } from '../../errors.ts'
import { ofOneKind } from '../../plan.ts'
import { describeLeftOut } from '../../restore/left-out.ts'
import type { Result } from '../../run/context.ts'
import { asAppError } from '../../run/failure.ts'
import { withProgress } from '../../run/progress.ts'
import { besideHint, persistenceHint } from '../../store/persistence.ts'
import type { Store } from '../../store/store.ts'
import { megabytes, renderBytes, seconds, someLines } from '../../units.ts'
import { backedUpBySuperuser } from '../../up/backup-user.ts'
import { backupOptions, checkBackupFiles, notPersistent } from '../../up/backups.ts'
import type { Command, CommandContext } from '../command.ts'
import { chosenToBackUp } from '../databases.ts'
import { tuneForStreams } from '../v8.ts'

/** `backup run`: backs up every database of `backup.databases`, one after the other. */
export const backupRun: Command = {
  name: 'backup run',
  job: 'backup',
  details: 'A backup is verified by reading it back and decoding it. Without backup.databases: the target database.',
  flags: {
    schedule: {
      type: 'string',
      value: 'NAME',
      help: 'The schedule of backup.schedules whose series it joins. Default: the first.',
    },
  },
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
    const gone = notPersistent(store)
    if (gone !== undefined) context.out.warn(`${gone}: ${persistenceHint}`)
    const schedule = joinedSchedule(context.loaded.config.backup, flagOf(context))
    const databases = await chosenToBackUp(context)
    const superusers = new Set<string>()
    const beside = new Set<string>()
    const made: BackupResult[] = []
    const failures: AppError[] = []
    for (const database of databases) {
      try {
        const result = await backUp(context, {
          ...{ store, database, schedule },
          onSuperuser: (user) => superusers.add(user),
          onBeside: (problem) => beside.add(problem),
        })
        made.push(result)
        if (result.lost.length > 0) failures.push(notEverywhere(result))
      } catch (error) {
        if (context.signal.aborted) throw error
        const failure = asAppError(error)
        if (databases.length > 1)
          context.log.error({ database, kind: failure.kind, hint: failure.hint }, failure.message)
        failures.push(failure)
      }
    }
    for (const problem of beside) context.log.warn({ hint: besideHint }, problem)
    for (const user of superusers) context.log.warn(backedUpBySuperuser(user))
    return { fields: fields(made, databases), failure: summarise(failures, databases.length) } satisfies Result
  },
}

/** `backup`: the same as `backup run`. */
export const backup: Command = { ...backupRun, name: 'backup' }

type Wanted = {
  store: Store
  database: string
  schedule: string | undefined
  onSuperuser(user: string): void
  onBeside(problem: string): void
}

const flagOf = ({ flags }: CommandContext) => (typeof flags.schedule === 'string' ? flags.schedule : undefined)

async function backUp(
  context: CommandContext,
  { store, database, schedule, onSuperuser, onBeside }: Wanted,
): Promise<BackupResult> {
  const { out } = context
  const result = await withProgress(context, 'MB dumped', (onProgress) =>
    runBackup({
      ...backupOptions(context, store, database, schedule),
      slot: null,
      onSuperuser,
      onBeside,
      onProgress: (done, total, at) => onProgress(megabytes(done), megabytes(total), undefined, undefined, at),
    }),
  )
  for (const warning of ofOneKind(result.warnings.map((text) => `${database}: ${text}`))) out.warn(warning)
  const { id, sizeBytes, durationMs, stores, lost } = result
  const where = stores.length + lost.length === 1 ? '' : `, in ${stores.join(', ')}`
  const partial = describeLeftOut(result.manifest)
  const how = `${renderBytes(sizeBytes)}, verified, in ${seconds(durationMs)}${where}${partial ? `; without ${partial}` : ''}`
  out.print(`backup  ${database}  ${id}  ${how}`)
  return result
}

const asFields = ({ id, database, sizeBytes, durationMs, stores, lost }: BackupResult) => ({
  id,
  database,
  size_bytes: sizeBytes,
  duration_ms: durationMs,
  stores,
  failed_stores: lost.map(({ store, error }) => ({ store, problem: error.message })),
})

/** Exit 60: it is good, and at risk until each store has it. */
function notEverywhere({ id, database, stores, lost }: BackupResult): AppError {
  const missing = lost.map(({ store, error }) => `${store} (${error.message})`).join(', ')
  return new AppError(
    'backup',
    `the backup ${id} of ${database} is good, and in ${stores.join(', ')}, but not in ${missing}`,
    {
      hint: `${lost[0]!.error.hint ?? 'check that store'}; then \`pgbosun backup copy ${id} --to ${lost[0]!.store}\``,
      cause: lost[0]!.error,
    },
  )
}

/** The fields of the first backup at the top level, and all backups as a list. */
const fields = (made: BackupResult[], [database]: string[]) => ({
  ...(made[0]
    ? asFields(made[0])
    : { id: null, database, size_bytes: null, duration_ms: null, stores: [], failed_stores: [] }),
  backups: made.map(asFields),
})

/** With one database its failure is that of the command; with several, all failures are reported together, with exit 60. */
function summarise(failures: AppError[], of: number): AppError | undefined {
  const [first] = failures
  if (first === undefined || of === 1) return first
  const message = `${failures.length} of ${of} backups failed:\n  ${someLines(failures.map((failure) => failure.message)).join('\n  ')}`
  return new AppError('backup', message, { hint: first.hint, excerpt: first.excerpt, cause: first })
}
