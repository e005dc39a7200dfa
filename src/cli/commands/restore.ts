import { createInterface } from 'node:readline/promises'
import type { Manifest } from '../../archive/manifest.ts'
import { resolveConnection } from '../../config/resolve.ts'
import { type AppError, usage, withReport } from '../../errors.ts'
import { checkClientFiles } from '../../programs/tls-files.ts'
import type { Comparison } from '../../restore/compare.ts'
import { runRestore, type WantedRestore } from '../../restore/run.ts'
import type { Result } from '../../run/context.ts'
import { asAppError } from '../../run/failure.ts'
import { withProgress } from '../../run/progress.ts'
import { openStore } from '../../store/open.ts'
import { visible } from '../../text.ts'
import { counted, megabytes, plural, seconds } from '../../units.ts'
import type { Command, CommandContext } from '../command.ts'
import { readWanted, restoreFlags } from '../restore-flags.ts'

/** `restore`: makes a new database from a backup, completely or not at all. */
export const restore: Command = {
  name: 'restore',
  details: 'The backup is verified first, and the restored rows are compared with what was backed up.',
  args: { usage: '[ID|latest]', min: 0, max: 1 },
  flags: restoreFlags,
  exits: {
    unreachable: 'no connection within wait.timeout, or the connection was lost',
    locked: 'the run lock was held for too long',
    refused: 'credentials, or a privilege is missing',
    backup: 'the store cannot be read',
    corrupt: 'the backup is damaged; nothing was changed',
    nobackup: 'no backup matches',
    restore: 'refused or failed; the message says that nothing was changed',
  },
  async run(context) {
    const database = typeof context.flags.into === 'string' ? context.flags.into : null
    const report: Report = { id: null, database, touched: false, rows_compared: 0, differences: [] }
    try {
      const wanted = readWanted(context, { terminal: process.stdin.isTTY === true })
      report.id = wanted.id ?? null
      return await restoreAs(context, wanted, report)
    } catch (error) {
      return { fields: {}, failure: withReport(asForRestore(error, context.signal), report) }
    }
  },
}

type Report = {
  id: string | null
  database: string | null
  touched: boolean
  rows_compared: number
  differences: never[]
}

async function restoreAs(context: CommandContext, wanted: WantedRestore, report: Report): Promise<Result> {
  const { loaded, log, signal, out, runId, command, flags } = context
  const { config, env, baseDir } = loaded
  // --database chooses whose backups to read; the server is still that of the target.
  const connection = resolveConnection(config, env, baseDir)
  checkClientFiles(connection)
  const { manifest, comparison, durationMs, onlyFor } = await withProgress(context, 'MB restored', (onProgress) =>
    runRestore({
      ...{ wanted, connection, runId, command, out, log, signal },
      source: typeof flags.database === 'string' ? flags.database : connection.database,
      store: openStore(config.backup),
      name: config.backup.name,
      lock: { database: config.lock.database, timeoutMs: config.lock.timeout },
      wait: { timeoutMs: config.wait.timeout, patient: config.wait.patient },
      search: { path: env.PATH },
      confirm: async () => {
        if (flags.yes !== true) await confirm(wanted.into, signal)
      },
      onChosen: (id) => {
        report.id = id
      },
      onProgress: (done, total) => onProgress(megabytes(done), megabytes(total)),
      now: () => new Date(),
    }),
  )
  if (onlyFor !== undefined)
    out.print(
      `closed   everything in it, functions too, belongs to ${onlyFor}; nobody else may connect until you grant it`,
    )
  const { rows, tables } = comparison
  out.print(
    `done     ${counted(rows, 'row')} in ${counted(tables, 'table')} ${plural(rows, 'matches', 'match')} what was backed up (${seconds(durationMs)})`,
  )
  return { fields: { ...report, touched: true, ...fieldsOf(comparison, manifest), duration_ms: durationMs } }
}

const fieldsOf = ({ rows, tables, differences }: Comparison, manifest: Manifest) => ({
  source_database: manifest.database.name,
  backed_up_at: manifest.started_at,
  rows_compared: rows,
  tables_compared: tables,
  differences,
})

async function confirm(into: string, signal: AbortSignal): Promise<void> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await terminal.question(`Restore it into ${visible(into)}? [y/N] `, { signal })
    if (!/^y(es)?$/i.test(answer.trim()))
      throw usage('not confirmed; nothing was changed', { hint: 'answer y, or pass --yes' })
  } finally {
    terminal.close()
  }
}

/** A failure of the client programs is 60 for a backup, but 70 for a restore. A store that cannot be read stays 60. */
function asForRestore(error: unknown, { aborted, reason }: AbortSignal): AppError {
  const failure = asAppError(aborted ? reason : error)
  const message = `${failure.message}; nothing was changed`
  if (aborted) return failure.with({ message, hint: 'run it again' })
  if (failure.kind !== 'backup') return failure
  return failure.with({ ...(failure.reason !== 'store-unreadable' && { kind: 'restore' }), message })
}
