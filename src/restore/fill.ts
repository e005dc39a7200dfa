import type { Manifest } from '../archive/manifest.ts'
import type { Connection } from '../config/connection.ts'
import type { Log } from '../log.ts'
import { withScratch } from '../machine/scratch.ts'
import type { Warning } from '../plan.ts'
import type { Tools } from '../programs/pgtools.ts'
import type { LoadWork } from './apply.ts'
import { loadIsolated } from './isolated.ts'
import { type LoadOptions, loadDump } from './load.ts'
import type { Loading } from './loading.ts'
import { type DumpSource, openDump, sameBeginning } from './source.ts'

/** What is loaded, and how. `proven`: nothing may be loaded before every byte was compared with what was signed. */
export type Filling = {
  connection: Connection
  manifest: Manifest
  tools: Tools
  loading: Loading
  jobs: number
  proven: boolean
}

type FillOptions = DumpSource & {
  wanted: { noOwner: boolean; noTablespaces: boolean }
  runId: string
  log: Log
  out: { warn(warning: Warning): void }
  onProgress(done: number, total: number): void
}

/**
 * Fills a new database from a backup: streamed, or decoded into a temporary file first and loaded over several connections.
 *
 * @throws {AppError} `corrupt`, `restore`, `refused`
 */
export function fill(
  { database, session, login, signal, onMissing }: LoadWork,
  { connection, manifest, tools, loading, jobs, proven }: Filling,
  { wanted: { noOwner, noTablespaces }, runId, log, out, onProgress, ...source }: FillOptions,
): Promise<void> {
  const open = () => openDump(source, manifest)
  const onBytes = (bytes: number) => onProgress(bytes, manifest.dump_size_bytes)
  const how = { noOwner, noTablespaces }
  const options = {
    tools,
    connection,
    database,
    applicationName: `pgbosun ${runId}`,
    ...how,
    signal,
    onBytes,
    onMissing,
    once: source.live !== undefined,
  }
  const { rights, load: isolated, selection } = loading
  const owner = noOwner ? rights.user : manifest.database.owner
  const { warn } = out
  const use = (how: Pick<LoadOptions, 'file'>, dump: () => AsyncIterable<Buffer>) =>
    login && isolated
      ? loadIsolated({
          ...{ ...options, ...how, ...isolated, open: dump, login, session },
          ...{ owner, superuser: rights.superuser, log, warn },
        })
      : loadDump(dump(), { ...options, ...how }, selection?.entries)
  if (jobs === 1 && !proven) return use({}, open)
  const content = isolated ? sameBeginning(open(), isolated.head) : open()
  return withScratch(content, { signal, kind: 'restore', onBytes }, (path) => {
    log.info({ connections: jobs }, 'the dump is decoded and verified: loading it')
    return use({ file: { path, jobs } }, nothing)
  })
}

/** Everything was read already. */
async function* nothing(): AsyncGenerator<Buffer> {}
