import * as z from 'zod'
import { mapBounded } from '../store/bounded.ts'
import { getText, putText } from '../store/pack.ts'
import type { Store } from '../store/store.ts'
import { takenAt } from './clock.ts'
import {
  backupPrefix,
  databasePrefix,
  decodeName,
  idPattern,
  manifestName,
  objectKey,
  startedAtOf,
  verifiedName,
} from './layout.ts'
import { type Manifest, manifestSchema, manifestVersion, type Series } from './manifest.ts'

/** What the newest look at all bytes of a backup found. */
export type Verification = { at: Date; ok: boolean; problem: string | null }

/** What is kept in memory of a complete backup in a store, however many there are. */
export type Backup = {
  id: string
  database: string
  /** By the clock of the machine that made it. */
  startedAt: Date
  /** The instant that it is ordered by, and its age told: see {@link takenAt}. */
  takenAt: Date
  /** Undefined when the manifest cannot be read; then `problem` says why. */
  series: Series | undefined
  problem: string | undefined
  slot: Date | null
  /** Of the backup's own run or of a later one, whichever was last; undefined when it was never verified. */
  verification: Verification | undefined
  /** As they are stored, all objects together. */
  sizeBytes: number | undefined
  dumpSizeBytes: number | undefined
}

/** A backup with all that its manifest says, and the text of that. */
export type WholeBackup = Backup & { manifest: Manifest | undefined; text: string }

/** So many manifests are open at once: enough for a slow store, few for a process with few files and little memory. */
const atOnce = 8

/** The databases that a store has anything about, by name. */
export async function storedDatabases(store: Store): Promise<string[]> {
  const folders = await store.folders('')
  return folders.map(decodeName).filter((name) => name !== undefined)
}

/**
 * The complete backups of a database, oldest first. What has no manifest is not among them; one whose manifest cannot be
 * read is, with a problem.
 */
export const readBackups = (store: Store, database: string): Promise<Backup[]> => openCatalog(store).read(database)

/** The backups of several databases, one database after the other. */
export async function readAllBackups(store: Store, databases: string[]): Promise<Backup[]> {
  const found: Backup[][] = []
  for (const database of databases) found.push(await readBackups(store, database))
  return found.flat()
}

/** The backups of a store for a process that looks again and again: manifests never change, so each is read once. */
export type Catalog = {
  store: Store
  /** Everything again, as {@link readBackups} does. */
  read(database: string): Promise<Backup[]>
  /**
   * Lists the folder, and reads what is new in it; besides that only whether the newest good one was found damaged meanwhile.
   * What others found out about older ones is known after the next `read`.
   */
  update(database: string): Promise<Backup[]>
  /** A backup was verified by this process. */
  noteVerification(backup: Pick<Backup, 'database' | 'id'>, verification: Verification): void
}

/** Where memory is little, what was read is collected after so many manifests: V8 would let it lie until there is no room. */
const readBeforeCollecting = 100

export function openCatalog(store: Store): Catalog {
  const known = new Map<string, Map<string, Backup>>()
  const brief = briefly()
  let read = 0
  const look = async (database: string, before: Map<string, Backup>): Promise<Backup[]> => {
    const folders = await store.folders(databasePrefix(database))
    const found = await mapBounded(
      folders.filter((id) => startedAtOf(id) !== undefined),
      atOnce,
      async (id) => {
        const already = before.get(id)
        if (already) return already
        if (++read % readBeforeCollecting === 0) globalThis.gc?.()
        return brief(await readBackup(store, database, id))
      },
    )
    const backups = found.filter((backup) => backup !== undefined).sort(byInstant)
    known.set(database, new Map(backups.map((backup) => [backup.id, backup])))
    return backups
  }
  return {
    store,
    read: (database) => look(database, new Map()),
    async update(database) {
      const backups = await look(database, known.get(database) ?? new Map())
      await recheckNewest(store, backups)
      return backups
    },
    noteVerification({ database, id }, verification) {
      const backup = known.get(database)?.get(id)
      if (backup) backup.verification = verification
    },
  }
}

/** Somebody else may have found the newest one damaged; then the one before it is the newest that counts. */
async function recheckNewest(store: Store, backups: Backup[]): Promise<void> {
  for (const backup of backups.toReversed()) {
    if (backup.verification?.ok === false) continue
    backup.verification = later(backup.verification, await readLaterVerification(store, backup))
    if (backup.verification?.ok !== false) return
  }
}

const byInstant = (a: Backup, b: Backup) => a.takenAt.getTime() - b.takenAt.getTime() || (a.id < b.id ? -1 : 1)

/** Without the manifest, which may be long; and what says the same of thousands is there once. */
function briefly() {
  const seen = new Map<string, Series>()
  return (whole: WholeBackup | undefined): Backup | undefined => {
    if (!whole) return undefined
    const { manifest: _, text: __, ...backup } = whole
    const key = JSON.stringify(backup.series)
    if (backup.series) backup.series = seen.get(key) ?? backup.series
    if (backup.series) seen.set(key, backup.series)
    return backup
  }
}

/** One backup; undefined when there is none of that id. */
export async function readBackup(store: Store, database: string, id: string): Promise<WholeBackup | undefined> {
  const text = await getText(store, objectKey(database, id, manifestName))
  if (text === undefined) return undefined
  const parsed = parseManifest(text)
  const manifest = typeof parsed === 'string' ? undefined : parsed
  const own = manifest?.verified_at ? { at: new Date(manifest.verified_at), ok: true, problem: null } : undefined
  const clocks = {
    startedAt: manifest ? new Date(manifest.started_at) : startedAtOf(id)!,
    serverTime: manifest?.server_time == null ? undefined : new Date(manifest.server_time),
  }
  return {
    id,
    database,
    startedAt: clocks.startedAt,
    takenAt: takenAt(clocks, new Date()),
    series: manifest?.series,
    problem: typeof parsed === 'string' ? parsed : undefined,
    slot: manifest?.slot == null ? null : new Date(manifest.slot),
    verification: later(own, await readLaterVerification(store, { database, id })),
    sizeBytes: manifest?.objects.reduce((sum, { size_bytes }) => sum + size_bytes, 0),
    dumpSizeBytes: manifest?.dump_size_bytes,
    manifest,
    text,
  }
}

/** The manifest in a text, or why there is none. */
function parseManifest(text: string): Manifest | string {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    return `${manifestName} is not JSON: ${(error as Error).message.replace(/\s+/g, ' ')}`
  }
  const version = (value as { schema_version?: unknown } | null)?.schema_version
  if (typeof version === 'number' && version > manifestVersion)
    return `${manifestName} has version ${version}, and this pgbosun reads up to ${manifestVersion}: use a newer one`
  const { data, error } = manifestSchema.safeParse(value, { jitless: true })
  if (data) return data
  const [issue] = error.issues
  return `${manifestName} is damaged: ${issue?.path.join('.') || 'the document'}: ${issue?.message}`
}

const verificationSchema = z.looseObject({
  verified_at: z.iso.datetime(),
  ok: z.boolean(),
  problem: z.string().nullable(),
})

async function readLaterVerification(store: Store, { database, id }: Pick<Backup, 'database' | 'id'>) {
  const text = await getText(store, objectKey(database, id, verifiedName))
  return text === undefined ? undefined : parseVerification(text)
}

const later = (one: Verification | undefined, other: Verification | undefined) =>
  other && (!one || other.at >= one.at) ? other : one

function parseVerification(text: string): Verification | undefined {
  try {
    const { data } = verificationSchema.safeParse(JSON.parse(text), { jitless: true })
    return data && { at: new Date(data.verified_at), ok: data.ok, problem: data.problem }
  } catch {
    return undefined
  }
}

/** Writes what a verification found beside the backup, which itself is never changed. */
export async function recordVerification(
  store: Store,
  { database, id }: Pick<Backup, 'database' | 'id'>,
  { at, ok, problem }: Verification,
): Promise<void> {
  const record = { id, level: 'decode', ok, problem, verified_at: at.toISOString() }
  await putText(store, objectKey(database, id, verifiedName), `${JSON.stringify(record, undefined, 2)}\n`)
}

/** Removes a backup: first its manifest, so that it is no backup any more, then everything else of it. */
export async function removeBackup(store: Store, { database, id }: Pick<Backup, 'database' | 'id'>): Promise<void> {
  await store.delete(objectKey(database, id, manifestName))
  await removeRest(store, database, id)
}

/**
 * Folders that look like backups and have no manifest: being written just now, or left behind.
 * @param complete ids of which it is known that they have one
 */
export async function unfinishedBackups(store: Store, database: string, complete: Set<string>): Promise<string[]> {
  const folders = await store.folders(databasePrefix(database))
  const doubtful = folders.filter((id) => idPattern.test(id) && !complete.has(id))
  const manifests = await mapBounded(doubtful, atOnce, (id) => getText(store, objectKey(database, id, manifestName)))
  return doubtful.filter((_, i) => manifests[i] === undefined)
}

/** Removes everything in the folder of a backup that has no manifest, and the folder itself. */
export async function removeRest(store: Store, database: string, id: string): Promise<void> {
  const prefix = backupPrefix(database, id)
  await store.sweep(prefix, 0)
  for await (const { key } of store.list(prefix)) await store.delete(key)
  // whoever was killed before the first file left an empty folder, which goes with a key of it, even an absent one
  await store.delete(objectKey(database, id, manifestName))
}
