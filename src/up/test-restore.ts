import type { Backup } from '../archive/backup.ts'
import type { Catalog } from '../archive/catalog-type.ts'
import { backupPrefix } from '../archive/layout.ts'
import { keepFewRecords } from '../archive/records.ts'
import { type RestoreTest, type RestoreTestDetails, recordRestoreTest } from '../archive/restore-test.ts'
import { copyOf } from '../archive/several.ts'
import { verifyBackup } from '../backup/verify.ts'
import type { BackupFacts } from '../check/backups.ts'
import type { Connection } from '../config/connection.ts'
import { readKeys } from '../config/keys.ts'
import type { Loaded } from '../config/load.ts'
import { remarks, resolveTestConnection } from '../config/resolve.ts'
import { writtenSchedules } from '../config/schedules.ts'
import { usage } from '../errors.ts'
import type { TrialOptions } from '../restore/trial/options.ts'
import { tryBackup } from '../restore/trial/run.ts'
import type { Context } from '../run/context.ts'
import type { Store } from '../store/store.ts'

export type TestRestoreOptions = {
  store: Store
  /** What this process knows of the store. */
  catalog?: Catalog | undefined
  onProgress?: (done: number, total: number) => void
  /** How long to wait for another test restore on the server. Default: `lock.timeout`. */
  lockTimeoutMs?: number
}

/**
 * That nothing tells whether the scheduled backups can be restored, and what to set.
 * @param facts what is known of the backups; undefined if there are none
 */
export function adviceOnTestRestores({ config }: Loaded, facts: BackupFacts[] | undefined): string[] {
  const { verify } = config.backup
  if (writtenSchedules(config.backup).length === 0 || verify.schedule !== undefined) return []
  if (facts?.some(({ restoreTests }) => restoreTests?.last?.ok)) return []
  return [
    'no backup was ever restored for a test: set backup.verify.schedule, and backup.verify.url to a role that may create databases, on a server that nothing depends on',
  ]
}

/** The server for test restores. @throws {AppError} `usage` if none is configured */
export function testConnection({ config, env, baseDir }: Loaded): Connection {
  const connection = resolveTestConnection(config, env, baseDir)
  if (connection) return connection
  throw usage('there is no server for test restores', {
    hint: 'set backup.verify.url to a server that nothing depends on, or backup.verify.where: same-server',
  })
}

/** How backups are restored for a test, as configured. @throws {AppError} `usage` if no server for it is configured */
export function trialOptions(
  { loaded, log, signal, out, runId, command }: Context,
  lockTimeoutMs?: number,
): Omit<TrialOptions, 'backup' | 'store' | 'onProgress'> {
  const { config, env, baseDir } = loaded
  const { where, maxBytes } = config.backup.verify
  const connection = testConnection(loaded)
  for (const remark of remarks(connection)) out.warn(remark)
  return {
    keys: readKeys(config, env, baseDir),
    ...{ connection, where, maxBytes, runId, command, log, signal },
    search: { path: env.PATH },
    now: () => new Date(),
    // elsewhere, lock.database need not exist
    lock: {
      database: where === 'url' ? connection.database : config.lock.database,
      timeoutMs: lockTimeoutMs ?? config.lock.timeout,
    },
    wait: { timeoutMs: config.wait.timeout, patient: config.wait.patient },
    timeoutMs: config.backup.timeout,
    warn: out.warn,
  }
}

/**
 * Restores a backup for a test, and records what was found next to it in the store. If its bytes turn out to be damaged, it is also
 * verified, which records that; of several stores, the next copy is tried then.
 *
 * @throws {AppError} if it could not be tried, which says nothing about the backup; nothing is recorded then
 */
export async function testRestore(context: Context, backup: Which, options: TestRestoreOptions): Promise<Tested> {
  const { store } = options
  const bad = new Set<Store>()
  for (;;) {
    const copy = copyOf(store, backup)
    const { damaged, ...tested } = await testCopy(context, backup, options)
    bad.add(copy)
    // what is read first may have changed by itself, now that it is known to be damaged
    if (damaged && copyOf(store, backup) === copy) store.several?.next(backupPrefix(backup.database, backup.id))
    const next = copyOf(store, backup)
    if (!damaged || bad.has(next)) return tested
    context.out.warn(
      `the copy in ${copy.name} cannot be used: ${tested.test.problem}; trying again with the one in ${next.name}`,
    )
  }
}

type Which = Pick<Backup, 'id' | 'database'>
type Tested = { test: RestoreTest; details: RestoreTestDetails | undefined }

async function testCopy(
  context: Context,
  backup: Which,
  { store, catalog, onProgress = () => {}, lockTimeoutMs }: TestRestoreOptions,
): Promise<Tested & { damaged: boolean }> {
  const { log, signal } = context
  const options = trialOptions(context, lockTimeoutMs)
  const { search, keys, now } = options
  const { test, details, damaged } = await tryBackup({ ...options, backup, store, onProgress })
  try {
    await recordRestoreTest(store, backup, test, details, keys.secrets)
    catalog?.noteRestoreTest(backup, test)
    await keepFewRecords(store, backup, { secrets: keys.secrets, log })
  } catch (error) {
    log.warn({ problem: (error as Error).message }, 'could not record the result of the test restore in the store')
  }
  if (damaged)
    await verifyBackup(store, backup, {
      ...{ search, keys, log, signal, now },
      onNoted: (verification) => catalog?.noteVerification(backup, verification),
    })
  return { test, details, damaged }
}
