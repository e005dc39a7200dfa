// pure
/** Ids of backups: the second in which it was started, and eight hexadecimal digits. They sort by time. */
export const idPattern = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-([0-9a-f]{8})$/

/** Says that a place is a store of ours; the first thing that is written to it. */
export const markerName = 'pgbosun-store.json'

/** The object that makes a folder a backup. */
export const manifestName = 'manifest.json'
/** Result of the last later verification, as older versions wrote it. */
export const verifiedName = 'verified.json'
/** A pin, which keeps the backup from being pruned. @param hex eight hexadecimal digits */
export const pinName = (hex: string) => `pin-${hex}.json`
/** Every {@link pinName}. */
export const pinPattern = /^pin-[0-9a-f]{8}\.json$/
/** Says that something reads the backup, so that nobody prunes it meanwhile. @param hex eight hexadecimal digits */
export const leaseName = (hex: string) => `lease-${hex}.json`
/** Every {@link leaseName}. */
export const leasePattern = /^lease-[0-9a-f]{8}\.json$/

const laterName = /^verified-\d{8}T\d{9}Z\.json$/

/** `verified-20261129T050000000Z.json`: result of one later verification. The names sort by time. */
export const verifiedAtName = (at: Date) => `verified-${at.toISOString().replace(/[-:.]/g, '')}.json`

/** Whether an object of a backup is the result of a later verification. */
export const isVerification = (name: string) => name === verifiedName || laterName.test(name)

/** Name of the dump. Encrypted, it ends in `.age`. */
export const dumpName = 'dump.zst'
/** Name of the roles of the server, as SQL. Encrypted, it ends in `.age`. */
export const globalsName = 'globals.sql.zst'

/** Whether that is the name of the object, encrypted or not. */
export const isNamed = (found: string, name: string) => found === name || found === `${name}.age`

const failedFolder = 'failed'
const seriesFolder = 'series'
const slotsFolder = 'slots'

/** @param hex eight hexadecimal digits; see {@link clusterTag} for the first four */
export const backupId = (startedAt: Date, hex: string) => `${startedAt.toISOString().replace(/[-:]|\.\d+/g, '')}-${hex}`

/** The second in which a backup was started, according to its id. */
export function startedAtOf(id: string): Date | undefined {
  const [, year, month, day, hour, minute, second] = idPattern.exec(id) ?? []
  const instant = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  return Number.isNaN(instant.getTime()) ? undefined : instant
}

/**
 * The first four digits of the ids of one cluster. With them, a run recognises what an earlier run on the same server left unfinished,
 * and leaves alone what another server is writing under the same database name.
 *
 * @param systemIdentifier of the cluster, a number of 64 bits as text
 */
export function clusterTag(systemIdentifier: string): string {
  const folded = [0n, 16n, 32n, 48n].reduce((mixed, shift) => mixed ^ (BigInt(systemIdentifier) >> shift), 0n)
  return (folded & 0xffffn).toString(16).padStart(4, '0')
}

/** Whether a backup with this id was made on the cluster. */
export const isOfCluster = (id: string, systemIdentifier: string) =>
  idPattern.exec(id)?.[7]?.startsWith(clusterTag(systemIdentifier)) ?? false

const utf8 = new TextEncoder()

/** A name as one part of a key: bytes outside `[A-Za-z0-9_.-]` and a leading dot are percent-encoded. */
export function encodeName(name: string): string {
  const encoded = [...utf8.encode(name)].map((byte) => {
    const char = String.fromCharCode(byte)
    return /[A-Za-z0-9_.-]/.test(char) ? char : escaped(byte)
  })
  if (encoded[0] === '.') encoded[0] = '%2E'
  return encoded.join('')
}

const escaped = (byte: number) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`

/** The name encoded in one part of a key; undefined for a text that {@link encodeName} never returns, such as `lost+found`. */
export function decodeName(part: string): string | undefined {
  try {
    const name = decodeURIComponent(part)
    return name !== '' && encodeName(name) === part ? name : undefined
  } catch {
    return undefined
  }
}

/** `shop/`: everything about one database. */
export const databasePrefix = (database: string) => `${encodeName(database)}/`

/** `shop/20261120T030000Z-1a2b3c4d/`: one backup. */
export const backupPrefix = (database: string, id: string) => `${databasePrefix(database)}${id}/`

/** Key of an object of a backup. */
export const objectKey = (database: string, id: string, name: string) => `${backupPrefix(database, id)}${name}`

/** `shop/slots.json`: what became of the slots of its schedules. */
export const slotsKey = (database: string) => `${databasePrefix(database)}slots.json`

/** `shop/failed/`: records of failed backups. */
export const failedPrefix = (database: string) => `${databasePrefix(database)}${failedFolder}/`

/** Key of the record of a failed backup. */
export const failedKey = (database: string, id: string) => `${failedPrefix(database)}${id}.json`

/** Key of the claim of a series: who began it in this store. */
export const claimKey = (database: string, name: string, systemIdentifier: string) =>
  `${databasePrefix(database)}${seriesFolder}/${encodeName(name)}-${systemIdentifier}.json`

type SlotSeries = { name: string; schedule?: string | undefined; system_identifier: string; database: string }

/** `shop/slots/default-7123456789012345678/`: the claims of the slots of a series. */
export const slotClaimsPrefix = ({ name, schedule, system_identifier, database }: SlotSeries) =>
  `${databasePrefix(database)}${slotsFolder}/${encodeName(name)}-${system_identifier}${schedule ? `-${encodeName(schedule)}` : ''}/`

/** Key of a claim of a slot. They sort by slot. @param number of those who claimed it before and are gone */
export const slotClaimKey = (series: SlotSeries, slot: Date, number: number) =>
  `${slotClaimsPrefix(series)}${slot.toISOString().replace(/[-:]|\.\d+/g, '')}${number === 0 ? '' : `.${number}`}`
