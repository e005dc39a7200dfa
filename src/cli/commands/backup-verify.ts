import { type Backup, listBackups, storedDatabases } from '../../archive/backup.ts'
import { readAllBackups } from '../../archive/catalog.ts'
import { isFromFuture } from '../../archive/clock.ts'
import { idPattern } from '../../archive/layout.ts'
import { type Verified, verifyBackup } from '../../backup/verify.ts'
import { AppError, usage } from '../../errors.ts'
import { openStore } from '../../store/open.ts'
import type { Store } from '../../store/store.ts'
import { someOf } from '../../units.ts'
import type { Command, CommandContext } from '../command.ts'
import { chosenDatabases } from '../databases.ts'
import { tuneForStreams } from '../v8.ts'

/** `backup verify`: reads backups back, byte for byte, and decodes them. */
export const backupVerify: Command = {
  name: 'backup verify',
  details: 'Needs no database. Default: the latest backup of every database that is backed up.',
  args: { usage: '[ID|latest|all]', min: 0, max: 1 },
  flags: {},
  startsAnew: true,
  exits: {
    backup: 'the store cannot be read or written to, there is no pg_restore, or it was killed',
    corrupt: 'a backup is damaged',
    nobackup: 'no backup matches',
  },
  async run(context) {
    const { loaded, out, signal, log } = context
    const store = openStore(loaded.config.backup)
    const search = { path: loaded.env.PATH }
    const results: Verified[] = []
    const backups = await wanted(context)
    tuneForStreams() // not earlier: the garbage of reading thousands of manifests is better collected in small steps
    for (const backup of backups) {
      signal.throwIfAborted()
      const result = await verifyBackup(store, backup, { search, signal, log, now: () => new Date() })
      results.push(result)
      out.print(
        `${result.ok ? 'ok      ' : 'DAMAGED '}  ${result.database}  ${result.id}${result.problem === null ? '' : `  ${result.problem}`}`,
      )
    }
    const bad = results.filter(({ ok }) => !ok)
    return {
      fields: { results: results.map(fields) },
      failure: bad.length > 0 ? damaged(bad, results.length) : undefined,
    }
  },
}

const fields = ({ id, database, level, ok, problem }: Verified) => ({ id, database, level, ok, problem })

/** `latest`, the default, is the newest backup of each database that is backed up. An id is looked up in the whole store. */
async function wanted(context: CommandContext): Promise<Pick<Backup, 'id' | 'database'>[]> {
  const { args, flags, loaded } = context
  const [which = 'latest'] = args
  if (which !== 'latest' && which !== 'all' && !idPattern.test(which))
    throw usage(`${which} is not the id of a backup`, { hint: 'use an id from `pgbosun backup list`, latest or all' })
  const store = openStore(loaded.config.backup)
  const only = typeof flags.database === 'string' ? flags.database : undefined
  const databases = idPattern.test(which)
    ? only === undefined
      ? await storedDatabases(store)
      : [only]
    : chosenDatabases(context)
  const found =
    which === 'latest'
      ? newestOfEach(await readAllBackups(store, databases), loaded.config.backup.name)
      : (await listAll(store, databases)).filter(({ id }) => which === 'all' || id === which)
  if (found.length > 0) return found
  throw new AppError(
    'nobackup',
    `there is no backup ${which === 'latest' || which === 'all' ? `of ${someOf(chosenDatabases(context))}` : which} in ${store.name}`,
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

/** The backups that would be restored as `latest`, even ones known to be damaged: this command says so again. */
function newestOfEach(backups: Backup[], name: string): Backup[] {
  const now = new Date()
  const usable = backups.filter(
    (backup) =>
      (backup.series?.name ?? name) === name && backup.series?.kind !== 'before-restore' && !isFromFuture(backup, now),
  )
  return [...Map.groupBy(usable, ({ database }) => database).values()].map((ofOne) => ofOne.at(-1)!)
}

function damaged(bad: Verified[], of: number): AppError {
  const [first] = bad
  const message =
    bad.length === 1
      ? `the backup ${first!.id} of ${first!.database} did not verify: ${first!.problem}`
      : `${bad.length} of ${of} backups did not verify: ${someOf(bad.map(({ id }) => id))}`
  return new AppError('corrupt', message, {
    hint: 'make a new backup with `pgbosun backup run`, and check the disk of the store',
  })
}
