import type { Secrets } from '../config/keys.ts'
import { mapBounded } from '../store/bounded.ts'
import type { Store } from '../store/store.ts'
import { type Backup, readBackup, removeBackup, type WholeBackup } from './backup.ts'
import type { Catalog } from './catalog-type.ts'
import { contentTime, takenAt } from './clock.ts'
import { unreadError } from './copies.ts'
import { manifestName, objectKey, startedAtOf } from './layout.ts'
import {
  type Folder,
  isComplete,
  isPinned,
  leasesIn,
  lineOf,
  linesOf,
  listFolder,
  listFolders,
  listIds,
  nameOf,
} from './listing.ts'
import type { Series } from './manifest.ts'
import { byInstant } from './merge.ts'
import { noRecords, type Records, readRecords } from './records.ts'
import { severalCatalogs } from './several-catalogs.ts'
import { later, type Verification } from './verification.ts'

/** How many manifests are read at once: enough for a slow store, but few enough for a process with few files and little memory. */
const atOnce = 8

/**
 * The complete backups of a database, oldest first. A backup without a manifest is left out; one whose manifest cannot be read is
 * included, with a problem.
 */
export async function readBackups(store: Store, database: string, secrets: Secrets): Promise<Backup[]> {
  const backups = await openCatalog(store, () => secrets).update(database)
  const unread = unreadError(store)
  // a store that cannot be listed is never one without backups
  if (backups.length === 0 && unread) throw unread
  return backups
}

/** The backups of several databases, one database after the other. */
export async function readAllBackups(store: Store, databases: string[], secrets: Secrets): Promise<Backup[]> {
  const found: Backup[][] = []
  for (const database of databases) found.push(await readBackups(store, database, secrets))
  return found.flat()
}

/** A turn of the scheduler: what is younger need not be listed again. */
const recentMs = 60_000

/** Of so many, one request of an object store lists everything: a thousand keys, about three for each. */
const fewBackups = 300
const wholeMs = 600_000
/** So many folders are listed one by one; more come with a listing of everything. */
const fewFolders = 32

/**
 * If memory is scarce, garbage is collected after this many manifests that were read, or folders that were listed: V8 would wait until
 * there is no memory left.
 */
const readBeforeCollecting = 100
const listedBeforeCollecting = 2_500

/** What is known of one database. */
type Known = { backups: Map<string, Entry>; unfinished: string[]; listedAtMs: number; secrets: Secrets }

/** A backup, what the store had noted about it, and the listing that it was read after. */
type Entry = {
  backup: Backup
  /** By the backup's own run, as its manifest says. */
  own: Verification | undefined
  /** By the newest runs after it, as the store has them. */
  records: Records
  /** By this process, since it was listed. */
  noted: Verification | undefined
  /** Whether this process has written something beside it since then. */
  isNoted: boolean
  /** Whether every object that the manifest names is listed with its size; true where the manifest names none. */
  fits: boolean
  contents: string
  verified: string
}

/**
 * @param readSecrets called before each look, because a secret may be replaced; where backups are signed, nothing else is believed
 * @param nowMs a monotonic clock
 */
export const openCatalog = (
  store: Store,
  readSecrets: () => Secrets,
  nowMs: () => number = () => performance.now(),
): Catalog =>
  store.several
    ? severalCatalogs(
        store,
        store.several.stores.map((one) => catalogOf(one, readSecrets, nowMs)),
      )
    : catalogOf(store, readSecrets, nowMs)

function catalogOf(store: Store, readSecrets: () => Secrets, nowMs: () => number): Catalog {
  const databases = new Map<string, Known>()
  const share = shared()
  let read = 0

  const look = async (database: string, { id, lines }: Folder, before: Entry | undefined, secrets: Secrets) => {
    const listed = { contents: linesOf(lines, false), verified: linesOf(lines, true) }
    let entry = before
    if (before?.contents !== listed.contents) {
      if (++read % readBeforeCollecting === 0) globalThis.gc?.()
      const whole = await readBackup(store, database, id, secrets)
      entry = whole && entryOf(whole, listed.contents, share)
    }
    if (!entry) return undefined
    const which = { database, id }
    const records = await recordsOf(which, listed.verified, before, secrets)
    entry.backup.restoreTest = records.restoreTest
    return judged({ ...entry, ...listed, records, noted: undefined, isNoted: false })
  }

  /** A record never changes, but for the one that older versions replace: what is new is read, and all again if one that counted is gone. */
  const recordsOf = (which: Which, verified: string, before: Entry | undefined, secrets: Secrets): Promise<Records> => {
    const [lines, known] = [linesIn(verified), linesIn(before?.verified ?? '')]
    const sources = Object.values(before?.records.sources ?? {})
    const stays = known.every((line) => lines.includes(line) || !sources.includes(nameOf(line)))
    if (!before || !stays) return readRecords(store, which, lines.map(nameOf), secrets)
    const fresh = lines.filter((line) => !known.includes(line)).map(nameOf)
    return readRecords(store, which, fresh, secrets, before.records)
  }

  const lookAgain = async (database: string, folder: Folder, before: Entry | undefined, secrets: Secrets) =>
    before && isUnchanged(before, folder.lines) ? before : look(database, folder, before, secrets)

  /** What is known; undefined where nothing is, or other secrets decided what was believed. */
  const knownWith = (secrets: Secrets, database: string): Known | undefined => {
    const state = databases.get(database)
    return state && isSame(state.secrets, secrets) ? state : undefined
  }

  const note = (database: string, { entries, ...rest }: Omit<Known, 'backups'> & { entries: Entry[] }) => {
    const sorted = entries.sort((a, b) => byInstant(a.backup, b.backup))
    databases.set(database, { backups: new Map(sorted.map((entry) => [entry.backup.id, entry])), ...rest })
  }

  const update = async (database: string): Promise<Backup[]> => {
    const [listedAtMs, readBefore, secrets] = [nowMs(), read, readSecrets()]
    const before = knownWith(secrets, database)?.backups
    const entries: Entry[] = []
    const unfinished: string[] = []
    let fresh: Folder[] = []
    const readFresh = async () => {
      const found = await mapBounded(fresh, atOnce, (folder) => look(database, folder, before?.get(folder.id), secrets))
      fresh = []
      entries.push(...found.filter((entry) => entry !== undefined))
    }
    // nothing of the listing is kept but what is new in it: it may be long
    let listed = 0
    for await (const folder of listFolders(store, database)) {
      if (++listed % listedBeforeCollecting === 0) globalThis.gc?.()
      const entry = before?.get(folder.id)
      if (!isComplete(folder.lines)) unfinished.push(folder.id)
      else if (entry && isUnchanged(entry, folder.lines)) entries.push(entry)
      else if (fresh.push(folder) === atOnce) await readFresh()
    }
    await readFresh()
    if (read - readBefore >= readBeforeCollecting) store.rest()
    note(database, { entries, unfinished, listedAtMs, secrets })
    return known(database)
  }

  const glance = async (database: string): Promise<Backup[]> => {
    const secrets = readSecrets()
    const state = knownWith(secrets, database)
    if (!state || state.backups.size <= fewBackups || nowMs() - state.listedAtMs >= wholeMs) return update(database)
    const ids = await listIds(store, database)
    const present = new Set(ids)
    const unfinished = new Set(state.unfinished.filter((id) => present.has(id)))
    const kept = [...state.backups.values()].filter(({ backup }) => present.has(backup.id))
    const fresh = ids.filter((id) => !state.backups.has(id) && !unfinished.has(id))
    const newest = kept.at(-1)?.backup.id
    const asked = [...fresh, ...unfinished, ...(newest === undefined ? [] : [newest])]
    if (asked.length > fewFolders) return update(database)
    const entries = new Map(kept.map((entry) => [entry.backup.id, entry]))
    for (const id of asked) {
      const folder = await listFolder(store, database, id)
      const entry =
        folder && isComplete(folder.lines) ? await lookAgain(database, folder, entries.get(id), secrets) : undefined
      if (entry) entries.set(id, entry)
      else entries.delete(id)
      if (folder && !isComplete(folder.lines)) unfinished.add(id)
      else unfinished.delete(id)
    }
    const { listedAtMs } = state
    note(database, { entries: [...entries.values()], unfinished: [...unfinished], listedAtMs, secrets })
    return known(database)
  }

  const known = (database: string) => [...(databases.get(database)?.backups.values() ?? [])].map(({ backup }) => backup)

  return {
    store,
    update,
    glance,
    async recent(database) {
      const { listedAtMs = -Infinity } = knownWith(readSecrets(), database) ?? {}
      return nowMs() - listedAtMs < recentMs ? known(database) : update(database)
    },
    known,
    unfinished: (database) => databases.get(database)?.unfinished ?? [],
    noteMade(manifest) {
      const { id, series } = manifest
      const whole = { id, database: series.database, problem: undefined, manifest, text: '' }
      // what is listed of it differs from nothing, so it is read once, as it is stored
      const entry = judged({ ...entryOf(whole, '', share), fits: true })
      databases.get(series.database)?.backups.set(id, entry)
    },
    noteVerification({ database, id }, verification) {
      const backups = databases.get(database)?.backups
      const entry = backups?.get(id)
      if (entry) backups!.set(id, judged({ ...entry, noted: verification, isNoted: true }))
    },
    noteRestoreTest({ database, id }, test) {
      const entry = databases.get(database)?.backups.get(id)
      if (!entry) return
      entry.backup.restoreTest = test
      entry.isNoted = true
    },
    async remove({ database, id }) {
      const backups = databases.get(database)?.backups
      const entry = backups?.get(id)
      // without its manifest it is none any more; if that is not deleted, it still is
      await store.delete(objectKey(database, id, manifestName))
      backups?.delete(id)
      if (!entry?.contents || entry.isNoted) return removeBackup(store, { database, id })
      for (const name of namesIn(entry)) await store.delete(objectKey(database, id, name))
    },
  }
}

type Which = { database: string; id: string }

const linesIn = (text: string) => (text === '' ? [] : text.split('\n'))

const isSame = (one: Secrets, other: Secrets) => one.length === other.length && one.every((s, i) => s === other[i])

const isUnchanged = ({ contents, verified }: Entry, lines: string[]) =>
  contents === linesOf(lines, false) && verified === linesOf(lines, true)

/** The names in the lines, but for that of the manifest. */
const namesIn = ({ contents, verified }: Pick<Entry, 'contents' | 'verified'>) =>
  `${contents}\n${verified}`
    .split('\n')
    .map((line) => line.replace(/ .*/, ''))
    .filter((name) => name !== '' && name !== manifestName)

/** Without the manifest, which may be long. */
function entryOf(
  { id, database, problem, unproven = false, manifest }: WholeBackup,
  contents: string,
  share: Share,
): Entry {
  const clocks = {
    startedAt: manifest ? new Date(manifest.started_at) : startedAtOf(id)!,
    serverTime: manifest && contentTime(manifest),
  }
  const lines = new Set(contents.split('\n'))
  return {
    backup: {
      id,
      database,
      startedAt: clocks.startedAt,
      takenAt: takenAt(clocks, new Date()),
      series: manifest && share(manifest.series),
      problem,
      unproven,
      slot: manifest?.slot == null ? null : new Date(manifest.slot),
      verification: undefined,
      origin: manifest?.origin && {
        ...{ environment: manifest.origin.environment, timeline: manifest.origin.timeline, lsn: manifest.lsn },
      },
      conflict: manifest?.origin?.conflict ?? undefined,
      pinned: isPinned([...lines]),
      leases: leasesIn([...lines]),
      sizeBytes: manifest?.objects.reduce((sum, { size_bytes }) => sum + size_bytes, 0),
      durationMs: manifest?.duration_ms,
      dumpSizeBytes: manifest?.dump_size_bytes,
      ...(manifest?.left_out && { partial: true }),
      encryption: manifest?.encryption && {
        recipients: share(manifest.encryption.recipients),
        since: new Date(manifest.encryption.since),
        decryptedAt: instantOf(manifest.encryption.decrypted_at),
      },
    },
    own: manifest?.verified_at ? { at: new Date(manifest.verified_at), ok: true, problem: null } : undefined,
    records: noRecords,
    noted: undefined,
    isNoted: false,
    fits: manifest?.objects.every(({ name, size_bytes }) => lines.has(lineOf(name, size_bytes))) ?? true,
    contents,
    verified: '',
  }
}

const instantOf = (text: string | null) => (text === null ? undefined : new Date(text))

/** What was verified must still be there: where a listing shows that it is not, nothing is known until it is read back again. */
function judged(entry: Entry): Entry {
  const newest = entry.backup.unproven ? undefined : later(later(entry.own, entry.records.later), entry.noted)
  return { ...entry, backup: { ...entry.backup, verification: newest?.ok && !entry.fits ? undefined : newest } }
}

/** What says the same of thousands is there once. */
type Share = <T extends Series | readonly string[]>(value: T) => T

function shared(): Share {
  const seen = new Map<string, Series | readonly string[]>()
  return (value) => {
    const key = JSON.stringify(value)
    const same = (seen.get(key) ?? value) as typeof value
    seen.set(key, same)
    return same
  }
}
