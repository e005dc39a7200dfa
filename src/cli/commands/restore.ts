import { randomBytes } from 'node:crypto'
import { createInterface } from 'node:readline/promises'
import { type Backup, readBackup, readBackups, type WholeBackup } from '../../archive/catalog.ts'
import { idPattern } from '../../archive/layout.ts'
import type { Manifest } from '../../archive/manifest.ts'
import { at, type Connection, describe, resolveConnection } from '../../config/connection.ts'
import { AppError, usage, withReport } from '../../errors.ts'
import { openSession, type Session } from '../../postgres/connect.ts'
import { databaseObject, takeRunLock } from '../../postgres/lock.ts'
import { type Attempt, retryWhenLost } from '../../postgres/retry.ts'
import { readSystemIdentifier } from '../../postgres/system.ts'
import { openWhenReady } from '../../postgres/wait.ts'
import { findTools, type Tools } from '../../programs/pgtools.ts'
import { checkClientFiles } from '../../programs/tls-files.ts'
import { isClosed, type RestorePlan, restoreInto } from '../../restore/apply.ts'
import { type Choice, chooseBackup, renderAgo } from '../../restore/choose.ts'
import type { Comparison } from '../../restore/compare.ts'
import { findRefusals, refusal } from '../../restore/guard.ts'
import { readTarget } from '../../restore/inspect.ts'
import { loadIsolated } from '../../restore/isolated.ts'
import { asSuperuserFlag, checkListPlace, loadDump } from '../../restore/load.ts'
import { type Loading, loadingFor } from '../../restore/loading.ts'
import { damaged, openDump, refuseIncomplete, trustedManifest } from '../../restore/source.ts'
import { sweepLeftovers } from '../../restore/sweep.ts'
import { asAppError } from '../../run/failure.ts'
import { withProgress } from '../../run/progress.ts'
import { seconds } from '../../run/story.ts'
import { openStore } from '../../store/open.ts'
import type { Store } from '../../store/store.ts'
import { visible } from '../../text.ts'
import type { Command, Context, Result } from '../command.ts'

/** `restore`: a backup becomes a new database, complete or not at all. */
export const restore: Command = {
  name: 'restore',
  summary: 'Restore a backup into a new database: verified, compared, complete or not at all.',
  args: { usage: '[ID|latest]', min: 0, max: 1 },
  flags: {
    into: { type: 'string', value: 'DB', help: 'Name of the new database. It must not exist yet.' },
    at: {
      type: 'string',
      value: 'INSTANT',
      help: 'The newest backup started at or before this instant, like 2026-03-01T12:00:00Z.',
    },
    cluster: { type: 'string', value: 'ID', help: 'Only backups made on the server with this system identifier.' },
    'no-owner': { type: 'boolean', help: 'Everything belongs to the user that restores; no role is granted anything.' },
    'as-superuser': {
      type: 'boolean',
      help: 'Load with your own rights, not as a login without any: code in the backup runs with them.',
    },
    yes: { type: 'boolean', help: 'Do not ask. Needed where there is no terminal.' },
  },
  exits: {
    unreachable: 'no connection within wait.timeout, or the connection was lost',
    locked: 'another runner was in the way for too long',
    refused: 'credentials, or a privilege is missing',
    backup: 'the store cannot be read',
    corrupt: 'the backup is damaged; nothing was touched',
    nobackup: 'no backup matches',
    restore: 'refused or failed; the message says that nothing was touched',
  },
  async run(context) {
    const database = typeof context.flags.into === 'string' ? context.flags.into : null
    const report: Report = { id: null, database, touched: false, rows_compared: 0, differences: [] }
    try {
      const wanted = readWanted(context)
      report.id = wanted.id ?? null
      return await runRestore(context, wanted, report)
    } catch (error) {
      return { fields: {}, failure: withReport(asForRestore(error, context.signal), report) }
    }
  },
}

type Wanted = {
  id: string | undefined
  into: string
  at: Date | undefined
  cluster: string | undefined
  noOwner: boolean
  asSuperuser: boolean
  yes: boolean
}

type Report = {
  id: string | null
  database: string | null
  touched: boolean
  rows_compared: number
  differences: never[]
}

/** What the command line asks for; everything that is wrong with it is said before anything else. */
function readWanted({ flags, args }: Context): Wanted {
  const { into, at, cluster } = flags as Record<string, string | undefined>
  const [id] = args
  if (into === undefined)
    throw usage('restore needs --into with the name of a new database; nothing was touched', {
      hint: 'pgbosun restore latest --into NEW',
    })
  const bytes = Buffer.byteLength(into)
  if (bytes === 0 || bytes > 63 || into.includes('\0'))
    throw usage(`--into ${into}: a name has 1 to 63 bytes, this one has ${bytes}`, { hint: 'choose another name' })
  if (id !== undefined && id !== 'latest' && !idPattern.test(id))
    throw usage(`${id} is neither latest nor the id of a backup`, { hint: 'see `pgbosun backup list`' })
  if (id !== undefined && id !== 'latest' && at !== undefined)
    throw usage('--at chooses a backup, and an id names one: give only one of them', { hint: 'leave the id out' })
  if (flags.yes !== true && !process.stdin.isTTY)
    throw usage('restore asks on a terminal, and there is none; nothing was touched', { hint: 'give --yes' })
  return {
    id: id === 'latest' ? undefined : id,
    into,
    at: at === undefined ? undefined : readInstant(at),
    cluster,
    noOwner: flags['no-owner'] === true,
    asSuperuser: flags['as-superuser'] === true,
    yes: flags.yes === true,
  }
}

const instantPattern = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/

function readInstant(text: string): Date {
  const instant = new Date(text.replace(' ', 'T'))
  if (!instantPattern.test(text) || Number.isNaN(instant.getTime()))
    throw usage(`--at ${text} is not an instant`, { hint: 'write it with its zone, like 2026-03-01T12:00:00Z' })
  return instant
}

async function runRestore(context: Context, wanted: Wanted, report: Report): Promise<Result> {
  const { loaded, log, signal, out, runId, flags } = context
  const { config } = loaded
  // --database says whose backups; the server is that of the target all the same
  const given = resolveConnection(config, loaded.env, loaded.baseDir)
  const source = typeof flags.database === 'string' ? flags.database : given.database
  checkClientFiles(given)
  const store = openStore(config.backup)
  const backups = await readBackups(store, source)
  const choose = (own: string | undefined) =>
    chooseFrom(backups, wanted, { out, own, source, name: config.backup.name })
  if (backups.length === 0) choose(undefined)

  const base = { applicationName: `pgbosun ${runId}`, log, signal }
  const deadline = performance.now() + config.wait.timeout
  const { timeout: timeoutMs, patient } = config.wait
  const database = config.lock.database
  const open = async () => (await openWhenReady(given, { ...base, database, deadline, timeoutMs, patient }))!
  return retryWhenLost({ deadline, signal, log }, async (attempt) => {
    const session = await open()
    try {
      return await restoreOn(session, attempt)
    } finally {
      await session.end()
    }
  })

  async function restoreOn(session: Session, attempt: Attempt): Promise<Result> {
    const connection = at(given, session)
    const { backup, notes } = choose(await readSystemIdentifier(session.sql))
    for (const note of notes) out.warn(note)
    report.id = backup.id
    const manifest = trustedManifest(await wholeOf(store, backup))
    await guard(session, manifest, wanted)
    const tools = await findTools(session.serverVersion, { path: loaded.env.PATH }, 'pg_restore')
    await refuseIncomplete(store, manifest)
    const loading = await loadingFor(session, { store, manifest, wanted })
    if (loading.load) checkListPlace()
    const { user } = loading.rights
    if (wanted.asSuperuser)
      out.print(`trust    code in this backup runs with the rights of ${user} (${asSuperuserFlag})`)
    out.print(
      `restore  backup ${backup.id} of ${manifest.database.name}, taken ${renderAgo(Date.now() - backup.takenAt.getTime())}, into the new database ${describe({ ...connection, database: wanted.into })}`,
    )
    if (!wanted.yes) await confirm(wanted.into, signal)
    const noteChange = () => {
      attempt.changed = true
    }
    return underLock(context, { connection, session, store, manifest, tools, wanted, report, loading, noteChange })
  }
}

type Work = {
  loading: Loading
  connection: Connection
  session: Session
  store: Store
  manifest: Manifest
  tools: Tools
  wanted: Wanted
  report: Report
  /** To be called before the first write. */
  noteChange(): void
}

async function underLock(
  context: Context,
  { connection, session, store, manifest, tools, wanted, report, loading, noteChange }: Work,
): Promise<Result> {
  const { loaded, log, signal, out, runId, command } = context
  const { into, noOwner } = wanted
  const startedAt = performance.now()
  const applicationName = `pgbosun ${runId}`
  const { timeout: timeoutMs } = loaded.config.lock
  await takeRunLock(session.sql, databaseObject(into), `the lock of database ${into}`, { timeoutMs, log, signal })
  noteChange()
  await sweepLeftovers(session.sql, log)
  // another runner may have made it while we waited
  await guard(session, manifest, wanted)
  const { rights } = loading
  const open = () => openDump(store, manifest)

  const plan = planOf(context, manifest, wanted, loading)
  const comparison = await withProgress(log, 'MB restored', (onProgress) =>
    restoreInto(plan, {
      lock: session,
      rights,
      log,
      signal,
      run: { runId, command },
      connect: (database) => openSession(connection, { database, applicationName, log }),
      load({ database, session, login, signal }) {
        const onBytes = (bytes: number) => onProgress(megabytes(bytes), megabytes(manifest.dump_size_bytes))
        const options = { tools, connection, database, applicationName, noOwner, signal, onBytes }
        if (!login || !loading.load) return loadDump(open(), options)
        const warn = (text: string) => out.warn(text)
        const owner = noOwner ? rights.user : manifest.database.owner
        const { superuser } = rights
        return loadIsolated({ ...options, ...loading.load, open, login, session, owner, superuser, log, warn })
      },
    }),
  )
  const durationMs = Math.round(performance.now() - startedAt)
  if (isClosed(plan))
    out.print(
      `closed   everything in it belongs to ${rights.user}, functions too: nobody else may connect until you grant it`,
    )
  out.print(
    `done     ${comparison.rows} rows in ${comparison.tables} tables are what was backed up (${seconds(durationMs)})`,
  )
  return { fields: { ...report, touched: true, ...fieldsOf(comparison, manifest), duration_ms: durationMs } }
}

const megabytes = (bytes: number) => Math.max(1, Math.round(bytes / 1_000_000))

const fieldsOf = ({ rows, tables, differences }: Comparison, manifest: Manifest) => ({
  source_database: manifest.database.name,
  backed_up_at: manifest.started_at,
  rows_compared: rows,
  tables_compared: tables,
  differences,
})

const planOf = ({ runId }: Context, manifest: Manifest, { into, noOwner }: Wanted, { load }: Loading): RestorePlan => ({
  manifest,
  into,
  noOwner,
  isolated: load !== undefined,
  story: {
    pgbosun: 'restore',
    id: randomBytes(4).toString('hex'),
    into,
    backup: manifest.id,
    database: manifest.database.name,
    run: runId,
    started_at: new Date().toISOString(),
  },
})

/** Backups that were found bad are none for `latest`; what cannot be read is told, and only then. */
function chooseFrom(
  backups: Backup[],
  { id, at, cluster }: Wanted,
  { out, own, source, name }: { out: Context['out']; own: string | undefined; source: string; name: string },
): { backup: Backup; notes: string[] } {
  const unreadable = backups.find((backup) => backup.id === id && backup.problem !== undefined)
  if (unreadable) throw damaged(unreadable.id, unreadable.problem!)
  const candidates = backups.flatMap((backup) =>
    backup.series && (id !== undefined || backup.verification?.ok !== false)
      ? [
          {
            id: backup.id,
            series: backup.series,
            started_at: backup.startedAt.toISOString(),
            taken_at: backup.takenAt.toISOString(),
            backup,
          },
        ]
      : [],
  )
  if (id === undefined)
    for (const { id: passed, problem, verification } of backups)
      if (problem !== undefined || verification?.ok === false)
        out.warn(`backup ${passed} is passed over: ${problem ?? verification?.problem ?? 'it did not verify'}`)
  if (candidates.length === 0 && backups.length > 0)
    throw new AppError('corrupt', `no backup of database ${source} can be read; nothing was touched`, {
      hint: 'see `pgbosun backup list`',
    })
  const { backup, notes }: Choice<{ backup: Backup } & (typeof candidates)[number]> = chooseBackup(candidates, {
    ...{ id, database: source, own, cluster, at, name, now: new Date() },
  })
  return { backup: backup.backup, notes }
}

/** What choosing did not need. */
async function wholeOf(store: Store, { database, id }: Backup): Promise<WholeBackup> {
  const whole = await readBackup(store, database, id)
  if (!whole) throw damaged(id, 'it was deleted meanwhile')
  return whole
}

async function guard(session: Session, manifest: Manifest, { into, noOwner }: Wanted) {
  const target = await readTarget(session.sql, manifest, into)
  const problem = refusal(findRefusals(manifest, { into, noOwner }, target), { id: manifest.id, into })
  if (problem) throw problem
  return target
}

async function confirm(into: string, signal: AbortSignal): Promise<void> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await terminal.question(`Restore it into ${visible(into)}? [y/N] `, { signal })
    if (!/^y(es)?$/i.test(answer.trim())) throw usage('not confirmed; nothing was touched', { hint: 'answer y' })
  } finally {
    terminal.close()
  }
}

/** What the client programs refuse makes a backup fail with 60; here it is a restore that fails. A store that cannot be read is 60. */
function asForRestore(error: unknown, { aborted, reason }: AbortSignal): AppError {
  const failure = asAppError(aborted ? reason : error)
  const message = `${failure.message}; nothing was touched`
  if (aborted) return failure.with({ message, hint: 'run it again' })
  if (failure.kind !== 'backup') return failure
  return failure.with({ ...(failure.reason !== 'store-unreadable' && { kind: 'restore' }), message })
}
