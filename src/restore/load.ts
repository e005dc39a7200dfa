import { setTimeout as sleep } from 'node:timers/promises'
import type { TocEntry } from '../archive/toc.ts'
import type { Connection } from '../config/connection.ts'
import { AppError } from '../errors.ts'
import { type TemporaryOptions, writeTemporary } from '../machine/temporary.ts'
import { wasLost } from '../postgres/lost.ts'
import { databaseArgument, type Ended, feedTool, howEnded, startTool, type Tool } from '../programs/child.ts'
import type { Tools } from '../programs/pgtools.ts'
import type { OnMissing } from './missing.ts'
import { named } from './plan.ts'
import { withRelay } from './relay.ts'
import { causeOf, type Failure, goingOn, readFailures, readSaid } from './said.ts'

/** Where and how pg_restore works. */
export type LoadOptions = {
  tools: Tools
  connection: Connection
  database: string
  applicationName: string
  signal: AbortSignal
  /** Whether owners and privileges are left out. */
  noOwner: boolean
  /** Whether everything is created in the default tablespace. */
  noTablespaces: boolean
  /** The whole dump, decoded: it is read instead of the given one, over several connections where `jobs` says so. */
  file?: { path: string; jobs: number } | undefined
  /** Given to go on after a statement that fails. */
  onMissing?: OnMissing
  /** Called with the uncompressed bytes of the dump read so far. */
  onBytes?: (bytes: number) => void
  /** The dump is made while it is loaded: nobody reads it to its end for nothing. */
  once?: boolean | undefined
}

/** Settings of pg_restore's session that must not come from the role. The commit of the last step flushes what asynchronous commits have not. */
const settings = { role: 'none', default_transaction_read_only: 'off', synchronous_commit: 'off' }

/**
 * Streams a dump into a database, as the user of the connection.
 *
 * @param dump ends with an error if it is not complete; see `unpack`
 * @param entries what to load of it; undefined: everything
 * @throws {AppError} `corrupt` from the dump, `restore` if pg_restore failed
 */
export const loadDump = (dump: AsyncIterable<Buffer>, options: LoadOptions, entries?: readonly TocEntry[]) =>
  withList(entries, (list) =>
    runRestore(dump, [...(options.noOwner ? withoutOwners : []), ...inTablespaces(options), ...list], {
      ...options,
      advise: adviceFor,
      nameOf: ({ entry }) => entry,
    }),
  )

const withoutOwners = ['--no-owner', '--no-privileges']
const inTablespaces = ({ noTablespaces }: { noTablespaces: boolean }) => (noTablespaces ? ['--no-tablespaces'] : [])

/**
 * Loads some entries of a dump, in the given order, as the user of the connection, who owns them afterwards.
 *
 * @param dump at least the part that these entries need
 */
export async function loadEntries(
  dump: AsyncIterable<Buffer>,
  entries: readonly TocEntry[],
  options: LoadOptions,
): Promise<void> {
  const nameOf = ({ id, entry }: Failure) => {
    const found = entries.find((one) => one.id === id)
    return found ? named(found) : entry
  }
  await withList(entries, (list) =>
    runRestore(dump, [...withoutOwners, ...inTablespaces(options), ...list], {
      ...options,
      nameOf,
      advise: adviceForLogin,
    }),
  )
}

/** Calls it with the arguments of pg_restore that choose entries; undefined: everything. */
export async function withList<T>(
  entries: readonly TocEntry[] | undefined,
  use: (args: string[]) => Promise<T>,
): Promise<T> {
  if (entries === undefined) return use([])
  const list = entries.map(({ id }) => `${id};\n`).join('')
  const { paths, remove } = writeTemporary({ list }, { ...listOptions, kind: 'restore' })
  try {
    return await use([`--use-list=${paths.list}`])
  } finally {
    remove()
  }
}

const listOptions: TemporaryOptions = { what: 'the list of entries for pg_restore' }

/** Checks before any work that {@link loadEntries} can write its list. @throws {AppError} `usage` */
export const checkListPlace = (): void => writeTemporary({ list: '' }, listOptions).remove()

/**
 * With back pressure and in constant memory. If pg_restore stops, the rest of the dump is still read, to tell a damaged dump from one
 * that does not fit this server.
 */
const runRestore = (dump: AsyncIterable<Buffer>, args: string[], options: RestoreRun): Promise<void> =>
  withRelay(options.connection, options.tools.unknownSettings ?? [], (connection) =>
    runDirectly(dump, args, { ...options, connection }),
  )

type RestoreRun = LoadOptions & { advise: Advise; nameOf(failure: Failure): string }

async function runDirectly(
  dump: AsyncIterable<Buffer>,
  args: string[],
  { advise, nameOf, ...options }: RestoreRun,
): Promise<void> {
  const { tools, connection, database, applicationName, signal, onMissing, file } = options
  signal.throwIfAborted()
  const all = [
    // Only with --verbose does it say which entry failed.
    onMissing ? '--verbose' : '--exit-on-error',
    '--no-password',
    ...args,
    `--dbname=${databaseArgument(database)}`,
    ...(file ? [`--jobs=${file.jobs}`, file.path] : []),
  ]
  await connection?.fresh?.()
  const tool = startTool(tools, 'pg_restore', all, {
    ...{ connection, database, applicationName, settings },
    ...(onMissing && { keptStderr: everything }),
  })
  const stop = () => void endAt(signal.reason, tool)
  signal.addEventListener('abort', stop)
  try {
    tool.stdout.resume()
    if (file) tool.stdin.end()
    else
      await feedTool(tool, dump, options).catch((error) => {
        if (!wasLost(error)) throw error
      })
    const ended = await tool.ended
    if (signal.aborted && (!wasLost(signal.reason) || !ended.code)) throw signal.reason
    if (ended.code === 0) return
    const failures = onMissing && ended.signal === null ? readFailures(ended.stderr) : undefined
    if (!onMissing || !failures) throw restoreFailed(ended, options, advise)
    for (const failure of failures) onMissing({ object: nameOf(failure), problem: failure.problem })
  } finally {
    signal.removeEventListener('abort', stop)
    await tool.kill()
  }
}

/** Time for pg_restore to say why its server went down, where a session of ours has seen it first. */
const lastWordsMs = 2_000

async function endAt(reason: unknown, tool: Tool): Promise<void> {
  if (wasLost(reason)) await Promise.race([tool.ended.catch(() => {}), sleep(lastWordsMs, undefined, { ref: false })])
  await tool.kill()
}

/** Enough for a message about every object of a large database. */
const everything = 64 * 1024 * 1024

type Advise = (said: string, options: Pick<LoadOptions, 'noOwner'>) => string

function restoreFailed(ended: Ended, options: Pick<LoadOptions, 'tools' | 'noOwner'>, advise: Advise): AppError {
  const { message, excerpt } = readSaid(ended.stderr)
  const said = ended.signal === null ? message : undefined
  const { how, hint } = howEnded(ended)
  return new AppError(
    'restore',
    `pg_restore ${options.tools.version} ${said === undefined ? how : `failed: ${said}`}`,
    {
      hint: hint ?? advise(said ?? '', options),
      excerpt,
      reason: isDiskFull(said ?? '') ? 'disk-full' : ended.signal === null ? 'load-failed' : undefined,
    },
  )
}

const isDiskFull = (said: string) => /no space left|could not extend file/i.test(said)

function adviceFor(said: string, { noOwner }: { noOwner: boolean }): string {
  const orWithout = noOwner ? '' : ', or pass --no-owner'
  if (/^role .* does not exist/.test(said)) return `create that role${orWithout}`
  if (/permission denied|must be (owner|member|superuser|able to)/.test(said))
    return `connect as a superuser${orWithout}`
  if (isDiskFull(said)) return 'free space on the disk of the server'
  if (/terminat|closed the connection|starting up|shutting down/.test(said))
    return 'run it again once the server is back'
  return causeOf(said) ?? `see the log of the server, or try another backup: \`pgbosun backup list\`; ${goingOn}`
}

/** A person can still allow what a login without rights may not do. */
const adviceForLogin: Advise = (said, options) =>
  /permission denied|must be (owner|member|superuser|able to)|superuser/.test(said)
    ? `a login without further rights does this, so that code in the backup gets none; if you trust everybody who could write to the database that was backed up, pass ${asSuperuserFlag}`
    : adviceFor(said, options)

/** Flag with which code in the backup runs with the rights of the session user. */
export const asSuperuserFlag = '--as-superuser'
