// pure
import { idPattern } from '../archive/layout.ts'
import { usage } from '../errors.ts'
import type { WantedRestore } from '../restore/run.ts'
import type { ParsedArgs } from './args.ts'
import type { Flags } from './command.ts'

/** Flags of `restore`. */
export const restoreFlags: Flags = {
  into: { type: 'string', value: 'DB', help: 'Name of the new database. It must not exist yet.' },
  at: {
    type: 'string',
    value: 'INSTANT',
    help: 'Restore the newest backup started at or before this instant, like 2026-03-01T12:00:00Z.',
  },
  cluster: { type: 'string', value: 'ID', help: 'Only backups made on the server with this system identifier.' },
  'no-owner': {
    type: 'boolean',
    help: 'Make the user that restores the owner of everything, and grant nothing to any role.',
  },
  'as-superuser': {
    type: 'boolean',
    help: 'Load with your own rights instead of a login without any: code in the backup runs with them.',
  },
  yes: { type: 'boolean', help: 'Do not ask for confirmation. Needed when stdin is not a terminal.' },
}

/**
 * What the command line asks for. Everything that is wrong with it is reported before any work.
 *
 * @param terminal whether there is somebody to ask
 * @throws {AppError} `usage`
 */
export function readWanted({ flags, args }: ParsedArgs, { terminal }: { terminal: boolean }): WantedRestore {
  const { into, at, cluster } = flags as Record<string, string | undefined>
  const [id] = args
  if (into === undefined)
    throw usage('restore needs --into with the name of a new database; nothing was changed', {
      hint: 'run it like `pgbosun restore latest --into NEW`',
    })
  const bytes = Buffer.byteLength(into)
  if (bytes === 0 || bytes > 63 || into.includes('\0'))
    throw usage(`--into ${into}: a name must have 1 to 63 bytes, this one has ${bytes}`, {
      hint: 'choose another name',
    })
  if (id !== undefined && id !== 'latest' && !idPattern.test(id))
    throw usage(`${id} is neither latest nor the id of a backup`, { hint: 'use an id from `pgbosun backup list`' })
  if (id !== undefined && id !== 'latest' && at !== undefined)
    throw usage('--at and an id both choose a backup: give only one of them', { hint: 'leave out the id or --at' })
  if (flags.yes !== true && !terminal)
    throw usage('restore needs confirmation, but stdin is not a terminal; nothing was changed', {
      hint: 'pass --yes to skip the question',
    })
  return {
    id: id === 'latest' ? undefined : id,
    into,
    at: at === undefined ? undefined : readInstant(at),
    cluster,
    noOwner: flags['no-owner'] === true,
    asSuperuser: flags['as-superuser'] === true,
  }
}

const instantPattern = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/

function readInstant(text: string): Date {
  const instant = new Date(text.replace(' ', 'T'))
  if (!instantPattern.test(text) || Number.isNaN(instant.getTime()))
    throw usage(`--at ${text} is not an instant`, { hint: 'write it with its time zone, like 2026-03-01T12:00:00Z' })
  return instant
}
