import { type Backup, storedDatabases } from '../../archive/backup.ts'
import { openCatalog, readBackups } from '../../archive/catalog.ts'
import { unreadError, unreadWarnings } from '../../archive/copies.ts'
import { idPattern } from '../../archive/layout.ts'
import { openStore } from '../../archive/open.ts'
import type { Copied } from '../../backup/copy.ts'
import { isGood } from '../../backup/copy-plan.ts'
import { readSecrets } from '../../config/keys.ts'
import { isStoreUrl } from '../../config/s3.ts'
import { placeOf } from '../../config/stores.ts'
import { AppError, usage } from '../../errors.ts'
import type { Result } from '../../run/context.ts'
import { asAppError } from '../../run/failure.ts'
import { withProgress } from '../../run/progress.ts'
import { openPlace } from '../../store/open.ts'
import { counted, megabytes, renderBytes } from '../../units.ts'
import { copyOne, wantedIn } from '../../up/copies.ts'
import type { Command, CommandContext } from '../command.ts'

/** `backup copy`: what one store lacks is copied to it from another. */
export const backupCopy: Command = {
  name: 'backup copy',
  details:
    'Without an ID: every backup that the store lacks and that its rules in `keep` would not delete at once. STORE is one of `backup.stores`, or another URL, which is then reached as `backup.s3` says. Nothing is decrypted, and no database is needed.',
  args: { usage: '[ID]', min: 0, max: 1 },
  flags: { to: { type: 'string', value: 'STORE', help: 'The URL of the store to copy to. Required.' } },
  startsAnew: true,
  exits: {
    backup: 'a store cannot be read or written to',
    corrupt: 'no copy of a backup is whole',
    nobackup: 'there is no such backup',
  },
  async run(context) {
    const { loaded, out, signal, log } = context
    const { id, place } = readAsked(context)
    const from = openStore(loaded, signal)
    const to = openPlace(place, loaded, signal)
    const secrets = readSecrets(loaded.config, loaded.env, loaded.baseDir)
    const catalog = openCatalog(from, () => secrets)
    const only = typeof context.flags.database === 'string' ? context.flags.database : undefined
    const copied: Copied[] = []
    let failure: AppError | undefined
    let found = false
    let unread: Error | undefined
    for (const database of only === undefined ? await storedDatabases(from) : [only]) {
      const all = await catalog.update(database)
      unread ??= unreadError(from)
      const there = await readBackups(to, database, secrets)
      const wanted = id === undefined ? missing(context, all, there, place) : byId(all, there, id)
      found ||= id === undefined || wanted !== undefined
      for (const backup of wanted ?? [])
        try {
          signal.throwIfAborted()
          copied.push(await copy(context, backup, { catalog, to }))
        } catch (error) {
          if (signal.aborted) throw error
          failure ??= asAppError(error)
          log.error({ database, id: backup.id, store: to.name }, asAppError(error).message)
        }
    }
    for (const warning of unreadWarnings(from)) out.warn(warning)
    unread ??= unreadError(from)
    if (!found) throw unread ?? unknown(id!, from.name)
    // what that store alone has was not copied
    if (id === undefined && unread) failure ??= asAppError(unread)
    if (!failure) out.print(`done     ${counted(copied.length, 'backup')} copied to ${to.name}`)
    return { fields: { store: to.name, backups: copied.map(fields) }, failure } satisfies Result
  },
}

type Asked = { id: string | undefined; place: ReturnType<typeof placeOf> }

/** @throws {AppError} `usage` */
function readAsked({ args: [id], flags: { to }, loaded }: CommandContext): Asked {
  if (id !== undefined && !idPattern.test(id))
    throw usage(`${id} is not the id of a backup`, { hint: 'use an id from `pgbosun backup list`' })
  if (typeof to !== 'string')
    throw usage('backup copy needs --to STORE', { hint: 'name the URL of the store to copy to' })
  if (!isStoreUrl(to))
    throw usage('--to is not the URL of a store', {
      hint: 'write file:///folder, s3://bucket/prefix or rclone://remote/path',
    })
  return { id, place: placeOf(loaded.config.backup, to) }
}

const missing = ({ loaded }: CommandContext, all: Backup[], there: Backup[], place: Asked['place']) =>
  wantedIn(loaded.config.backup, place, all, there)

/** Undefined where there is none of that id; empty where the store has it. */
function byId(all: Backup[], there: Backup[], id: string): Backup[] | undefined {
  const backup = all.find((one) => one.id === id)
  return backup && (there.some((one) => one.id === id && isGood(one)) ? [] : [backup])
}

async function copy(context: CommandContext, backup: Backup, copying: Parameters<typeof copyOne>[2]): Promise<Copied> {
  const copied = await withProgress(context, 'MB copied', (onProgress) =>
    copyOne(context, backup, copying, (done, total) => onProgress(megabytes(done), megabytes(total))),
  )
  context.out.print(`copied   ${copied.database}  ${copied.id}  ${renderBytes(copied.sizeBytes)}`)
  return copied
}

const fields = ({ id, database, sizeBytes }: Copied) => ({ id, database, size_bytes: sizeBytes })

const unknown = (id: string, store: string) =>
  new AppError('nobackup', `there is no backup ${id} in ${store}`, { hint: 'see `pgbosun backup list`' })
