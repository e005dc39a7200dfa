import { randomBytes } from 'node:crypto'
import type { Backup } from '../archive/backup.ts'
import { ensureClaim } from '../archive/claim.ts'
import { decryptions } from '../archive/decryptions.ts'
import { backupId, clusterTag, dumpName, globalsName, manifestName, objectKey } from '../archive/layout.ts'
import { type Manifest, manifestVersion, type Series } from '../archive/manifest.ts'
import { ensureMarker } from '../archive/marker.ts'
import { writePin } from '../archive/pin.ts'
import { sealManifest } from '../archive/seal.ts'
import { conflictWith, twoServersHint } from '../archive/two-servers.ts'
import { AppError, hasReason } from '../errors.ts'
import { sendAsItIs } from '../postgres/bytes.ts'
import type { Session } from '../postgres/session.ts'
import { openWhenReady } from '../postgres/wait.ts'
import { adviceOnTools, findTools, type Tools } from '../programs/pgtools.ts'
import { fingerprint, sealedSuffix } from '../store/age.ts'
import { type Packed, putText } from '../store/pack.ts'
import type { Upload } from '../store/store.ts'
import { readAccess } from './access.ts'
import { besideDatabase } from './beside.ts'
import { refuseBroken } from './broken-names.ts'
import { type DumpOptions, dumpDatabase, dumpGlobals } from './dump.ts'
import {
  exportSnapshot,
  type Inspected,
  inspectDatabase,
  readClockDifference,
  readDropped,
  readMigration,
  readTimeline,
} from './inspect.ts'
import { excludeArguments, type LeftOut, leftOutOf, neededAccess, notCounted, unmatchedWarnings } from './left-out.ts'
import type { BackupOptions } from './options.ts'
import type { Places } from './places.ts'
import { explainObstacles, planPreflight } from './preflight.ts'
import { readLeftOut } from './read-left-out.ts'
import { unqualifiedFunctions } from './restorable.ts'
import { type Counted, countRows } from './rows.ts'
import { refuseSamePlace } from './same-place.ts'
import { isSkewed, skewWarning } from './skew.ts'
import { checkSpace } from './space.ts'
import type { StandbyFacts } from './standby.ts'
import type { TablesProgress } from './tables.ts'
import { readBack, readStored } from './verify.ts'

/** A unique id: one cluster makes only one backup of a database at a time. */
export const newId = (startedAt: Date, systemIdentifier: string) =>
  backupId(startedAt, clusterTag(systemIdentifier) + randomBytes(2).toString('hex'))

type MakeOptions = BackupOptions & {
  id: string
  startedAt: Date
  series: Series
  /** Complete backups of the same series, oldest first. */
  earlier: Backup[]
  /** Throws if the backup lock was lost. */
  guard(): void
  /** What was noticed before it began. */
  remarks: string[]
  /** The stores that it is written to. */
  places: Places
  /** What the standby that it is made of has replayed; undefined at a primary. */
  standby: StandbyFacts | undefined
}

type StoredObject = Manifest['objects'][number]

/** Makes a backup, from the first query to the manifest. If it fails, the caller removes what is left. */
export async function makeBackup(options: MakeOptions): Promise<Manifest> {
  const { connection, database, places, id, signal, startedAt, runId, kind = 'logical' } = options
  const begun = performance.now()
  const session = await openWork({
    ...options,
    ...{ lockDatabase: options.lock.database, allowStandby: options.standby !== undefined },
    applicationName: `pgbosun backup ${runId}`,
  })
  const endSession = () => void session.end()
  signal.addEventListener('abort', endSession)
  try {
    const tools = await findTools(session.serverVersion, options.search)
    const aheadMs = await readClockDifference(session.sql, options.now)
    const leftOut = await readLeftOut(session.sql, kind === 'logical' ? options.exclude : undefined)
    const { inspected, migration, warnings } = await look(session, options, tools, leftOut)
    if (isSkewed(aheadMs)) warnings.push(skewWarning(aheadMs))
    const common: DumpOptions = {
      tools,
      connection,
      database,
      applicationName: `pgbosun backup ${runId}`,
      settings: sessionSettings(session.serverVersion),
      recipients: options.recipients,
      passwords: options.globals === 'with-passwords',
      signal,
    }
    const found = {
      environment: options.environment ?? null,
      lsn: inspected.lsn,
      timeline: await readTimeline(session.sql),
    }
    const other = kind === 'logical' ? conflictWith(options.earlier, found) : undefined
    if (other) warnings.push(`another server seems to make backups of this series: ${other.why}: ${twoServersHint}`)
    await places.each((store) => ensureMarker(store, { toolVersion: options.toolVersion, now: startedAt }))
    await refuseSamePlace(places.live())
    const globals = await storeObject(options, { name: globalsName }, (upload) => dumpGlobals(upload, common))
    const { dump, counted } = await dumpAndCount(session, options, common, { ...inspected, leftOut })
    // the database need not wait for the stores: nothing is read from it any more
    await session.end()
    const objects = [dump.object, globals.object]
    for (const { table, reason } of counted.notCounted)
      warnings.push(`the rows of ${table} were not counted: ${reason}`)

    // what was encrypted was decoded on its way: nobody here can decrypt it
    let decoded = options.recipients.length > 0
    await places.each(async (store) => {
      if (decoded) return readStored(store, { id, database }, objects, signal)
      await readBack(store, { id, database }, objects, { tools, signal, identities: [] })
      decoded = true
    })
    signal.throwIfAborted()
    options.guard()
    const finishedAt = options.now()
    const manifest: Manifest = {
      schema_version: manifestVersion,
      id,
      series: options.series,
      slot: options.slot?.toISOString() ?? null,
      started_at: startedAt.toISOString(),
      server_time: new Date(startedAt.getTime() + aheadMs).toISOString(),
      ...(options.standby && { standby: options.standby.entry }),
      finished_at: finishedAt.toISOString(),
      duration_ms: Math.round(performance.now() - begun),
      tool_version: options.toolVersion,
      server_version: inspected.serverVersion,
      server_version_num: session.serverVersion,
      client_version: tools.version,
      lsn: inspected.lsn,
      origin: {
        environment: found.environment,
        host: hostOf(session),
        timeline: found.timeline,
        conflict: other?.conflict ?? null,
      },
      database: inspected.database,
      roles: inspected.roles,
      superusers: inspected.superusers,
      tablespaces: inspected.tablespaces,
      collations: inspected.collations,
      extensions: inspected.extensions,
      migration,
      counts: options.counts,
      ...(leftOut && { left_out: leftOutOf(leftOut) }),
      rows: counted.rows,
      samples: counted.samples,
      estimated_rows: counted.estimated,
      objects,
      encryption: encryptionOf(options),
      globals: options.globals,
      dump_size_bytes: dump.packed.plainBytes,
      warnings: [...options.remarks, ...(options.standby?.warnings ?? []), ...warnings],
      verified_at: finishedAt.toISOString(),
    }
    const text = sealManifest(manifest, options.secrets)
    await places.each(async (store) => {
      if (kind === 'before-restore') await writePin(store, { database, id }, { note: beforeRestore, at: startedAt })
      await ensureClaim(store, manifest)
      await putText(store, objectKey(database, id, manifestName), text)
    })
    return manifest
  } finally {
    signal.removeEventListener('abort', endSession)
    await session.end()
  }
}

const hostOf = ({ endpoint: { host, port } }: Session) => `${host}:${port}`

const beforeRestore = 'the last state before a restore; `pgbosun restore --discard` removes this pin'

type WorkOptions = Pick<BackupOptions, 'connection' | 'database' | 'wait' | 'log' | 'signal'> & {
  lockDatabase: string | undefined
  allowStandby: boolean
  applicationName: string
}

/** Opens the session whose snapshot the dump and the counts share. */
export async function openWork({
  connection,
  database,
  lockDatabase,
  wait,
  log,
  signal,
  applicationName,
  allowStandby,
}: WorkOptions): Promise<Session> {
  const deadline = performance.now() + wait.timeoutMs
  const session = (await openWhenReady(connection, {
    ...wait,
    deadline,
    log,
    signal,
    database,
    ...(lockDatabase !== undefined && { lockDatabase }),
    ...{ applicationName, allowStandby },
  }))!
  const endSession = () => void session.end()
  signal.addEventListener('abort', endSession)
  try {
    signal.throwIfAborted()
    await session.sql.unsafe(
      "select pg_catalog.set_config(name, '0', false) from pg_catalog.pg_settings where name = 'transaction_timeout'",
    )
    await session.sql.unsafe(sendAsItIs)
    // For the whole session, not only the transaction: nothing in it may write, or see only some of the rows.
    await session.sql.unsafe(
      `set search_path to pg_catalog, pg_temp; set default_transaction_read_only to on; set row_security to off`,
    )
    await session.sql.unsafe(`begin isolation level repeatable read read only; set local lock_timeout to '5min'`)
    return session
  } catch (error) {
    await session.end()
    throw error
  } finally {
    signal.removeEventListener('abort', endSession)
  }
}

/** Settings that pg_dump and pg_dumpall must not take from the role or the database. pg_dump sets most of them itself, too. */
export const sessionSettings = (serverVersion: number): Record<string, string> => ({
  role: 'none',
  row_security: 'off',
  default_transaction_read_only: 'on',
  statement_timeout: '0',
  lock_timeout: '0',
  tcp_keepalives_idle: '30',
  tcp_keepalives_interval: '10',
  tcp_keepalives_count: '3',
  // The store may block pg_dump for minutes, which must not end its connection.
  ...(serverVersion >= 140_000 && {
    client_connection_check_interval: '2s',
    idle_session_timeout: '0',
    tcp_user_timeout: '600000',
  }),
})

/** Reads what the manifest needs, and refuses if pg_dump would fail or leave something out. */
async function look({ sql, serverVersion }: Session, options: MakeOptions, tools: Tools, leftOut: LeftOut | undefined) {
  const inspected = await inspectDatabase(sql)
  refuseBroken(inspected)
  const access = await readAccess(sql)
  if (access.superuser) options.onSuperuser?.(access.role)
  else if (options.globals === 'with-passwords')
    throw new AppError('backup', `${access.role} may not read the passwords of roles: only a superuser may`, {
      hint: 'set backup.url to a superuser, or backup.globals to no-passwords',
    })
  const { obstacles, warnings } = planPreflight(leftOut ? neededAccess(access, leftOut) : access)
  if (obstacles.length > 0) {
    const { list, hint } = explainObstacles(obstacles, access)
    throw new AppError('backup', `${access.role} may not read everything:\n${list}`, { hint })
  }
  if (options.onBeside) {
    const beside = await besideDatabase(
      sql,
      options.places.live().map(({ name }) => name),
    )
    if (beside !== undefined) options.onBeside(beside)
  }
  await options.places.each((store) =>
    checkSpace(store, options.earlier.at(-1)?.sizeBytes, inspected.database.size_bytes),
  )
  const onTools = adviceOnTools(tools, serverVersion)
  const { migration, problem } = await readMigration(sql)
  const unknown = problem === undefined ? [] : [`the newest migration is unknown: ${problem}`]
  const unmatched = leftOut ? unmatchedWarnings(leftOut) : []
  const found = [...warnings, ...unmatched, ...(onTools === undefined ? [] : [onTools]), ...unknown]
  return { inspected, migration, warnings: [...found, ...(await unqualifiedFunctions(sql))] }
}

async function dumpAndCount(
  { sql }: Session,
  options: MakeOptions,
  common: DumpOptions,
  { database, leftOut }: Pick<Inspected, 'database'> & { leftOut: LeftOut | undefined },
): Promise<{ dump: { object: StoredObject; packed: Packed }; counted: Counted }> {
  const { signal, onProgress, earlier } = options
  const total = earlier.at(-1)?.dumpSizeBytes ?? database.size_bytes
  const onBytes = (bytes: number, tables?: TablesProgress) => onProgress?.(bytes, Math.max(bytes, total), tables)
  const snapshot = await exportSnapshot(sql)
  const { major } = common.tools
  const exclude = leftOut ? excludeArguments(leftOut, { major, encoding: database.encoding }) : []
  const failed = new AbortController()
  const counting = countRows(
    sql,
    options.counts,
    AbortSignal.any([signal, failed.signal]),
    leftOut && notCounted(leftOut),
  ).catch(
    (error: Error): Counted => ({
      rows: {},
      samples: {},
      estimated: {},
      notCounted: [{ table: 'all tables', reason: error.message }],
    }),
  )
  try {
    const dump = await storeObject(options, { name: dumpName, expectedBytes: expected(earlier, database) }, (upload) =>
      dumpDatabase(snapshot, upload, { ...common, exclude, onBytes }),
    )
    return { dump, counted: await counting }
  } catch (error) {
    failed.abort()
    throw signal.aborted ? error : await withDropped(sql, error)
  }
}

/** Half as much again as the last time; the first time, what the database takes on the disk. */
const expected = (earlier: Backup[], database: Inspected['database']): number =>
  (earlier.at(-1)?.sizeBytes ?? 0) * 1.5 || database.size_bytes

/** The failure of pg_dump, with the relation that was dropped after the snapshot was taken, if there is one. */
async function withDropped(db: Session['sql'], error: unknown): Promise<unknown> {
  if (!hasReason(error, 'dump-failed')) return error
  // without an answer, the failure is what is known
  const dropped = await readDropped(db).catch(() => undefined)
  if (dropped === undefined) return error
  return error.with({
    reason: 'relation-dropped',
    message: `${dropped} was dropped while it was being backed up: ${error.message}`,
    hint: 'run it again while nobody drops tables',
  })
}

/** How it is encrypted, with what the earlier backups of the series know, because they are deleted one day. */
function encryptionOf({ recipients, earlier, startedAt }: MakeOptions): Manifest['encryption'] {
  if (recipients.length === 0) return undefined
  const { since, decryptedAt } = decryptions(earlier)
  return {
    format: 'age',
    recipients: recipients.map(fingerprint),
    since: (since ?? startedAt).toISOString(),
    decrypted_at: decryptedAt?.toISOString() ?? null,
  }
}

/** Writes a complete object, or nothing. */
async function storeObject(
  { places, database, id, recipients }: MakeOptions,
  { name: plainName, expectedBytes }: { name: string; expectedBytes?: number },
  write: (upload: Upload) => Promise<Packed>,
): Promise<{ object: StoredObject; packed: Packed }> {
  const name = recipients.length > 0 ? `${plainName}${sealedSuffix}` : plainName
  const upload = await places.open(objectKey(database, id, name), expectedBytes)
  try {
    const packed = await write(upload)
    await upload.commit()
    const { storedBytes, sha256, sha256Plain } = packed
    return { object: { name, size_bytes: storedBytes, sha256, sha256_plain: sha256Plain }, packed }
  } catch (error) {
    await upload.abort()
    throw error
  }
}
