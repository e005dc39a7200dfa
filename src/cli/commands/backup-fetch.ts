import { resolve } from 'node:path'
import { type Backup, storedDatabases } from '../../archive/backup.ts'
import { readBackups } from '../../archive/catalog.ts'
import { fromAnyCopy, unreadError, unreadWarnings } from '../../archive/copies.ts'
import { deletedPlace, deletedWarning } from '../../archive/deleted.ts'
import { idPattern } from '../../archive/layout.ts'
import { openStore } from '../../archive/open.ts'
import { readKeys } from '../../config/keys.ts'
import { AppError, usage } from '../../errors.ts'
import { refuseExisting } from '../../machine/new-file.ts'
import { ofOneKind } from '../../plan.ts'
import { chooseFrom, wholeOf } from '../../restore/chosen.ts'
import { type FetchedAs, fetchDump } from '../../restore/fetch.ts'
import { leftOutWarning } from '../../restore/left-out.ts'
import { type Source, trustedManifest } from '../../restore/source.ts'
import { withProgress } from '../../run/progress.ts'
import { megabytes, renderBytes, seconds } from '../../units.ts'
import type { Command, CommandContext } from '../command.ts'
import { tuneForStreams } from '../v8.ts'

/** `backup fetch`: a backup as a file, for programs that are not ours. */
export const backupFetch: Command = {
  name: 'backup fetch',
  details:
    'The file appears under its name when every byte was read and verified; until then it is FILE.partial. No database is needed. As `custom` it is for pg_restore, as `sql` for psql: of a release that knows \\restrict.',
  args: { usage: 'ID|latest', min: 1, max: 1 },
  flags: {
    to: { type: 'string', value: 'FILE', help: 'The file to write, which must not exist.' },
    as: { type: 'string', value: 'custom|sql', help: 'What to write: an archive of pg_dump, or SQL.' },
    table: {
      type: 'string',
      value: 'NAME',
      multiple: true,
      help: 'Only this table or view, with what belongs to it and what it needs. Needs --as sql.',
    },
  },
  startsAnew: true,
  exits: {
    backup: 'the store cannot be read, the file cannot be written, or there is no pg_restore',
    corrupt: 'the backup is damaged, or no identity opens it; there is no file',
    nobackup: 'no backup matches',
    restore: 'the newest backups come from several servers: give the id of one',
  },
  async run(context) {
    const { loaded, log, signal, out } = context
    const asked = readAsked(context)
    await refuseExisting(asked.file)
    const keys = readKeys(loaded.config, loaded.env, loaded.baseDir)
    const startedAt = performance.now()
    const { backup, ...source } = await chosen(context, { store: openStore(loaded, signal), keys }, asked.id)
    tuneForStreams()
    const { manifest, sizeBytes, notes, writtenBy } = await fromAnyCopy(source.store, backup, out, async () => {
      const manifest = trustedManifest(await wholeOf(source, backup))
      const fetched = await withProgress(context, 'MB fetched', (onProgress) =>
        fetchDump({
          ...{ ...source, ...asked, manifest, signal, log, search: { path: loaded.env.PATH } },
          now: () => new Date(),
          onProgress: (done, total) => onProgress(megabytes(done), megabytes(total)),
        }),
      )
      return { ...fetched, manifest }
    })
    const partial = leftOutWarning(manifest)
    for (const note of ofOneKind([...(partial === undefined ? [] : [partial]), ...notes])) out.warn(note)
    const durationMs = Math.round(performance.now() - startedAt)
    const { id, database } = manifest
    const by = writtenBy === undefined ? '' : `, by pg_restore ${writtenBy}`
    out.print(
      `fetched  ${id} of ${database.name} into ${asked.file}: ${renderBytes(sizeBytes)}${by} (${seconds(durationMs)})`,
    )
    return {
      fields: {
        id,
        database: database.name,
        file: asked.file,
        as: asked.as,
        size_bytes: sizeBytes,
        duration_ms: durationMs,
      },
    }
  },
}

type Asked = { id: string | undefined; file: string; as: FetchedAs; tables: readonly string[] }

/** @throws {AppError} `usage` */
function readAsked({ args, flags, lists }: CommandContext): Asked {
  const [id = ''] = args
  const { to, as } = flags
  const tables = lists.table ?? []
  if (id !== 'latest' && !idPattern.test(id))
    throw usage(`${id} is neither latest nor the id of a backup`, { hint: 'use an id from `pgbosun backup list`' })
  if (typeof to !== 'string' || to === '')
    throw usage('backup fetch needs --to FILE', { hint: 'name a file that does not exist yet' })
  if (as !== 'custom' && as !== 'sql')
    throw usage(
      as === undefined ? 'backup fetch needs --as custom or --as sql' : `--as ${as} is neither custom nor sql`,
      {
        hint: 'custom is an archive for pg_restore; sql is for psql, and for people',
      },
    )
  if (tables.length > 0 && as !== 'sql')
    throw usage('--table needs --as sql: an archive cannot be cut', {
      hint: 'fetch it whole, and let `pg_restore --table` choose',
    })
  return { id: id === 'latest' ? undefined : id, file: resolve(to), as, tables }
}

/** An id is looked up in the whole store, and among what was deleted there. @returns where it is, too */
async function chosen(
  context: CommandContext,
  { store, keys }: Source,
  id: string | undefined,
): Promise<Source & { backup: Backup }> {
  const { loaded, flags, connection, out } = context
  const only = typeof flags.database === 'string' ? flags.database : undefined
  const databases =
    id === undefined || only !== undefined ? [only ?? connection().database] : await storedDatabases(store)
  for (const database of databases) {
    const backups = await readBackups(store, database, keys.secrets)
    for (const warning of unreadWarnings(store)) out.warn(warning)
    if (id !== undefined && backups.every((backup) => backup.id !== id)) continue
    const wanted = { id, at: undefined, cluster: undefined, swap: undefined }
    const { name } = loaded.config.backup
    try {
      const { backup } = chooseFrom(backups, undefined, { wanted, source: database, name, out, now: () => new Date() })
      return { backup, store, keys }
    } catch (error) {
      throw error instanceof AppError && error.kind === 'restore' ? error.with({ hint: 'give the id of one' }) : error
    }
  }
  const deleted = id === undefined ? undefined : await deletedPlace(store, only, id)
  if (deleted) {
    out.warn(deletedWarning(id!, deleted.store))
    const [backup] = (await readBackups(deleted.store, deleted.database, keys.secrets)).filter((one) => one.id === id)
    if (backup) return { backup, store: deleted.store, keys }
  }
  const unread = unreadError(store)
  if (unread) throw unread
  throw new AppError('nobackup', `there is no backup ${id} in ${store.name}`, { hint: 'see `pgbosun backup list`' })
}
