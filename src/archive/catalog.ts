import * as z from 'zod'
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
import { type Manifest, manifestSchema, manifestVersion } from './manifest.ts'
import { getText, putText } from './pack.ts'
import type { Store } from './store.ts'

/** What the newest look at all bytes of a backup found. */
export type Verification = { at: Date; ok: boolean; problem: string | null }

/** A complete backup in a store. */
export type Backup = {
  id: string
  database: string
  startedAt: Date
  /** Undefined when it cannot be read; then `problem` says why. */
  manifest: Manifest | undefined
  problem: string | undefined
  /** The text of the manifest. */
  text: string
  /** Of the backup's own run or of a later one, whichever was last; undefined when it was never verified. */
  verification: Verification | undefined
  /** As they are stored, all objects together. */
  sizeBytes: number | undefined
}

/** The databases that a store has anything about, by name. */
export async function storedDatabases(store: Store): Promise<string[]> {
  const folders = await store.folders('')
  return folders.map(decodeName).filter((name) => name !== undefined)
}

/**
 * The complete backups of a database, oldest first. What has no manifest is not among them; one whose manifest cannot be
 * read is, with a problem.
 */
export async function readBackups(store: Store, database: string): Promise<Backup[]> {
  const folders = await store.folders(databasePrefix(database))
  const found = await Promise.all(
    folders.filter((id) => startedAtOf(id) !== undefined).map((id) => readBackup(store, database, id)),
  )
  return found
    .filter((backup) => backup !== undefined)
    .sort((a, b) => a.startedAt.getTime() - b.startedAt.getTime() || (a.id < b.id ? -1 : 1))
}

/** One backup; undefined when there is none of that id. */
export async function readBackup(store: Store, database: string, id: string): Promise<Backup | undefined> {
  const text = await getText(store, objectKey(database, id, manifestName))
  if (text === undefined) return undefined
  const parsed = parseManifest(text)
  const manifest = typeof parsed === 'string' ? undefined : parsed
  return {
    id,
    database,
    startedAt: manifest ? new Date(manifest.started_at) : startedAtOf(id)!,
    manifest,
    problem: typeof parsed === 'string' ? parsed : undefined,
    text,
    verification: await readVerification(store, database, id, manifest),
    sizeBytes: manifest?.objects.reduce((sum, { size_bytes }) => sum + size_bytes, 0),
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

async function readVerification(store: Store, database: string, id: string, manifest: Manifest | undefined) {
  const own = manifest?.verified_at ? { at: new Date(manifest.verified_at), ok: true, problem: null } : undefined
  const text = await getText(store, objectKey(database, id, verifiedName))
  const later = text === undefined ? undefined : parseVerification(text)
  return later && (!own || later.at >= own.at) ? later : own
}

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

/** Folders that look like backups and have no manifest: being written just now, or left behind. */
export async function unfinishedBackups(store: Store, database: string): Promise<string[]> {
  const folders = await store.folders(databasePrefix(database))
  const ids = folders.filter((id) => idPattern.test(id))
  const complete = await Promise.all(
    ids.map((id) => getText(store, objectKey(database, id, manifestName)).then((text) => text !== undefined)),
  )
  return ids.filter((_, i) => !complete[i])
}

/** Removes everything in the folder of a backup that has no manifest, and the folder itself. */
export async function removeRest(store: Store, database: string, id: string): Promise<void> {
  const prefix = backupPrefix(database, id)
  await store.sweep(prefix, 0)
  for await (const { key } of store.list(prefix)) await store.delete(key)
  // whoever was killed before the first file left an empty folder, which goes with a key of it, even an absent one
  await store.delete(objectKey(database, id, manifestName))
}
