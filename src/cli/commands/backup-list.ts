import { type Backup, storedDatabases } from '../../archive/backup.ts'
import { readAllBackups } from '../../archive/catalog.ts'
import { isFromFuture } from '../../archive/clock.ts'
import { unreadError, unreadWarnings } from '../../archive/copies.ts'
import { openDeleted } from '../../archive/deleted.ts'
import { databasePrefix } from '../../archive/layout.ts'
import { openStore } from '../../archive/open.ts'
import { readPinNotes } from '../../archive/pin.ts'
import { eachOf } from '../../archive/several.ts'
import { readSecrets, type Secrets } from '../../config/keys.ts'
import type { AppError } from '../../errors.ts'
import { ofOneKind } from '../../plan.ts'
import { asAppError } from '../../run/failure.ts'
import type { Store } from '../../store/store.ts'
import { visible } from '../../text.ts'
import { renderBytes, seconds } from '../../units.ts'
import type { Command } from '../command.ts'

/** `backup list`: every backup in the store. */
export const backupList: Command = {
  name: 'backup list',
  flags: {
    deleted: {
      type: 'boolean',
      help: 'Show deleted backups too, which a bucket of S3 with versions keeps.',
    },
  },
  startsAnew: true,
  exits: { backup: 'the store cannot be read' },
  async run({ flags, loaded, out, signal }) {
    const store = openStore(loaded, signal)
    const secrets = readSecrets(loaded.config, loaded.env, loaded.baseDir)
    const only = typeof flags.database === 'string' ? flags.database : undefined
    const found = await readAllBackups(store, only === undefined ? await storedDatabases(store) : [only], secrets)
    const deleted =
      flags.deleted === true
        ? new Set(notAmong(found, await findDeleted(store, only, { secrets, warn: out.warn })))
        : undefined
    found.push(...(deleted ?? []))
    const notes = new Map<Backup, string[]>()
    for (const backup of found)
      if (backup.pinned && !deleted?.has(backup)) notes.set(backup, await readPinNotes(store, backup))
    const now = new Date()
    const unusable = found.filter(({ problem }) => problem !== undefined)
    const said = unusable.map(
      ({ id, database, problem }) => `the backup ${id} of ${database} cannot be used: ${problem}`,
    )
    for (const warning of ofOneKind(said)) out.warn(warning)
    for (const warning of unreadWarnings(store)) out.warn(warning)
    const rowOf = (backup: Backup) =>
      columns(backup, deleted?.has(backup) ? 'deleted' : stateOf(backup, notes.get(backup) ?? [], now))
    if (found.length === 0) out.print(`there are no backups in ${store.name}`)
    else out.print(() => table(found.map(rowOf)))
    // one at a time, while the document is written: ten thousand take as much memory as everything else
    const listed = found.map((backup) => ({
      toJSON: () => ({
        ...fields(backup, notes.get(backup) ?? [], backup.stores ?? [store.name]),
        ...(deleted && { deleted: deleted.has(backup) }),
      }),
    }))
    return { fields: { backups: listed }, failure: notAll(store) }
  },
}

/** What the others have is shown, and that it may not be all. */
function notAll(store: Store): AppError | undefined {
  const unread = unreadError(store)
  return unread && asAppError(unread)
}

/** What was deleted in one store may still be in another. */
function notAmong(found: Backup[], deleted: Backup[]): Backup[] {
  const there = new Set(found.map(({ database, id }) => `${database}/${id}`))
  return deleted.filter(({ database, id }) => !there.has(`${database}/${id}`))
}

/** What was deleted and can still be read. */
async function findDeleted(
  store: Store,
  only: string | undefined,
  { secrets, warn }: { secrets: Secrets; warn(text: string): void },
): Promise<Backup[]> {
  const deleted = await openDeleted(store, only === undefined ? '' : databasePrefix(only))
  if (!deleted) warn(`${store.name} knows no deleted backups: only a bucket of S3 with versions does`)
  for (const { name, versions } of eachOf(store))
    if ((await versions?.keeps()) === false) warn(`${name} keeps nothing that is deleted: the bucket has no versions`)
  return deleted ? readAllBackups(deleted, only === undefined ? await storedDatabases(deleted) : [only], secrets) : []
}

const fields = (backup: Backup, notes: string[], stores: readonly string[]) => {
  const { id, database, startedAt, sizeBytes, verification, restoreTest, problem, series, pinned } = backup
  return {
    id,
    database,
    series: series ?? null,
    name: series?.name ?? null,
    schedule: series?.schedule || null,
    kind: series?.kind ?? null,
    started_at: startedAt.toISOString(),
    size_bytes: sizeBytes ?? null,
    verified: verification?.ok ?? false,
    verified_at: verification?.at.toISOString() ?? null,
    restore_test: restoreTest
      ? {
          at: restoreTest.at.toISOString(),
          ok: restoreTest.ok,
          problem: restoreTest.problem,
          duration_ms: restoreTest.durationMs,
          server: restoreTest.server,
        }
      : null,
    partial: backup.partial ?? false,
    pinned,
    pin_notes: notes,
    stores,
    problem: problem ?? verification?.problem ?? null,
  }
}

const columns = (backup: Backup, state: string) => [
  backup.database,
  backup.id,
  backup.startedAt.toISOString().replace(/\.\d+/, ''),
  backup.sizeBytes === undefined ? '?' : renderBytes(backup.sizeBytes),
  state,
]

function stateOf(backup: Backup, notes: string[], now: Date): string {
  const { problem, unproven, verification, restoreTest } = backup
  if (unproven) return 'NOT SIGNED'
  if (problem !== undefined) return 'unreadable'
  if (verification?.ok === false) return 'DAMAGED'
  const state = [
    ...(backup.series?.schedule ? [backup.series.schedule] : []),
    verification === undefined ? 'not verified' : 'verified',
    ...(restoreTest === undefined
      ? []
      : [restoreTest.ok ? `restored in ${seconds(restoreTest.durationMs ?? 0)}` : 'test restore FAILED']),
    ...(backup.partial ? ['partial'] : []),
    ...(backup.encryption ? ['encrypted'] : []),
    ...(backup.pinned ? [['pinned', ...notes.map(visible)].join(': ')] : []),
    ...(backup.stores ? [`in ${backup.stores.join(', ')}`] : []),
    ...(backup.series?.kind === 'before-restore' ? ['made before a restore'] : []),
    ...(isFromFuture(backup, now) ? ['starts in the future'] : []),
  ]
  return state.join(', ')
}

function table(rows: string[][]): string[] {
  const widths = rows[0]?.map((_, i) => rows.reduce((width, row) => Math.max(width, row[i]!.length), 0)) ?? []
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join('  ')
      .trimEnd(),
  )
}
