// pure
import { idPattern } from '../archive/layout.ts'
import { usage } from '../errors.ts'
import type { WantedRestore } from '../restore/options.ts'
import { shellWord } from '../text.ts'
import type { ParsedArgs } from './args.ts'
import type { Flags } from './command.ts'

/** Flags of `restore`. */
export const restoreFlags: Flags = {
  into: { type: 'string', value: 'DB', help: 'Restore into a new database of this name, which must not exist yet.' },
  replace: {
    type: 'string',
    value: 'NAME',
    help: 'Without --into, the database itself is replaced: its name, instead of typing it. Needed when stdin is not a terminal.',
  },
  'in-place': {
    type: 'boolean',
    help: 'Replace what is in the database, in one transaction, instead of swapping it for a copy: it stays the same database. With --replace NAME.',
  },
  rollback: {
    type: 'boolean',
    help: 'Bring back the database that the last restore replaced. What is live now is kept. With --replace NAME.',
  },
  discard: {
    type: 'boolean',
    help: 'Drop the databases that restores replaced, or only the one named as argument.',
  },
  release: { type: 'boolean', help: 'Let `up` apply pending migrations again, which a restore holds back.' },
  'no-backup-first': { type: 'boolean', help: 'Do not back up the present state before it is replaced.' },
  'drop-slots': { type: 'boolean', help: 'Drop the logical replication slots of the database that is replaced.' },
  'disable-subscriptions': { type: 'boolean', help: 'Disable the subscriptions of the database that is replaced.' },
  'standbys-reconnect': {
    type: 'boolean',
    help: 'Replace the database although standbys follow: sessions open there read the old one until they reconnect.',
  },
  at: {
    type: 'string',
    value: 'INSTANT',
    help: 'Restore the newest backup started at or before this instant, like 2026-03-01T12:00:00Z.',
  },
  cluster: { type: 'string', value: 'ID', help: 'Only backups made on the server with this system identifier.' },
  schema: {
    type: 'string',
    value: 'NAME',
    multiple: true,
    help: 'Restore only this schema, with what it needs. Needs --into.',
  },
  table: {
    type: 'string',
    value: 'NAME',
    multiple: true,
    help: 'Restore only this table or view, with what belongs to it and what it needs. Needs --into.',
  },
  'skip-extension': {
    type: 'string',
    value: 'NAME',
    multiple: true,
    help: 'Leave out this extension and everything that needs it. Needs --into.',
  },
  'create-roles': { type: 'boolean', help: 'Create the roles that are missing, without login and without rights.' },
  'no-owner': {
    type: 'boolean',
    help: 'Make the user that restores the owner of everything, and grant nothing to any role.',
  },
  'no-tablespaces': {
    type: 'boolean',
    help: 'Load everything into the default tablespace of the server.',
  },
  'as-superuser': {
    type: 'boolean',
    help: 'Load with your own rights instead of a login without any: code in the backup runs with them.',
  },
  'keep-going': {
    type: 'boolean',
    help: 'Load what can be loaded, and end with the list of what is missing (exit 70). Needs --into.',
  },
  jobs: {
    type: 'string',
    value: 'N',
    help: 'Load over N connections. Default: half the processors for a dump of more than 1 GB that fits into TMPDIR, otherwise 1.',
  },
  yes: { type: 'boolean', help: 'Do not ask for confirmation. Needed when stdin is not a terminal.' },
}

/** What `restore` does: restores a backup, or something about a restore that was done. */
export type Mode = 'restore' | 'rollback' | 'discard' | 'release'

/** @throws {AppError} `usage` */
export function modeOf({ flags }: ParsedArgs): Mode {
  const modes = (['rollback', 'discard', 'release'] as const).filter((mode) => flags[mode] === true)
  if (modes.length > 1)
    throw usage(`--${modes[0]} and --${modes[1]} exclude each other; nothing was changed`, { hint: 'give one of them' })
  const mode = modes[0] ?? 'restore'
  if (mode === 'restore') return mode
  const meant: string[] = allowedWith[mode]
  const other = Object.keys(restoreFlags).find((name) => flags[name] !== undefined && !meant.includes(name))
  if (other !== undefined)
    throw usage(`--${other} has no meaning with --${mode}; nothing was changed`, { hint: `leave out --${other}` })
  return mode
}

const allowed = ['drop-slots', 'disable-subscriptions', 'standbys-reconnect'] as const

const allowedWith = {
  rollback: ['rollback', 'replace', ...allowed],
  discard: ['discard', 'yes', 'drop-slots', 'disable-subscriptions'],
  release: ['release', 'yes'],
}

/** What a person allows a swap to break. */
export const readAllowed = ({ flags }: ParsedArgs) => ({
  dropSlots: flags['drop-slots'] === true,
  disableSubscriptions: flags['disable-subscriptions'] === true,
  standbysReconnect: flags['standbys-reconnect'] === true,
})

/**
 * What the command line asks for. Everything that is wrong with it is reported before any work.
 *
 * @param terminal whether there is somebody to ask
 * @param target name of the database that is replaced without `--into`
 * @throws {AppError} `usage`
 */
export function readWanted(
  parsed: ParsedArgs,
  { terminal, target }: { terminal: boolean; target: string },
): WantedRestore {
  const { flags, lists, args } = parsed
  const { into, at, cluster } = flags as Record<string, string | undefined>
  const [id] = args
  if (into === undefined) refuseUnnamed(parsed, { terminal, target })
  else checkInto(parsed, into)
  if (id !== undefined && id !== 'latest' && !idPattern.test(id))
    throw usage(`${id} is neither latest nor the id of a backup`, { hint: 'use an id from `pgbosun backup list`' })
  if (id !== undefined && id !== 'latest' && at !== undefined)
    throw usage('--at and an id both choose a backup: give only one of them', { hint: 'leave out the id or --at' })
  if (into !== undefined && flags.yes !== true && !terminal)
    throw usage('restore needs confirmation, but stdin is not a terminal; nothing was changed', {
      hint: 'pass --yes to skip the question',
    })
  if (flags['in-place'] === true) checkInPlace(parsed)
  if (flags['no-owner'] === true && flags['create-roles'] === true)
    throw usage('--no-owner needs no roles, so --create-roles has no meaning', { hint: 'leave out one of them' })
  return {
    id: id === 'latest' ? undefined : id,
    into: into ?? target,
    at: at === undefined ? undefined : readInstant(at),
    cluster,
    noOwner: flags['no-owner'] === true,
    noTablespaces: flags['no-tablespaces'] === true,
    asSuperuser: flags['as-superuser'] === true,
    inPlace: flags['in-place'] === true,
    keepGoing: flags['keep-going'] === true,
    createRoles: flags['create-roles'] === true,
    jobs: readJobs(flags),
    part: {
      schemas: lists.schema ?? [],
      tables: lists.table ?? [],
      skipExtensions: lists['skip-extension'] ?? [],
    },
    swap: into === undefined ? { ...readAllowed(parsed), backupFirst: flags['no-backup-first'] !== true } : undefined,
  }
}

/** Flags that leave something out, or say something about a new database: never for the one that everybody uses. */
const onlyInto = ['no-owner', 'keep-going', 'schema', 'table', 'skip-extension']
const onlySwap = ['replace', 'in-place', 'no-backup-first', ...allowed]

/** @throws {AppError} `usage` */
function checkInPlace({ flags }: ParsedArgs): void {
  const other = ['standbys-reconnect', 'disable-subscriptions'].find((name) => flags[name] !== undefined)
  if (other !== undefined)
    throw usage(
      `--${other} is about a database that gives way to another one, which --in-place does not do; nothing was changed`,
      {
        hint: `leave out --${other} or --in-place`,
      },
    )
  if (flags.jobs !== undefined && flags.jobs !== '1')
    throw usage('--in-place loads over one connection, in one transaction; nothing was changed', {
      hint: 'leave out --jobs',
    })
}

function checkInto({ flags }: ParsedArgs, into: string): void {
  const bytes = Buffer.byteLength(into)
  if (bytes === 0 || bytes > 63 || into.includes('\0'))
    throw usage(`--into ${into}: a name must have 1 to 63 bytes, this one has ${bytes}`, {
      hint: 'choose another name',
    })
  const other = onlySwap.find((name) => flags[name] !== undefined)
  if (other !== undefined)
    throw usage(`--${other} is about a database that is replaced, but --into makes a new one; nothing was changed`, {
      hint: `leave out --${other} or --into`,
    })
}

/**
 * Nothing is replaced unless its name was given, or will be typed.
 * @throws {AppError} `usage`
 */
export function refuseUnnamed(
  { flags }: ParsedArgs,
  { terminal, target }: { terminal: boolean; target: string },
): void {
  const { replace } = flags
  const other = onlyInto.find((name) => flags[name] !== undefined)
  if (other !== undefined)
    throw usage(`--${other} needs --into: ${target} is only replaced by a complete copy; nothing was changed`, {
      hint: 'restore into a new database with --into NEW',
    })
  if (replace === undefined && !terminal)
    throw usage(`without --into, the database ${target} is replaced, which needs its name; nothing was changed`, {
      hint: `pass --replace ${shellWord(target)}, or --into NEW for a new database`,
    })
  if (replace !== undefined && replace !== target)
    throw usage(`--replace ${String(replace)}, but the target database is ${target}; nothing was changed`, {
      hint: 'check the URL of the database, or choose with --database',
    })
}

function readJobs({ jobs, 'keep-going': keepGoing }: ParsedArgs['flags']): number | undefined {
  if (jobs === undefined) return undefined
  if (typeof jobs !== 'string' || !/^[1-9]\d{0,2}$/.test(jobs))
    throw usage(`--jobs must be a number from 1 to 999, not ${jobs}`, { hint: 'write it like --jobs 4' })
  if (jobs !== '1' && keepGoing === true)
    throw usage('--keep-going loads over one connection, to know what failed; nothing was changed', {
      hint: 'leave out --jobs',
    })
  return Number(jobs)
}

const instantPattern = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/

function readInstant(text: string): Date {
  const instant = new Date(text.replace(' ', 'T'))
  if (!instantPattern.test(text) || Number.isNaN(instant.getTime()))
    throw usage(`--at ${text} is not an instant`, { hint: 'write it with its time zone, like 2026-03-01T12:00:00Z' })
  return instant
}
