// pure
import { isBech32 } from './bech32.ts'
import { parseCondition } from './condition.ts'
import { type FormatName, withSeveralFolders } from './formats.ts'
import { parseSchemaPattern, parseTablePattern } from './object-patterns.ts'

/** PostgreSQL stores this much of a name. */
export const maxNameBytes = 63

/** Whether a text is a URL, or a piece of one with a password in it. Such texts are never shown. */
export const looksLikeUrl = (text: string) => /:\/\/|:.*@/s.test(text)

/** A store in `backup.stores`. */
export type StoreEntry = string | { url: string }

/** The URL of a store in `backup.stores`. */
export const urlOf = (entry: StoreEntry) => (typeof entry === 'string' ? entry : entry.url)

/** The keys of `import`. */
type ImportEntry = {
  [key in 'sqlite' | 'url' | 'password' | 'backup' | 'database' | 'cluster' | 'after' | 'schema' | 'types']?: unknown
} & { exclude: readonly string[] }

/** Whether two URLs are written for the same store. */
export const isSameStore = (one: string, other: string) => one.replace(/\/+$/, '') === other.replace(/\/+$/, '')

type WithSchedules = {
  store: string
  stores?: readonly StoreEntry[] | undefined
  schedules?: readonly { stores?: readonly string[] | undefined }[] | undefined
}

const secretHeader = /auth|token|secret|password|cookie|credential|(^|-)key|apikey|signature/i

/** Plain HTTP is for this machine, and for the metadata servers of clouds, whose link-local addresses are never routed. */
function isSecretUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname, username, password, hash } = new URL(text)
  if (username !== '' || password !== '' || hash !== '') return false
  if (protocol === 'https:') return true
  return protocol === 'http:' && (hostname === 'localhost' || localAddress.test(hostname))
}

/** As URL writes addresses: in decimal, and IPv6 in short. */
const localAddress = /^127\.\d+\.\d+\.\d+$|^169\.254\.\d+\.\d+$|^\[::1\]$|^\[fe[89ab][0-9a-f]:/

/** What the schema checks by code. They have names so that the compiled schema (rules.ts) can refer to them. */
export const predicates = {
  isNoUrl: (text: string) => !looksLikeUrl(text),
  /** Whether a secret may be asked for there: nobody on the way reads it, and the URL holds none. */
  isSecretUrl: (text: string) => isSecretUrl(text),
  /** Whether no header that is written as text has a name that says that it holds a secret. */
  writesNoSecretHeader: (headers: object) =>
    Object.entries(headers).every(([name, value]) => typeof value !== 'string' || !secretHeader.test(name)),
  /** An address of HTTP without anything that may be a secret. */
  isPlainHttpUrl: (text: string) => /^https?:\/\/[^\s/?#@]+(\/[^\s?#]*)?$/i.test(text) && URL.canParse(text),
  /** What the targets of `notify` may have, by their kind. */
  tellsConditions: ({ as, on }: { as: string; on?: unknown }) => as !== 'healthchecks' || on === undefined,
  tellsJobs: ({ as, for: jobs }: { as: string; for?: unknown }) => as === 'healthchecks' || jobs === undefined,
  tellsOnce: ({ as, oneShot }: { as: string; oneShot?: unknown }) => as !== 'healthchecks' || oneShot === undefined,
  signsJson: ({ as, sign }: { as: string; sign?: unknown }) => as === 'json' || sign === undefined,
  fitsIntoName: (name: string) => Buffer.byteLength(name) <= maxNameBytes,
  hasNoZeroByte: (name: string) => !name.includes('\0'),
  isNotReserved: (name: string) => !/^pg_/i.test(name) && !['public', 'none'].includes(name.toLowerCase()),
  keepsSomething: (rules: object) => Object.values(rules).some((value) => value !== 0),
  /** Whether backups have one schedule or a list of them. */
  schedulesOnce: ({ schedule, schedules }: { schedule?: unknown; schedules?: unknown }) =>
    schedule === undefined || schedules === undefined,
  haveOwnNames: (items: readonly { name: string }[]) => new Set(items.map(({ name }) => name)).size === items.length,
  /** Whether scheduled test restores have a server. */
  knowsTestServer: ({ schedule, where, url }: { schedule?: unknown; where: string; url?: unknown }) =>
    schedule === undefined || where === 'same-server' || url !== undefined,
  /** Whether a password is for a URL. */
  hasUrlForPassword: ({ url, password }: { url?: unknown; password?: unknown }) =>
    password === undefined || url !== undefined,
  /** Whether both keys of S3 are set, or neither. */
  hasBothKeys: ({ accessKeyId, secretAccessKey }: { accessKeyId?: unknown; secretAccessKey?: unknown }) =>
    (accessKeyId === undefined) === (secretAccessKey === undefined),
  /** Whether what is said of S3 is used: otherwise backups would go elsewhere, and nobody would know. */
  usesS3: ({ store, stores, s3 }: { store: string; stores?: readonly StoreEntry[] | undefined; s3: object }) =>
    (stores?.map(urlOf) ?? [store]).some((url) => url.startsWith('s3:')) ||
    Object.values(s3).every((value) => value === undefined),
  /** Whether no store is in the list twice. */
  hasEachStoreOnce: ({ stores = [] }: { stores?: readonly StoreEntry[] | undefined }) =>
    new Set(stores.map((entry) => urlOf(entry).replace(/\/+$/, ''))).size === stores.length,
  /** Whether the stores of each schedule are configured: otherwise its backups would go nowhere. */
  knowsStores: ({ store, stores = [store], schedules = [] }: WithSchedules) =>
    schedules.every((one) => (one.stores ?? []).every((url) => stores.some((entry) => isSameStore(urlOf(entry), url)))),
  /** Whether what is said of a store fits its kind. */
  fitsItsUrl: ({ url, s3, mustBeMount }: { url: string; s3?: unknown; mustBeMount?: unknown }) =>
    (s3 === undefined || url.startsWith('s3:')) && (mustBeMount === undefined || url.startsWith('file:')),
  hasPossiblePort: (address: string) => Number(address.slice(address.lastIndexOf(':') + 1)) <= 65_535,
  /** Whether the format's tool takes as many folders as are set. With `auto`, that is only known later. */
  takesFolders: ({ dir, format }: { dir: string | string[]; format: FormatName | 'auto' }) =>
    format === 'auto' || [dir].flat().length === 1 || withSeveralFolders.includes(format),
  /** Whether it is a recipient of age with all its characters: 32 bytes and their checksum. */
  isRecipient: (text: string) => text.length === 62 && isBech32(text, 'age'),
  /** Whether passwords leave the server only encrypted. */
  encryptsPasswords: ({ globals, encrypt }: { globals: string; encrypt?: unknown }) =>
    globals !== 'with-passwords' || encrypt !== undefined,
  /** Whether it only compares columns. */
  isCondition: (text: string) => parseCondition(text) !== undefined,
  /** Whether an import has one source. */
  importsFromOne: ({ sqlite, url, backup }: ImportEntry) =>
    [sqlite, url, backup].filter((source) => source !== undefined).length === 1,
  /** Whether every key of an import has a meaning with its source. */
  importsWithItsKeys: ({ sqlite, url, backup, ...rest }: ImportEntry) =>
    (sqlite !== undefined || (rest.schema === undefined && rest.types === undefined)) &&
    (url !== undefined || rest.password === undefined) &&
    (backup !== undefined || (rest.database === undefined && rest.cluster === undefined)) &&
    (sqlite === undefined || rest.after === undefined) &&
    (backup === undefined || rest.exclude.length === 0),
  /** Whether a seed says what it may delete only where it deletes. */
  syncsWhatItScopes: ({ mode, scope, maxDeletes }: { mode?: unknown; scope?: unknown; maxDeletes?: unknown }) =>
    mode === 'sync' || (scope === undefined && maxDeletes === undefined),
  /** Whether it names a schema, or is a pattern for schemas. */
  namesSchema: (text: string) => parseSchemaPattern(text) !== undefined,
  /** Whether it names a table, or is a pattern for tables. */
  namesTable: (text: string) => parseTablePattern(text) !== undefined,
  isTimeZone(name: string) {
    if (name === 'UTC') return true
    try {
      new Intl.DateTimeFormat('en-US', { timeZone: name })
      return true
    } catch {
      return false
    }
  },
}
