// pure
import { shown, textOf } from '../postgres/bytes.ts'

/** One object in the list at the beginning of an archive of pg_dump. Texts are as pg_dump wrote them; empty if there is none. */
export type TocEntry = {
  /** The id for `pg_restore --use-list`. */
  id: number
  /** Its kind: `TABLE`, `TABLE DATA`, `ACL`. */
  desc: string
  /** Its name, unquoted. For functions with the arguments; for ACL and COMMENT with the kind before it: `TABLE things`. */
  tag: string
  section: TocSection
  /** The statements that create it. */
  defn: string
  dropStmt: string
  namespace: string
  tablespace: string
  /** Of a table, if it is another one than heap. */
  accessMethod?: string
  /** Unquoted. */
  owner: string
  /** Ids of the entries that must be restored before it. */
  dependencies: number[]
}

export type TocSection = 'none' | 'pre-data' | 'data' | 'post-data'

/** The list of contents of an archive, in the order in which they are restored. */
export type Toc = { entries: TocEntry[] }

/** An archive that we cannot read: another format, a newer pg_dump, or an unknown encoding. */
export class TocError extends Error {
  override readonly name = 'TocError'
}

/** The list continues after the bytes that were read. */
class Incomplete extends Error {}

const sections: TocSection[] = ['none', 'none', 'pre-data', 'data', 'post-data']

/**
 * Reads the list at the beginning of an archive in the format `custom`, of pg_dump 13 to 19.
 *
 * @param head the first bytes of the archive, as far as they were read
 * @returns undefined if the list does not end within them
 * @throws {TocError}
 * @see https://github.com/postgres/postgres/blob/master/src/bin/pg_dump/pg_backup_archiver.c (ReadHead, ReadToc)
 */
export const parseToc = (head: Buffer): Toc | undefined => parseLayout(head)?.toc

/** The list of an archive, where its data begins, and how many bytes a number has in it. */
export type Layout = { toc: Toc; endsAt: number; intSize: number }

/** The same, with how to go on. @throws {TocError} */
export function parseLayout(head: Buffer): Layout | undefined {
  try {
    return readToc(head)
  } catch (error) {
    if (error instanceof Incomplete) return undefined
    throw error
  }
}

function readToc(head: Buffer): Layout {
  const reader = readerOf(head)
  if (reader.take(5).toString('latin1') !== 'PGDMP') throw new TocError('it is not an archive of pg_dump')
  const [major, minor] = [reader.byte(), reader.byte()]
  reader.byte()
  if (major !== 1 || minor < 14 || minor > 16)
    throw new TocError(`its archive has version ${major}.${minor}, but this pgbosun reads 1.14 to 1.16`)
  const intSize = reader.byte()
  const offsetSize = reader.byte()
  if (reader.byte() !== 1) throw new TocError('its archive does not have the format custom')
  const fields = fieldsOf(reader, intSize)
  if (minor >= 15) reader.byte()
  else fields.int() // compression
  for (let i = 0; i < 7; i++) fields.int() // when it was made
  for (let i = 0; i < 3; i++) fields.bytes() // database, versions of server and pg_dump
  const count = fields.int()
  const raw = []
  for (let i = 0; i < count; i++) raw.push(readEntry(reader, fields, { minor, offsetSize }))
  const decoder = decoderFor(raw)
  return { toc: { entries: raw.map((entry) => decoded(entry, decoder)) }, endsAt: reader.at(), intSize }
}

type Raw = Pick<TocEntry, 'id' | 'section' | 'dependencies'> & {
  [key in 'desc' | 'tag' | 'defn' | 'dropStmt' | 'namespace' | 'tablespace' | 'accessMethod' | 'owner']: Buffer
}

function readEntry(
  reader: Reader,
  { int, bytes }: Fields,
  { minor, offsetSize }: { minor: number; offsetSize: number },
): Raw {
  const id = int()
  int() // whether it has data
  bytes() // catalog
  bytes() // OID
  const [tag, desc] = [bytes(), bytes()]
  const section = sections[int()] ?? 'none'
  const [defn, dropStmt] = [bytes(), bytes()]
  bytes() // COPY statement
  const [namespace, tablespace, accessMethod] = [bytes(), bytes(), bytes()]
  if (minor >= 16) int() // kind of relation
  const owner = bytes()
  bytes() // with OIDs
  const dependencies: number[] = []
  for (let text = bytes.orNone(); text !== undefined; text = bytes.orNone()) dependencies.push(Number(text.toString()))
  reader.take(1 + offsetSize) // where its data is
  return { id, desc, tag, section, defn, dropStmt, namespace, tablespace, accessMethod, owner, dependencies }
}

/** @throws {TocError} that shows the name, whatever bytes it has */
function decoded(raw: Raw, decoder: Decoder): TocEntry {
  try {
    return decodedWith(raw, decoder.decode)
  } catch {
    throw new TocError(
      `its ${raw.desc.toString('latin1').toLowerCase()} ${shown(textOf(raw.tag))} is not valid in the encoding ${decoder.encoding}`,
    )
  }
}

const decodedWith = (raw: Raw, decode: Decoder['decode']): TocEntry => ({
  ...(raw.accessMethod.length > 0 && decode(raw.accessMethod) !== 'heap' && { accessMethod: decode(raw.accessMethod) }),
  id: raw.id,
  desc: decode(raw.desc),
  tag: decode(raw.tag),
  section: raw.section,
  defn: decode(raw.defn),
  dropStmt: decode(raw.dropStmt),
  namespace: decode(raw.namespace),
  tablespace: decode(raw.tablespace),
  owner: decode(raw.owner),
  dependencies: raw.dependencies,
})

type Reader = ReturnType<typeof readerOf>

function readerOf(head: Buffer) {
  let at = 0
  const take = (length: number): Buffer => {
    if (at + length > head.length) throw new Incomplete()
    at += length
    return head.subarray(at - length, at)
  }
  return { take, byte: () => take(1)[0]!, at: () => at }
}

type Fields = ReturnType<typeof fieldsOf>

const none = Buffer.alloc(0)
/** Larger lengths and counts are taken for damage. */
const most = 0x4000_0000

function fieldsOf({ take, byte }: Reader, intSize: number) {
  if (intSize < 1 || intSize > 8) throw new TocError('its archive is damaged')
  const int = (): number => {
    const negative = byte() !== 0
    const value = take(intSize).reduceRight((sum, digit) => sum * 256 + digit, 0)
    if (value > most) throw new TocError('its archive is damaged')
    return negative ? -value : value
  }
  const orNone = (): Buffer | undefined => {
    const length = int()
    return length < 0 ? undefined : take(length)
  }
  return { int, bytes: Object.assign((): Buffer => orNone() ?? none, { orNone }) }
}

/** The `TextDecoder` labels of PostgreSQL's encodings. Other encodings are refused. */
const labels: Record<string, string> = {
  UTF8: 'utf-8',
  SQL_ASCII: 'utf-8',
  ...Object.fromEntries([2, 3, 4].map((n) => [`LATIN${n}`, `iso-8859-${n}`])),
  ...{ LATIN5: 'windows-1254', LATIN6: 'iso-8859-10', LATIN7: 'iso-8859-13', LATIN8: 'iso-8859-14' },
  ...{ LATIN9: 'iso-8859-15', LATIN10: 'iso-8859-16' },
  ...Object.fromEntries([5, 6, 7, 8].map((n) => [`ISO_8859_${n}`, `iso-8859-${n}`])),
  ...Object.fromEntries([1250, 1251, 1252, 1253, 1254, 1255, 1256, 1257, 1258].map((n) => [`WIN${n}`, `windows-${n}`])),
  ...{ WIN866: 'ibm866', WIN874: 'windows-874', KOI8R: 'koi8-r', KOI8U: 'koi8-u' },
  ...{ EUC_JP: 'euc-jp', EUC_KR: 'euc-kr', EUC_CN: 'gb18030' },
}

type Decoder = { encoding: string; decode: (text: Buffer) => string }

function decoderFor(raw: Raw[]): Decoder {
  const said = raw.find(({ desc }) => desc.equals(Buffer.from('ENCODING')))?.defn.toString('latin1')
  const encoding = /client_encoding = '(\w+)'/.exec(said ?? '')?.[1] ?? 'UTF8'
  if (encoding === 'LATIN1') return { encoding, decode: (text) => text.toString('latin1') }
  const label = labels[encoding]
  if (label === undefined) throw new TocError(`names in it are in the encoding ${encoding}`)
  const decoder = new TextDecoder(label, { fatal: true, ignoreBOM: true })
  return { encoding, decode: (text) => decoder.decode(text) }
}
