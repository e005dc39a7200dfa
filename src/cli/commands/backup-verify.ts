import { type Backup, listBackups, storedDatabases } from '../../archive/backup.ts'
import { readAllBackups } from '../../archive/catalog.ts'
import { isFromFuture } from '../../archive/clock.ts'
import { unreadError, unreadWarnings } from '../../archive/copies.ts'
import { deletedPlace, deletedWarning } from '../../archive/deleted.ts'
import { idPattern } from '../../archive/layout.ts'
import { openStore } from '../../archive/open.ts'
import type { RestoreTest } from '../../archive/restore-test.ts'
import { havingOf } from '../../archive/several.ts'
import { type Verified, verifyBackup } from '../../backup/verify.ts'
import { type Keys, readKeys } from '../../config/keys.ts'
import { AppError, usage, withReport } from '../../errors.ts'
import { ofOneKind } from '../../plan.ts'
import { renderCompared } from '../../restore/trial/compare.ts'
import type { Result } from '../../run/context.ts'
import { asAppError } from '../../run/failure.ts'
import { withProgress } from '../../run/progress.ts'
import type { Store } from '../../store/store.ts'
import { megabytes, seconds, someOf } from '../../units.ts'
import { databaseList } from '../../up/backup-databases.ts'
import { testConnection, testRestore } from '../../up/test-restore.ts'
import type { Command, CommandContext } from '../command.ts'
import { chosenInStore } from '../databases.ts'
import { tuneForStreams } from '../v8.ts'

/** `backup verify`: reads backups back, byte for byte, and decodes them, or restores them for a test. */
export const backupVerify: Command = {
  name: 'backup verify',
  details:
    'Default: the latest backup of every database that is backed up. Without --restore, every byte is read and decoded, and no database is needed. A backup that is encrypted is decoded where backup.encrypt.identity is set; elsewhere, its bytes are compared with their checksums.',
  args: { usage: '[ID|latest|all]', min: 0, max: 1 },
  flags: {
    restore: {
      type: 'boolean',
      help: 'Restore it on the server of `backup.verify`, compare the rows, and drop what was restored.',
    },
  },
  startsAnew: true,
  exits: {
    unreachable: 'no connection to the server for test restores, or it was lost',
    locked: 'another test restore was running there for too long',
    refused: 'the user for test restores lacks a privilege, or has too many',
    backup: 'the store cannot be read or written to, there is no pg_restore, or it was killed',
    corrupt: 'a backup is damaged, could not be restored as it was, or no identity opens it',
    nobackup: 'no backup matches',
    restore: 'the test restore was refused, or the server for it failed; this says nothing about the backup',
  },
  async run(context) {
    const { loaded, out, signal, log } = context
    const search = { path: loaded.env.PATH }
    if (context.flags.restore === true) testConnection(loaded)
    const keys = readKeys(loaded.config, loaded.env, loaded.baseDir)
    const { store, backups } = await wanted(context, openStore(loaded, signal), keys)
    if (context.flags.restore === true) return restoreEach(context, store, backups)
    const results: (Verified & { store: string })[] = []
    tuneForStreams() // not earlier: the garbage of reading thousands of manifests is better collected in small steps
    const every = context.args[0] === 'all'
    for (const backup of backups) {
      for (const copy of havingOf(store, backup)) {
        signal.throwIfAborted()
        const result = await verifyBackup(copy, backup, { search, keys, signal, log, now: () => new Date() })
        results.push({ ...result, store: copy.name })
        const where = store.several ? `  ${copy.name}` : ''
        out.print(`${stateOf(result)}  ${result.database}  ${result.id}${where}${remarkOn(result)}`)
        if (result.ok && !every) break
      }
    }
    // a backup is good where one copy of it is; with `all`, each copy counts
    const good = new Set(results.flatMap(({ ok, database, id }) => (ok ? [`${database}/${id}`] : [])))
    const bad = results.filter(({ ok, database, id }) => !ok && (every || !good.has(`${database}/${id}`)))
    for (const { id, store, problem } of results.filter((result) => !result.ok && !bad.includes(result)))
      out.warn(`the copy of ${id} in ${store} is damaged, another one is good: ${problem}`)
    return {
      fields: { results: results.map(fields) },
      failure: bad.length > 0 ? damaged(bad, results.length) : notAll(context, store),
    }
  },
}

function stateOf({ ok, unopened, unproven }: Verified): string {
  if (ok) return 'ok      '
  return unopened ? 'UNOPENED' : unproven ? 'UNSIGNED' : 'DAMAGED '
}

function remarkOn({ ok, problem, level }: Verified): string {
  if (problem !== null) return `  ${problem}`
  return ok && level === 'stored'
    ? '  its bytes are those that were written; to decode them too, set backup.encrypt.identity'
    : ''
}

type Tested = Omit<Verified, 'level'> & Pick<RestoreTest, 'durationMs' | 'server'>

/** A backup that cannot be tried ends the command: the others could not be either. */
async function restoreEach(
  context: CommandContext,
  store: Store,
  backups: Pick<Backup, 'id' | 'database'>[],
): Promise<Result> {
  const { out, signal } = context
  const results: Tested[] = []
  const report = () => ({ results: results.map(testFields) })
  for (const { id, database } of backups)
    try {
      signal.throwIfAborted()
      const { test, details } = await withProgress(context, 'MB restored', (onProgress) =>
        testRestore(
          context,
          { id, database },
          { store, onProgress: (done, total) => onProgress(megabytes(done), megabytes(total)) },
        ),
      )
      const { ok, problem, durationMs, server } = test
      results.push({ id, database, ok, problem, durationMs, server })
      const found = details && `restored in ${seconds(durationMs ?? 0)} on ${server}: ${renderCompared(details)}`
      out.print(`${ok ? 'ok      ' : 'FAILED  '}  ${database}  ${id}  ${found ?? problem}`)
    } catch (error) {
      const failure = asAppError(error)
      const named = failure.with({ message: `the backup ${id} of ${database} was not tried: ${failure.message}` })
      return { fields: {}, failure: withReport(signal.aborted ? failure : named, report()) }
    }
  const bad = results.filter(({ ok }) => !ok)
  return { fields: report(), failure: bad.length > 0 ? notRestored(bad, results.length) : notAll(context, store) }
}

/** `all` means those of every store. */
function notAll({ args }: CommandContext, store: Store): AppError | undefined {
  const unread = args[0] === 'all' ? unreadError(store) : undefined
  return unread && asAppError(unread)
}

const testFields = ({ id, database, ok, problem, durationMs, server }: Tested) => ({
  ...{ id, database, level: 'restore', ok, problem },
  duration_ms: durationMs,
  server,
})

const notRestored = (bad: Tested[], of: number): AppError =>
  didNotVerify(
    bad,
    of,
    `\`pgbosun restore ${bad[0]!.id} --into NEW\` shows more; other backups of the same database may fail in the same way`,
  )

const fields = ({ id, database, level, ok, problem, store }: Verified & { store: string }) => ({
  ...{ id, database, level, ok, problem, store },
})

/**
 * `latest`, the default, is the newest backup of each database that is backed up. An id is looked up in the whole store, and among what
 * was deleted there. @returns where they are, too
 */
async function wanted(
  context: CommandContext,
  store: Store,
  { secrets }: Keys,
): Promise<{ store: Store; backups: Pick<Backup, 'id' | 'database'>[] }> {
  const { args, flags, loaded, out } = context
  const [which = 'latest'] = args
  if (which !== 'latest' && which !== 'all' && !idPattern.test(which))
    throw usage(`${which} is not the id of a backup`, { hint: 'use an id from `pgbosun backup list`, latest or all' })
  const only = typeof flags.database === 'string' ? flags.database : undefined
  const databases = idPattern.test(which)
    ? only === undefined
      ? await storedDatabases(store)
      : [only]
    : await chosenInStore(context, store)
  const found =
    which === 'latest'
      ? newestOfEach(proven(await readAllBackups(store, databases, secrets), context), loaded.config.backup.name)
      : (await listAll(store, databases)).filter(({ id }) => which === 'all' || id === which)
  const deleted = found.length === 0 && idPattern.test(which) ? await deletedPlace(store, only, which) : undefined
  const unread = unreadError(store)
  if (found.length === 0 && !deleted && unread) throw unread
  for (const warning of unreadWarnings(store)) out.warn(warning)
  if (found.length > 0) return { store, backups: found }
  if (deleted) {
    out.warn(deletedWarning(which, deleted.store))
    return { store: deleted.store, backups: [{ id: which, database: deleted.database }] }
  }
  throw new AppError(
    'nobackup',
    `there is no backup ${which === 'latest' || which === 'all' ? `of ${someOf(databases.length > 0 ? databases : databaseList(context))}` : which} in ${store.name}`,
    {
      hint: 'look at `pgbosun backup list`, or make a backup with `pgbosun backup run`',
      report: { results: [] },
    },
  )
}

async function listAll(store: Store, databases: string[]): Promise<Pick<Backup, 'id' | 'database'>[]> {
  const found = []
  for (const database of databases) found.push(await listBackups(store, database))
  return found.flat()
}

/** Those that nothing proves to be ours are never the latest, and are named. */
function proven(backups: Backup[], { out }: CommandContext): Backup[] {
  const said = backups.flatMap(({ id, database, problem, unproven }) =>
    unproven ? [`skipping backup ${id} of ${database}: ${problem}`] : [],
  )
  for (const warning of ofOneKind(said)) out.warn(warning)
  return backups.filter(({ unproven }) => !unproven)
}

/** The backups that would be restored as `latest`, even ones known to be damaged: this command says so again. */
function newestOfEach(backups: Backup[], name: string): Backup[] {
  const now = new Date()
  const usable = backups.filter(
    (backup) =>
      (backup.series?.name ?? name) === name && backup.series?.kind !== 'before-restore' && !isFromFuture(backup, now),
  )
  return [...Map.groupBy(usable, ({ database }) => database).values()].map((ofOne) => ofOne.at(-1)!)
}

const damaged = (bad: Verified[], of: number): AppError =>
  didNotVerify(
    bad,
    of,
    bad.every(({ unproven }) => unproven)
      ? 'somebody else may have put them into the store: compare backup.sign.secret with the one that backups are made with, then look at the folders'
      : bad.every(({ unopened }) => unopened)
        ? 'set backup.encrypt.identity to that of a recipient of these backups; their bytes are those that were written'
        : 'make a new backup with `pgbosun backup run`, and check the disk of the store',
  )

function didNotVerify(bad: Pick<Verified, 'id' | 'database' | 'problem'>[], of: number, hint: string): AppError {
  const [first] = bad
  const message =
    bad.length === 1
      ? `the backup ${first!.id} of ${first!.database} did not verify: ${first!.problem}`
      : `${bad.length} of ${of} backups did not verify: ${someOf(bad.map(({ id }) => id))}`
  return new AppError('corrupt', message, { hint })
}
