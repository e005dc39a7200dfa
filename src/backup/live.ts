import type { Expected, LiveDump } from '../archive/live.ts'
import { type Manifest, manifestVersion } from '../archive/manifest.ts'
import { parseToc } from '../archive/toc.ts'
import { at, type Connection } from '../config/connection.ts'
import { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import { isBroken, parseBytes, shown } from '../postgres/bytes.ts'
import { copyRows, linesIn } from '../postgres/dumped.ts'
import {
  type HashedTable,
  hashedTablesQuery,
  hashProbe,
  type RowsHash,
  rowsHashQuery,
  type SequenceValue,
  sequencesQuery,
} from '../postgres/row-hashes.ts'
import { sampleSettings } from '../postgres/sample.ts'
import type { Session } from '../postgres/session.ts'
import { readSystemIdentifier } from '../postgres/system.ts'
import { databaseArgument, startTool } from '../programs/child.ts'
import type { Tools } from '../programs/pgtools.ts'
import { quoteName } from '../sql/quote.ts'
import { inSteps } from '../store/steps.ts'
import { readAccess } from './access.ts'
import { refuseBroken } from './broken-names.ts'
import { lockWaitMs, toolFailed } from './dump.ts'
import { exportSnapshot, inspectDatabase, readMigration } from './inspect.ts'
import { excludeArguments, type LeftOut, leftOutOf, neededAccess } from './left-out.ts'
import { newId, openWork, sessionSettings } from './make.ts'
import { explainObstacles, planPreflight } from './preflight.ts'
import { readLeftOut } from './read-left-out.ts'
import { copyInSavepoint, inSavepoint } from './savepoint.ts'
import { type TablesProgress, watchTables } from './tables.ts'

/** Everything that reading a database for a load elsewhere needs to know. */
export type LiveOptions = {
  connection: Connection
  /** Patterns of tables that are left out. */
  exclude: readonly string[]
  wait: { timeoutMs: number; patient: boolean }
  runId: string
  toolVersion: string
  log: Log
  signal: AbortSignal
  now(): Date
}

/** A database as it is in one snapshot, which no dump was made of yet. */
export type LiveSource = {
  session: Session
  /** Leads only to the host that was reached. */
  connection: Connection
  manifest: Manifest
  leftOut: LeftOut | undefined
  tables: HashedTable[]
  /** Remarks about what does not come along. */
  warnings: string[]
  superuser: boolean
  end(): Promise<void>
}

/**
 * Opens a read-only snapshot of a database, and finds out all that pg_dump would need.
 * @throws {AppError} `backup` if it may not read everything; `unreachable`, `refused`
 */
export async function openLive(options: LiveOptions): Promise<LiveSource> {
  const { connection, wait, log, signal, runId } = options
  const session = await openWork({
    ...{ connection, wait, log, signal, allowStandby: true, database: connection.database, lockDatabase: undefined },
    applicationName: `pgbosun import ${runId}`,
  })
  const end = () => session.end()
  const stop = () => void end()
  signal.addEventListener('abort', stop)
  try {
    const found = await look(session, options)
    return {
      ...{ ...found, session, connection: at(connection, session) },
      async end() {
        signal.removeEventListener('abort', stop)
        await end()
      },
    }
  } catch (error) {
    signal.removeEventListener('abort', stop)
    await end()
    throw error
  }
}

async function look(session: Session, options: LiveOptions) {
  const { sql, serverVersion } = session
  const systemIdentifier = (await readSystemIdentifier(sql)) ?? '0'
  const leftOut = await readLeftOut(sql, { schemas: [], tables: [...options.exclude], tableData: [] }, true)
  const inspected = await inspectDatabase(sql)
  refuseBroken(inspected)
  const access = await readAccess(sql)
  const { obstacles, warnings } = planPreflight(leftOut ? neededAccess(access, leftOut) : access)
  if (obstacles.length > 0) {
    const { list, hint } = explainObstacles(obstacles, access)
    throw new AppError('backup', `${access.role} may not read everything:\n${list}`, { hint })
  }
  const { migration } = await readMigration(sql)
  const all = await readTables(sql)
  const skipped = new Set([...(leftOut?.gone ?? [])].map((one) => quoteName(one.schema, one.name)))
  const tables = all.filter(({ schema, name }) => !skipped.has(quoteName(schema, name)))
  const startedAt = options.now()
  const { serverVersion: version, ...facts } = inspected
  const manifest: Manifest = {
    ...facts,
    schema_version: manifestVersion,
    id: newId(startedAt, systemIdentifier),
    series: {
      ...{ name: 'import', system_identifier: systemIdentifier, database: inspected.database.name },
      kind: 'logical',
    },
    slot: null,
    started_at: startedAt.toISOString(),
    finished_at: startedAt.toISOString(),
    duration_ms: 0,
    tool_version: options.toolVersion,
    server_version: version,
    server_version_num: serverVersion,
    client_version: String(Math.floor(serverVersion / 10_000)),
    migration,
    ...(leftOut && { left_out: leftOutOf(leftOut) }),
    rows: {},
    objects: [],
    dump_size_bytes: Math.max(
      1,
      tables.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    ),
    warnings: [],
    verified_at: null,
  }
  return { manifest, leftOut, tables, warnings, superuser: access.superuser }
}

async function readTables(db: Session['sql']): Promise<HashedTable[]> {
  const [row] = await db.unsafe<{ tables: string }[]>(hashedTablesQuery)
  return parseBytes<HashedTable[]>(row!.tables)
}

/**
 * Starts pg_dump in the snapshot of the source, and reads its list of contents.
 * @param tools not older than the server
 * @throws {AppError} `backup` with what pg_dump said
 */
export async function startLiveDump(
  source: LiveSource,
  { tools, runId, signal }: { tools: Tools; runId: string; signal: AbortSignal },
  onBytes: (bytes: number, tables: TablesProgress | undefined) => void = () => {},
): Promise<LiveDump> {
  const { session, connection, leftOut, manifest } = source
  const { encoding } = manifest.database
  const snapshot = await exportSnapshot(session.sql)
  const args = [
    ...['-Fc', '-Z0', '-w', `--lock-wait-timeout=${lockWaitMs}`, `--snapshot=${snapshot}`],
    ...(leftOut ? excludeArguments(leftOut, { major: tools.major, encoding }) : []),
    `--dbname=${databaseArgument(connection.database)}`,
  ]
  await connection.fresh?.()
  const tool = startTool(tools, 'pg_dump', args, {
    ...{ connection, database: connection.database, applicationName: `pgbosun import ${runId}` },
    settings: sessionSettings(session.serverVersion),
  })
  const stop = () => void tool.kill()
  signal.addEventListener('abort', stop)
  const kill = async () => {
    signal.removeEventListener('abort', stop)
    await tool.kill()
  }
  tool.stdin.end()
  const watch = watchTables()
  const steps = inSteps(tool.stdout)
  let bytes = 0
  /** The next step, or undefined at the end of a complete dump. */
  const next = async (): Promise<Buffer | undefined> => {
    const { value, done } = await steps.next()
    if (!done) {
      bytes += value.length
      watch.push(value)
      onBytes(bytes, watch.state())
      return value
    }
    const ended = await tool.ended
    signal.throwIfAborted()
    if (ended.code !== 0) throw sourceFailed(toolFailed(tool, ended))
    return undefined
  }
  try {
    const head = await readToc(next)
    return { open: replayed(head, next), kill }
  } catch (error) {
    await kill()
    throw error
  }
}

/** @returns the first bytes, with the whole list of contents */
async function readToc(next: () => Promise<Buffer | undefined>): Promise<Buffer> {
  let head: Buffer = Buffer.alloc(0)
  for (;;) {
    const step = await next()
    if (!step) throw new AppError('backup', 'the dump ended before its list of contents did')
    head = Buffer.concat([head, step])
    if (parseToc(head)) return head
  }
}

function replayed(head: Buffer, next: () => Promise<Buffer | undefined>): () => AsyncIterable<Buffer> {
  let taken = false
  return async function* () {
    yield head
    if (taken) return
    taken = true
    for (let step = await next(); step; step = await next()) yield step
  }
}

const sourceFailed = (error: AppError): AppError =>
  error.with({
    message: `the source could not be read to its end: ${error.message}`,
    hint: 'see its output below, and the log of the source; run it again once it can be read',
  })

/** Reads what the loaded database must have, in the snapshot of the dump, and while that is made. */
export async function expectedOf(
  { session: { sql }, tables }: Pick<LiveSource, 'session' | 'tables'>,
  signal: AbortSignal,
): Promise<() => Promise<Expected>> {
  const before = await readSequences(sql)
  const hashes = new Map<string, RowsHash>()
  const notCompared: Expected['notCompared'] = []
  const reading = (async () => {
    const [probed] = await sql.unsafe<{ probe: string }[]>(hashProbe)
    await sql.unsafe(sampleSettings)
    for (const table of tables) {
      signal.throwIfAborted()
      const found = await hashOf(sql, table)
      const name = quoteName(table.schema, table.name)
      if (typeof found === 'string') notCompared.push({ table: isBroken(name) ? shown(name) : name, reason: found })
      else hashes.set(name, found)
    }
    const [large] = await sql.unsafe<{ count: string }[]>(
      'select pg_catalog.count(*) as count from pg_catalog.pg_largeobject_metadata',
    )
    return { probe: probed!.probe, largeObjects: Number(large!.count) }
  })()
  // it is awaited by the caller; until then, an error of the load counts first
  reading.catch(() => {})
  return async () => {
    try {
      const read = await reading
      return { ...read, tables: hashes, notCompared, sequences: [before, await readSequences(sql)] }
    } catch (error) {
      signal.throwIfAborted()
      // not as the loss of a connection to the target, which is another server
      throw new AppError('backup', `the source could not be read to its end: ${(error as Error).message}`, {
        hint: 'see the log of the source; run it again once it can be read',
      })
    }
  }
}

async function readSequences(db: Session['sql']): Promise<SequenceValue[]> {
  const [row] = await db.unsafe<{ sequences: string }[]>(sequencesQuery)
  return parseBytes<SequenceValue[]>(row!.sequences)
}

/** Or why it cannot be read. */
async function hashOf(db: Session['sql'], table: HashedTable): Promise<RowsHash | string> {
  const name = quoteName(table.schema, table.name)
  if (isBroken(name) || table.columns.some(isBroken)) return 'its name, or that of a column, is not valid UTF-8'
  if (table.unplanned) {
    let rows = 0
    const failure = await copyInSavepoint(db, copyRows(name, table.column), (chunk) => {
      rows += linesIn(chunk)
    })
    return failure?.message ?? { rows, hash: null }
  }
  const found = await inSavepoint<{ rows: string; hash: string }>(db, rowsHashQuery(name, table.columns))
  return found instanceof Error ? found.message : { rows: Number(found[0]!.rows), hash: found[0]!.hash }
}
