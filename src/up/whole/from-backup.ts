import { availableParallelism } from 'node:os'
import { readBackups } from '../../archive/catalog.ts'
import { fromAnyCopy, unreadWarnings } from '../../archive/copies.ts'
import { withLease } from '../../archive/lease.ts'
import { openStore } from '../../archive/open.ts'
import { noteDecrypted } from '../../archive/records.ts'
import { readKeys } from '../../config/keys.ts'
import { AppError } from '../../errors.ts'
import { scratchPlace } from '../../machine/scratch.ts'
import { readSystemIdentifier } from '../../postgres/system.ts'
import { findTools } from '../../programs/pgtools.ts'
import { chooseFrom, wholeOf } from '../../restore/chosen.ts'
import { planJobs } from '../../restore/jobs.ts'
import { leftOutWarning } from '../../restore/left-out.ts'
import { refuseIncomplete, refuseUnopened, trustedManifest } from '../../restore/source.ts'
import type { Run } from '../../run/run.ts'
import { counted, renderAgo, renderBytes } from '../../units.ts'
import type { WholeImport } from '../import-of.ts'
import type { Origin } from './origin.ts'

type FromBackup = Extract<WholeImport, { backup: string }>

/**
 * Finds the backup of `import.backup`, and gives it to `use`; the next copy of it where one is damaged.
 * @throws {AppError} `nobackup`, `corrupt`, `backup` if the store cannot be read; `seed` if it is not clear which one is meant
 */
export async function withBackup<T>(run: Run, configured: FromBackup, use: (origin: Origin) => Promise<T>): Promise<T> {
  const { context, cluster } = run
  const { loaded, out, signal, log } = context
  const { config, env, baseDir } = loaded
  const now = () => new Date()
  const store = openStore(loaded, signal)
  const keys = readKeys(config, env, baseDir)
  const source = configured.database ?? context.connection().database
  const own = await readSystemIdentifier(cluster.sql)
  const backups = await readBackups(store, source, keys.secrets)
  for (const warning of unreadWarnings(store)) out.warn(warning)
  const id = configured.backup === 'latest' ? undefined : configured.backup
  const { backup, notes } = choose(() =>
    chooseFrom(backups, own, {
      wanted: { id, at: undefined, cluster: configured.cluster, swap: undefined },
      ...{ source, name: config.backup.name, out, now },
    }),
  )
  for (const note of notes) out.warn(note)
  return fromAnyCopy(store, backup, out, () =>
    withLease(store, backup, { now, log }, async () => {
      const manifest = trustedManifest(await wholeOf({ store, keys }, backup))
      const partial = leftOutWarning(manifest)
      if (partial !== undefined) out.warn(partial)
      await refuseIncomplete(store, manifest)
      await refuseUnopened({ store, keys }, manifest)
      const what = `backup ${manifest.id}`
      const tables = Object.keys(manifest.rows).length
      const age = renderAgo(now().getTime() - backup.takenAt.getTime())
      const origin: Origin = {
        ...{ name: 'backup', what, manifest },
        summary: `${counted(tables, 'table')}, about ${renderBytes(manifest.database.size_bytes)}, of ${what} of ${manifest.database.name}, taken ${age}`,
        record: {
          ...{ backup: manifest.id, database: manifest.database.name, taken_at: manifest.started_at },
          ...{ system_identifier: manifest.series.system_identifier, server_version: manifest.server_version },
        },
        async read(useReading) {
          const tools = await findTools(
            cluster.serverVersion,
            { path: env.PATH },
            { name: 'pg_restore', writtenBy: Number.parseInt(manifest.client_version, 10) },
          )
          const { jobs } = planJobs({
            ...{ asked: undefined, cores: availableParallelism(), alone: false, proven: false },
            ...{ dumpBytes: manifest.dump_size_bytes, place: await scratchPlace() },
          })
          await useReading({
            ...{ source: { store, keys }, tools, jobs },
            // the number of rows was compared by the restore, and every byte with its checksum
            compare: async () => ({
              rows: Object.values(manifest.rows).reduce((sum, rows) => sum + rows, 0),
              ...{ tables, said: 'every byte of the dump with its checksum' },
            }),
          })
          await noteDecrypted(store, manifest, { secrets: keys.secrets, now, log })
        },
      }
      return use(origin)
    }),
  )
}

/** The catalogue asks for a flag of `restore`; here it is a key. */
function choose<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof AppError) || error.kind !== 'restore') throw error
    throw error.with({ kind: 'seed', hint: 'set import.cluster to the system identifier of the server that is meant' })
  }
}
