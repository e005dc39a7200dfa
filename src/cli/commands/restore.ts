import { readBackups } from '../../archive/catalog.ts'
import { type Manifest, mostCounted } from '../../archive/manifest.ts'
import { openStore } from '../../archive/open.ts'
import { runBackup } from '../../backup/run.ts'
import { type Keys, readKeys } from '../../config/keys.ts'
import { resolveConnection } from '../../config/resolve.ts'
import { type AppError, hasReason, withReport } from '../../errors.ts'
import { checkClientFiles } from '../../programs/tls-files.ts'
import { isPart } from '../../restore/apply.ts'
import type { Comparison } from '../../restore/differences.ts'
import type { RestoreOptions, WantedRestore } from '../../restore/options.ts'
import { inPart, renderMissing } from '../../restore/part.ts'
import { runRestore } from '../../restore/run.ts'
import type { Restored } from '../../restore/work.ts'
import type { Result } from '../../run/context.ts'
import { asAppError } from '../../run/failure.ts'
import { withProgress } from '../../run/progress.ts'
import { counted, megabytes, plural, seconds } from '../../units.ts'
import { backupOptions } from '../../up/backups.ts'
import { askYes, typeName } from '../ask.ts'
import { backupChoices } from '../backup-choices.ts'
import type { Command, CommandContext } from '../command.ts'
import { pickBackup } from '../pick.ts'
import { modeOf, readWanted, restoreFlags } from '../restore-flags.ts'
import { restoreDiscard, restoreRelease, restoreRollback } from '../restore-modes.ts'
import { tuneForStreams } from '../v8.ts'

/** `restore`: makes a database from a backup, completely or not at all. */
export const restore: Command = {
  name: 'restore',
  details:
    'Without --into, the target database is replaced, in one step, once the copy is complete. The backup is verified first, and the restored rows are compared with what was backed up.',
  args: { usage: '[ID|latest]', min: 0, max: 1 },
  flags: restoreFlags,
  exits: {
    unreachable: 'no connection within wait.timeout, or the connection was lost',
    locked: 'the run lock was held for too long',
    refused: 'credentials, or a privilege is missing',
    backup: 'the store cannot be read',
    corrupt: 'the backup is damaged, or no identity opens it; nothing was changed',
    nobackup: 'no backup matches',
    restore:
      'refused or failed, and the message says whether the database was touched; with --keep-going: something is missing',
  },
  async run(context) {
    const mode = modeOf(context)
    if (mode === 'rollback') return restoreRollback(context)
    if (mode === 'discard') return restoreDiscard(context)
    if (mode === 'release') return restoreRelease(context)
    const database = typeof context.flags.into === 'string' ? context.flags.into : null
    const report: Report = { id: null, database, touched: false, rows_compared: 0, differences: [], missing: [] }
    try {
      return await restoreAs(context, report)
    } catch (error) {
      return { fields: {}, failure: withReport(asForRestore(error, context.signal, report), report) }
    }
  },
}

type Report = {
  id: string | null
  database: string | null
  touched: boolean
  rows_compared: number
  differences: never[]
  missing: never[]
}

async function restoreAs(context: CommandContext, report: Report): Promise<Result> {
  const { loaded, log, signal, out, runId, command, flags } = context
  const { config, env, baseDir } = loaded
  // --database chooses whose backups to read, and what is replaced; the server is still that of the target.
  const connection = resolveConnection(config, env, baseDir)
  const source = typeof flags.database === 'string' ? flags.database : connection.database
  const store = openStore(loaded, signal)
  const keys = readKeys(config, env, baseDir)
  const asked = readWanted(context, { terminal: process.stdin.isTTY === true, target: source })
  const wanted = isToBePicked(context)
    ? { ...asked, id: await pickFrom({ store, secrets: keys.secrets }, source, signal) }
    : asked
  report.id = wanted.id ?? null
  report.database = wanted.into
  checkClientFiles(connection)
  const restored = await withProgress(context, 'MB restored', (onProgress) =>
    runRestore({
      ...{ wanted, connection, runId, command, out, log, signal, source, store, keys },
      name: config.backup.name,
      lock: { database: config.lock.database, timeoutMs: config.lock.timeout },
      wait: { timeoutMs: config.wait.timeout, patient: config.wait.patient },
      search: { path: env.PATH },
      backUp: backUpFirst(context, store, wanted),
      confirm: () => confirm(context, wanted),
      onChosen: (id) => {
        report.id = id
      },
      onPublished: () => {
        report.touched = true
      },
      onProgress: (done, total) => onProgress(megabytes(done), megabytes(total)),
      now: () => new Date(),
    }),
  )
  const result = await tell(context, restored, report)
  if (!(restored.swapped ?? restored.inPlace) || wanted.into !== connection.database) return result
  return { ...result, fields: { ...result.fields, plan: await planAfter(context) } }
}

/** Whether a person is there to pick a backup, and nothing on the command line chooses one. */
const isToBePicked = ({ args, flags }: CommandContext): boolean =>
  process.stdin.isTTY &&
  process.stderr.isTTY &&
  args.length === 0 &&
  [flags.at, flags.yes, flags.replace].every((flag) => flag === undefined)

/** Undefined if there is none: the restore then says why. */
async function pickFrom(
  { store, secrets }: Pick<RestoreOptions, 'store'> & Pick<Keys, 'secrets'>,
  source: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const choices = backupChoices(await readBackups(store, source, secrets), new Date())
  return choices.length === 0 ? undefined : pickBackup(choices, signal)
}

/** Shows what `up` would change in the restored database: roles and grants of today that the backup does not have, migrations that it lacks. */
async function planAfter(context: CommandContext): Promise<unknown> {
  const { out } = context
  out.print('next     `pgbosun up` would change:')
  try {
    const { planUp } = await import('../../up/plan.ts')
    return (await planUp(context)).fields.steps
  } catch (error) {
    out.warn(`what \`pgbosun up\` would change is unknown: ${asAppError(error).message}`)
    return null
  }
}

/** Backs up the database that is about to be replaced; pinned, and never chosen as the latest. */
const backUpFirst =
  (context: CommandContext, store: RestoreOptions['store'], { into }: WantedRestore): RestoreOptions['backUp'] =>
  async (systemIdentifier) => {
    tuneForStreams()
    const { id } = await withProgress(context, 'MB of the present state backed up', (onProgress) =>
      runBackup({
        ...backupOptions(context, store, into),
        slot: null,
        kind: 'before-restore',
        maxLagMs: 0,
        systemIdentifier,
        onProgress: (done, total, at) => onProgress(megabytes(done), megabytes(total), undefined, undefined, at),
      }),
    )
    context.out.print(`backup   ${id} has ${into} as it was just before`)
    return id
  }

async function confirm({ flags, signal }: CommandContext, { into, swap }: WantedRestore): Promise<void> {
  if (swap && flags.replace === undefined) await typeName(`Replace ${into}?`, into, signal)
  else if (!swap && flags.yes !== true) await askYes(`Restore it into ${into}?`, 'answer y, or pass --yes', signal)
}

async function tell(
  { out }: CommandContext,
  { manifest, comparison, missing, createdRoles, durationMs, onlyFor, swapped, inPlace }: Restored,
  report: Report,
): Promise<Result> {
  if (onlyFor !== undefined)
    out.print(
      `closed   everything in it, functions too, belongs to ${onlyFor}; nobody else may connect until you grant it`,
    )
  if (swapped) {
    const { replaced, backedUp, held } = swapped
    const since = backedUp === null ? 'is' : `was written after backup ${backedUp} began is`
    out.print([
      `kept     what it was before is ${replaced}: what ${since} only there; --rollback brings it back, --discard drops it`,
      ...heldLines(held),
    ])
  }
  if (inPlace) {
    const { backedUp, held } = inPlace
    const before = backedUp === null ? 'was kept nowhere' : `is in backup ${backedUp}`
    out.print([`replaced what it was before ${before}; the database is still the same one`, ...heldLines(held)])
  }
  const more = { missing, roles_created: createdRoles, duration_ms: durationMs }
  const fields = { ...report, touched: true, ...fieldsOf(comparison, manifest), ...more }
  if (createdRoles.length > 0)
    out.print(`roles    created without login, for you to complete: ${createdRoles.join(', ')}`)
  if (isPart(comparison, missing)) {
    for (const line of renderMissing(comparison, missing)) out.print(line)
    return { fields, failure: inPart(report.database ?? '', comparison, missing) }
  }
  const { rows, tables } = comparison
  const estimated = Object.keys(manifest.estimated_rows ?? {})
  if (estimated.length > 0)
    out.print(
      `partly   ${counted(estimated.length, 'table')} of more than ${mostCounted} rows ${plural(estimated.length, 'was', 'were')} not compared: backup.counts was sampled`,
    )
  if (manifest.counts === 'none')
    out.print(`done     nothing was compared: backup.counts was none when it was backed up (${seconds(durationMs)})`)
  else
    out.print(
      `done     ${counted(rows, 'row')} in ${counted(tables, 'table')} ${plural(rows, 'matches', 'match')} what was backed up (${seconds(durationMs)})`,
    )
  const swap = swapped && {
    replaced: swapped.replaced,
    backup_before: swapped.backedUp,
    waited_ms: swapped.waitedMs,
  }
  return { fields: { ...fields, ...swap, ...(inPlace && { backup_before: inPlace.backedUp }) } }
}

const heldLines = (held: boolean): string[] =>
  held
    ? ['held     pending migrations are not applied until `pgbosun restore --release`, or `pgbosun up --after-restore`']
    : []

const fieldsOf = ({ rows, tables, differences, notCompared }: Comparison, manifest: Manifest) => ({
  source_database: manifest.database.name,
  backed_up_at: manifest.started_at,
  rows_compared: rows,
  tables_compared: tables,
  not_compared: [...Object.keys(manifest.estimated_rows ?? {}), ...notCompared.map(({ table }) => table)].sort(),
  differences,
})

/** A failure of the client programs is 60 for a backup, but 70 for a restore. A store that cannot be read stays 60. */
function asForRestore(error: unknown, { aborted, reason }: AbortSignal, { touched, database }: Report): AppError {
  if (hasReason(error, 'outcome-unknown')) return error
  const failure = asAppError(aborted ? reason : error)
  const message = `${failure.message}; ${touched ? `the restore of ${database} was complete` : 'nothing was changed'}`
  if (aborted) return failure.with({ message, hint: touched ? 'see `pgbosun status`' : 'run it again' })
  if (failure.kind !== 'backup') return failure
  return failure.with({ ...(failure.reason !== 'store-unreadable' && { kind: 'restore' }), message })
}
