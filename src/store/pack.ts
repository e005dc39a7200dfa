import { createHash } from 'node:crypto'
import type { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib'
import { AppError } from '../errors.ts'
import { isSealedName, openHeader, openWith, sealFor } from './age.ts'
import { free } from './steps.ts'
import type { Store, Upload } from './store.ts'

/** What was stored. `sha256Plain`, of the source, where it was encrypted. */
export type Packed = { storedBytes: number; plainBytes: number; sha256: string; sha256Plain?: string }

/** An object as the manifest describes it. */
export type ExpectedBytes = { name: string; size_bytes: number; sha256: string; sha256_plain?: string | undefined }

export type PackOptions = {
  /** For whom it is encrypted; nobody: it is not. */
  recipients?: readonly string[] | undefined
  /** Called with the size of the source so far. */
  onBytes?: ((plainBytes: number) => void) | undefined
}

/** Largest chunks that zlib returns: compressed ones, and decompressed ones, of which there are many more. */
const chunkBytes = 256 * 1024
const plainChunkBytes = 1024 * 1024

/**
 * Measured on text, JSON, CSV and code: 4 % smaller to 9 % larger than with level 3, in a third less time. Level 1 takes another
 * quarter less, but some content becomes larger than with gzip.
 */
const level = 2

/** Only longer matches: compressing takes a tenth less time; the bench database becomes 1 % smaller, CSV 3 % larger. */
const shortestMatch = 7

/**
 * Compresses into one checksummed zstd frame, encrypts that for the recipients, and writes it to an upload, with back pressure and in
 * constant memory. The upload is left open: the caller commits it if the source was complete.
 */
export async function pack(
  source: AsyncIterable<Uint8Array>,
  upload: Upload,
  { recipients = [], onBytes }: PackOptions = {},
): Promise<Packed> {
  const hash = createHash('sha256')
  const plainHash = recipients.length > 0 ? createHash('sha256') : undefined
  const packed = { storedBytes: 0, plainBytes: 0 }
  const frame = createZstdCompress({
    chunkSize: chunkBytes,
    params: {
      [constants.ZSTD_c_compressionLevel]: level,
      [constants.ZSTD_c_minMatch]: shortestMatch,
      [constants.ZSTD_c_checksumFlag]: 1,
    },
  })
  // a whole step exceeds the high-water mark, so a step is used up before the next one is read
  const counted = async function* () {
    for await (const step of source) {
      packed.plainBytes += step.length
      plainHash?.update(step)
      onBytes?.(packed.plainBytes)
      yield step
    }
  }
  await pipeline(counted, frame, async (frames: AsyncIterable<Buffer>) => {
    for await (const chunk of plainHash ? sealFor(recipients, frames) : frames) {
      hash.update(chunk)
      packed.storedBytes += chunk.length
      await upload.write(chunk)
      free(chunk)
    }
  })
  return {
    ...packed,
    sha256: hash.digest('hex'),
    ...(plainHash && { sha256Plain: plainHash.digest('hex') }),
  }
}

/**
 * Reads an object of a backup back, decrypted and decompressed. Ends with an error if any byte differs from what was written: then
 * everything that was read must be discarded. Each chunk is invalid once the next one is read.
 *
 * @param key of the object in the store
 * @param identities for an object that is encrypted
 * @throws {AppError} `corrupt` if it is missing, damaged, shorter or longer, or no identity opens it
 */
export async function* unpack(
  store: Store,
  key: string,
  expected: ExpectedBytes,
  identities: readonly string[] = [],
): AsyncGenerator<Buffer> {
  const body = await openExisting(store, key, expected.name)
  const stored = measured(body as AsyncIterable<Buffer>)
  const frame = createZstdDecompress({ chunkSize: plainChunkBytes })
  const plainHash = expected.sha256_plain === undefined ? undefined : createHash('sha256')
  const feed = async () => {
    const { chunks } = stored
    for await (const chunk of isSealedName(expected.name) ? openWith(identities, chunks, expected.name) : chunks) {
      await write(frame, chunk as Buffer)
      free(chunk)
    }
    frame.end()
  }
  const feeding = feed().catch((error: Error) => void frame.destroy(error))
  try {
    for await (const chunk of frame as AsyncIterable<Buffer>) {
      plainHash?.update(chunk)
      yield chunk
      free(chunk)
    }
    await feeding
  } catch (error) {
    throw isDecodingError(error) ? damaged(expected.name, (error as Error).message, error) : error
  } finally {
    body.destroy()
    frame.destroy()
  }
  compare(stored.end(), expected)
  if (plainHash && plainHash.digest('hex') !== expected.sha256_plain)
    throw damaged(expected.name, 'the SHA-256 of its content does not match the manifest')
}

/**
 * Reads an object of a backup as it is stored, to its end.
 * @throws {AppError} `corrupt` if it is missing, or any byte differs from what was written
 */
export async function checkStored(
  store: Store,
  key: string,
  expected: ExpectedBytes,
  signal: AbortSignal,
): Promise<void> {
  const body = await openExisting(store, key, expected.name)
  const stored = measured(body as AsyncIterable<Buffer>)
  try {
    for await (const chunk of stored.chunks) {
      signal.throwIfAborted()
      free(chunk)
    }
  } finally {
    body.destroy()
  }
  compare(stored.end(), expected)
}

/**
 * Copies an object of a backup as it is stored. If a byte differs from what was written, nothing of it appears.
 *
 * @param onBytes called for each chunk with its size
 * @throws {AppError} `corrupt` if it is missing or damaged where it is read
 */
export async function transfer(
  { from, to }: { from: Store; to: Store },
  key: string,
  expected: ExpectedBytes,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const body = await openExisting(from, key, expected.name)
  const stored = measured(body as AsyncIterable<Buffer>)
  const upload = await to.open(key, expected.size_bytes)
  try {
    for await (const chunk of stored.chunks) {
      const { length } = chunk
      await upload.write(chunk)
      free(chunk)
      onBytes(length)
    }
    compare(stored.end(), expected)
    await upload.commit()
  } catch (error) {
    await upload.abort()
    throw error
  } finally {
    body.destroy()
  }
}

/**
 * Whether an identity opens an object that is encrypted, by its header alone.
 * @throws {AppError} `corrupt`, for the reason `no-identity` if none does
 */
export async function checkOpens(
  store: Store,
  key: string,
  name: string,
  identities: readonly string[],
): Promise<void> {
  const body = await openExisting(store, key, name)
  try {
    await openHeader(identities, body as AsyncIterable<Buffer>, name)
  } finally {
    body.destroy()
  }
}

/** Chunks on their way, and in the end how many bytes there were, and their SHA-256. */
function measured(source: AsyncIterable<Buffer>) {
  const hash = createHash('sha256')
  let bytes = 0
  async function* chunks(): AsyncGenerator<Buffer> {
    for await (const chunk of source) {
      hash.update(chunk)
      bytes += chunk.length
      yield chunk
    }
  }
  return { chunks: chunks(), end: () => ({ bytes, sha256: hash.digest('hex') }) }
}

function compare(found: { bytes: number; sha256: string }, { name, size_bytes, sha256 }: ExpectedBytes): void {
  if (found.bytes !== size_bytes) throw damaged(name, `it has ${found.bytes} bytes instead of ${size_bytes}`)
  if (found.sha256 !== sha256) throw damaged(name, 'its SHA-256 does not match the manifest')
}

/** Resolves when the chunk is used up. Never resolves if the stream fails, which its reader notices. */
const write = (stream: Writable, chunk: Buffer) =>
  new Promise<void>((resolve, reject) => stream.write(chunk, (error) => (error ? reject(error) : resolve())))

async function openExisting(store: Store, key: string, name: string): Promise<Readable> {
  try {
    return await store.read(key)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause
    throw new AppError('corrupt', `${name} is missing`, { hint: damagedHint, cause })
  }
}

/** Codes of zlib's own errors start like this; those of the store do not. */
const isDecodingError = (error: unknown) => /^(ZSTD_|Z_|ERR_)/.test((error as NodeJS.ErrnoException)?.code ?? '')

const damagedHint = 'use another backup; `pgbosun backup list` shows them'

const damaged = (name: string, how: string, cause?: unknown) =>
  new AppError('corrupt', `${name} is damaged: ${how}`, { hint: damagedHint, cause })

/** Writes a small object. */
export async function putText(store: Store, key: string, text: string): Promise<void> {
  const upload = await store.open(key)
  try {
    await upload.write(Buffer.from(text))
    await upload.commit()
  } catch (error) {
    await upload.abort()
    throw error
  }
}

/** Reads a small object; undefined if it does not exist. */
export async function getText(store: Store, key: string): Promise<string | undefined> {
  try {
    const chunks: Buffer[] = []
    for await (const chunk of await store.read(key)) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks).toString('utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
