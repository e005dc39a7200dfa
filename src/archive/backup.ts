import type { Secrets } from '../config/keys.ts'
import { getText } from '../store/pack.ts'
import type { Store } from '../store/store.ts'
import { takenAt } from './clock.ts'
import { backupPrefix, decodeName, manifestName, objectKey } from './layout.ts'
import { isComplete, listFolders } from './listing.ts'
import { type Manifest, manifestSchema, manifestVersion, type Series } from './manifest.ts'
import type { RestoreTest } from './restore-test.ts'
import { isSigned } from './seal.ts'
import type { Conflict, Origin } from './two-servers.ts'
import type { Verification } from './verification.ts'

/** What is kept in memory for each complete backup in a store. */
export type Backup = {
  id: string
  database: string
  /** By the clock of the machine that made it. */
  startedAt: Date
  /** The instant for its order and its age: see {@link takenAt}. */
  takenAt: Date
  /** Undefined if the manifest cannot be read; then `problem` says why. */
  series: Series | undefined
  problem: string | undefined
  /** Whether nothing proves that we made it: then it is as if its manifest could not be read. */
  unproven?: boolean
  slot: Date | null
  /** The last verification, by the backup's own run or later; undefined if it was never verified. */
  verification: Verification | undefined
  /** Whether it is kept until its pin is removed. */
  pinned: boolean
  /** Names of the leases on it: see lease.ts. */
  leases: string[]
  /** The last test restore; undefined if it was never restored for a test. */
  restoreTest?: RestoreTest | undefined
  /** How it is encrypted; undefined if it is not. */
  encryption?: Encryption | undefined
  /** Whether something was left out of it, so that it never replaces a database. */
  partial?: boolean
  /** Which server made it, as far as it says. */
  origin?: Origin | undefined
  /** What shows that another server than that of the backups before made it. */
  conflict?: Conflict | undefined
  /** Stored size of all objects together. */
  sizeBytes: number | undefined
  /** How long it took to make. */
  durationMs?: number | undefined
  dumpSizeBytes: number | undefined
  /**
   * Names of the stores that have it, as far as they could be read, without those whose copy is damaged, unless each is; undefined where
   * there is only one.
   */
  stores?: readonly string[] | undefined
}

/** How a backup is encrypted. */
export type Encryption = {
  /** Fingerprints. */
  recipients: readonly string[]
  /** When the first backup of its series was encrypted, as far as was known when it was made. */
  since: Date
  /** When an identity last decrypted it or, as far as was known when it was made, another one of its series. */
  decryptedAt: Date | undefined
}

/** A manifest as it is stored. */
export type WholeBackup = Pick<Backup, 'id' | 'database' | 'problem' | 'unproven'> & {
  /** Undefined when it cannot be read, or is not proven; then `problem` says why. */
  manifest: Manifest | undefined
  text: string
}

/** Names of the databases that a store has anything about. */
export async function storedDatabases(store: Store): Promise<string[]> {
  const folders = await store.folders('')
  return folders.map(decodeName).filter((name) => name !== undefined)
}

/** The complete backups of a database in the order of their ids: what one listing tells, without reading a manifest. */
export async function listBackups(store: Store, database: string): Promise<Pick<Backup, 'id' | 'database'>[]> {
  const ids: string[] = []
  for await (const { id, lines } of listFolders(store, database)) if (isComplete(lines)) ids.push(id)
  return ids.sort().map((id) => ({ id, database }))
}

/**
 * The manifest of one backup; undefined when there is none of that id.
 * @param secrets where backups are signed, nothing else is believed
 */
export async function readBackup(
  store: Store,
  database: string,
  id: string,
  secrets: Secrets,
): Promise<WholeBackup | undefined> {
  const text = await getText(store, objectKey(database, id, manifestName))
  if (text === undefined) return undefined
  const unproven = !isSigned(text, { what: 'manifest', database, id }, secrets)
  if (unproven) return { id, database, problem: notSigned, unproven, manifest: undefined, text }
  const parsed = parseManifest(text)
  return typeof parsed === 'string'
    ? { id, database, problem: parsed, manifest: undefined, text }
    : { id, database, problem: undefined, manifest: parsed, text }
}

const notSigned = `${manifestName} is not signed with backup.sign.secret`

/** The manifest in a text, or why it cannot be read. */
function parseManifest(text: string): Manifest | string {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    return `${manifestName} is not JSON: ${(error as Error).message.replace(/\s+/g, ' ')}`
  }
  const version = (value as { schema_version?: unknown } | null)?.schema_version
  if (typeof version === 'number' && version > manifestVersion)
    return `${manifestName} has version ${version}, but this pgbosun reads versions up to ${manifestVersion}: use a newer pgbosun`
  const { data, error } = manifestSchema.safeParse(value, { jitless: true })
  if (data) return data
  const [issue] = error.issues
  return `${manifestName} is damaged: ${issue?.path.join('.') || 'the document'}: ${issue?.message}`
}

/** Removes a backup: first its manifest, so that it no longer counts as a backup, then everything else. */
export async function removeBackup(store: Store, { database, id }: Pick<Backup, 'database' | 'id'>): Promise<void> {
  await store.delete(objectKey(database, id, manifestName))
  await removeRest(store, database, id)
}

/** Whether a folder has no manifest, however it was listed: who is about to delete its contents looks once more. */
export const isUnfinished = async (store: Store, { database, id }: Pick<Backup, 'database' | 'id'>): Promise<boolean> =>
  (await getText(store, objectKey(database, id, manifestName))) === undefined

/** Removes everything in the folder of a backup that has no manifest, and the folder itself. */
export async function removeRest(store: Store, database: string, id: string): Promise<void> {
  const prefix = backupPrefix(database, id)
  for await (const { key } of store.list(prefix)) await store.delete(key)
  await store.sweep(prefix, 0)
  // a backup that was killed before its first file left an empty folder, which is removed by deleting any key in it, even an absent one
  await store.delete(objectKey(database, id, manifestName))
}
