import { unmatchedInImport } from '../../backup/left-out.ts'
import { expectedOf, type LiveSource, openLive, startLiveDump } from '../../backup/live.ts'
import { describe } from '../../config/connection.ts'
import { parseTablePattern } from '../../config/object-patterns.ts'
import { renewed } from '../../config/renewed.ts'
import { remarks, resolveImportConnection } from '../../config/resolve.ts'
import { AppError, usage } from '../../errors.ts'
import { ofOneKind } from '../../plan.ts'
import type { Db } from '../../postgres/db.ts'
import { findTools } from '../../programs/pgtools.ts'
import { checkClientFiles } from '../../programs/tls-files.ts'
import { compareWhole } from '../../restore/whole/compare.ts'
import type { Run } from '../../run/run.ts'
import { counted, megabytes, renderBytes, someOf } from '../../units.ts'
import type { WholeImport } from '../import-of.ts'
import type { Origin } from './origin.ts'

type FromUrl = Extract<WholeImport, { url: unknown }>

/**
 * Opens the database of `import.url`, reads what it is, and gives that to `use`. It is only read, in one snapshot.
 * @throws {AppError} `usage` if it is the target itself; `seed` if not everything may be read; `unreachable`, `refused`
 */
export async function withPostgres<T>(
  run: Run,
  configured: FromUrl,
  exclude: readonly string[],
  use: (origin: Origin, source: LiveSource) => Promise<T>,
): Promise<T> {
  const { context, cluster } = run
  const { loaded, out, runId, version, log, signal } = context
  const { config, env, baseDir } = loaded
  await renewed(configured.url, 'import.url', { env, baseDir })
  const connection = resolveImportConnection(configured, config, env, baseDir)
  for (const remark of remarks(connection)) out.warn(remark)
  checkClientFiles(connection)
  const patterns = [...configured.exclude, ...exclude]
  const wrong = patterns.find((text) => parseTablePattern(text) === undefined)
  if (wrong !== undefined)
    throw usage(`${wrong} in import.exclude is no table`, { hint: 'write it as `schema.table`, or with `*` and `?`' })
  const source = await openLive({
    ...{ connection, exclude: patterns, runId, toolVersion: version, log, signal, now: () => new Date() },
    wait: { timeoutMs: config.wait.timeout, patient: config.wait.patient },
  }).catch(unreadable)
  try {
    await refuseItself(source, run)
    const { manifest, leftOut, tables } = source
    for (const warning of ofOneKind([...source.warnings, ...(leftOut ? unmatchedInImport(leftOut) : [])]))
      out.warn(warning)
    const what = describe(source.connection)
    const bytes = tables.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    const gone = manifest.left_out?.tables ?? []
    const origin: Origin = {
      ...{ name: 'postgresql', what, manifest },
      summary: `${counted(tables.length, 'table')}, about ${renderBytes(bytes)}, of ${what} (PostgreSQL ${manifest.server_version.split(' ')[0]})${gone.length > 0 ? `, without ${someOf(gone)}` : ''}`,
      record: {
        ...{ postgresql: what, server_version: manifest.server_version },
        ...{ system_identifier: manifest.series.system_identifier, excluded: gone },
      },
      async read(useReading) {
        const tools = await findTools(cluster.serverVersion, { path: env.PATH })
        const dump = await startLiveDump(source, { tools, runId, signal }).catch(unreadable)
        const expected = await expectedOf(source, signal)
        try {
          await useReading({
            ...{ source: { live: dump }, tools, jobs: 1 },
            async compare(session) {
              const found = await compareWhole(session.sql, await expected())
              for (const warning of ofOneKind(
                found.notCompared.map(({ table, reason }) => `the rows of ${table} were not compared: ${reason}`),
              ))
                out.warn(warning)
              const { rows, sequences, counted: only } = found
              return {
                ...{ rows, tables: found.tables },
                said: `${counted(sequences, 'sequence')}${only.length > 0 ? `; of ${someOf(only)} only the number of rows` : ''}`,
              }
            },
          })
        } finally {
          await dump.kill()
        }
      },
    }
    return await use(origin, source)
  } finally {
    await source.end()
  }
}

/** What our own backup says of a role that may not read everything, as an import says it. */
function unreadable(error: unknown): never {
  if (!(error instanceof AppError) || error.kind !== 'backup') throw error
  throw error.with({ kind: 'seed', message: `import.url: ${error.message}` })
}

/** @throws {AppError} `usage` */
async function refuseItself({ session, connection, manifest }: LiveSource, run: Run): Promise<void> {
  const target = run.context.connection().database
  if (manifest.database.name !== target) return
  const [theirs, ours] = await Promise.all([startOf(session.sql), startOf(run.cluster.sql)])
  if (theirs !== ours) return
  throw usage(`import.url leads to the target database itself: ${describe(connection)}`, {
    hint: 'set import.url to the database that is to be imported',
  })
}

/** To the microsecond: no two servers were started at the same instant. The system identifier is also that of copies, and not everybody may read it. */
async function startOf(db: Db): Promise<string> {
  const [row] = await db.unsafe<{ at: string }[]>(
    "select (pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time()) * 1000000)::numeric::text as at",
  )
  return row!.at
}

/** A list of what would come, largest first. */
export function describeTables({ tables, manifest }: LiveSource): string[] {
  const width = Math.max(0, ...tables.map(({ schema, name }) => schema.length + name.length + 1))
  const rowsOf = (tuples: number) => (tuples < 0 ? 'an unknown number of rows' : `about ${counted(tuples, 'row')}`)
  return [
    ...[...tables]
      .sort((a, b) => b.sizeBytes - a.sizeBytes)
      .map(
        ({ schema, name, tuples, sizeBytes }) =>
          `  ${`${schema}.${name}`.padEnd(width)}  ${renderBytes(sizeBytes).padStart(9)}  ${rowsOf(tuples)}`,
      ),
    ...(manifest.left_out?.tables ?? []).map((table) => `  ${table}  left out`),
  ]
}

/** How long the source is read for the estimate, at most. */
const sampleMs = 3_000

/** Reads the beginning of the source, as the import will. `whole`: that was all of it. */
export async function measureReading(
  run: Run,
  source: LiveSource,
): Promise<{ bytesPerSecond: number; whole: boolean; ms: number }> {
  const { loaded, runId, signal } = run.context
  const tools = await findTools(run.cluster.serverVersion, { path: loaded.env.PATH })
  const startedAt = performance.now()
  const dump = await startLiveDump(source, { tools, runId, signal }).catch(unreadable)
  let bytes = 0
  let whole = true
  try {
    for await (const step of dump.open()) {
      bytes += step.length
      if (performance.now() - startedAt < sampleMs) continue
      whole = false
      break
    }
  } finally {
    await dump.kill()
  }
  const ms = performance.now() - startedAt
  return { bytesPerSecond: (bytes / ms) * 1_000, whole, ms }
}

/** In words. Loading takes longer than reading: rows become text and rows again, and then come indexes and the comparison. */
export function describeStop(
  { bytesPerSecond, whole, ms }: Awaited<ReturnType<typeof measureReading>>,
  sizeBytes: number,
): { estimateMs: number; said: string } {
  const reading = whole ? ms : (sizeBytes / bytesPerSecond) * 1_000
  const estimateMs = Math.round(reading * loadFactor)
  const seconds = Math.max(1, Math.round(estimateMs / 1_000))
  const about = seconds < 120 ? counted(seconds, 'second') : counted(Math.round(seconds / 60), 'minute')
  return {
    estimateMs,
    said: `nothing may be written at the source for about ${about}: estimated, ${loadFactor} times as long as it takes to read it (${megabytes(bytesPerSecond)} MB/s, measured); import it into a scratch database first, which measures it`,
  }
}

const loadFactor = 3
