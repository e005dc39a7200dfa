import { createHash, hkdfSync, randomBytes } from 'node:crypto'
import { AppError } from '../errors.ts'
import { openPayload, PayloadError, sealPayload } from './age-payload.ts'
import { free } from './steps.ts'

/** The package reads and writes headers, with the keys in them. Only a run that needs it loads it. */
const library = () => import('age-encryption')

const nonceBytes = 16
/** What an empty payload has: its only piece. */
const emptyBytes = 16
/** That of age with a hundred recipients has 12 KB. */
const mostHeaderBytes = 64 * 1024
const firstLine = 'age-encryption.org/v1\n'

type Bytes = AsyncIterable<Uint8Array>

/** The end of the name of an encrypted object. */
export const sealedSuffix = '.age'

/** Whether an object is encrypted, by its name. */
export const isSealedName = (name: string) => name.endsWith(sealedSuffix)

/** Encrypts a stream for recipients, in the format of the program `age`. Chunks that were read are freed. */
export async function* sealFor(recipients: readonly string[], plain: Bytes): AsyncGenerator<Buffer> {
  const { header, fileKey } = await newHeader(recipients)
  const nonce = randomBytes(nonceBytes)
  yield Buffer.concat([header, nonce])
  yield* sealPayload(payloadKey(fileKey, nonce), freed(plain))
}

async function newHeader(recipients: readonly string[]): Promise<{ header: Uint8Array; fileKey: Uint8Array }> {
  const { Encrypter } = await library()
  const encrypter = new Encrypter()
  for (const recipient of recipients) encrypter.addRecipient(recipient)
  let fileKey: Uint8Array | undefined
  encrypter.addRecipient({
    wrapFileKey(key) {
      fileKey = Uint8Array.from(key)
      return []
    },
  })
  const whole = await encrypter.encrypt(new Uint8Array())
  return { header: whole.subarray(0, whole.length - nonceBytes - emptyBytes), fileKey: fileKey! }
}

/**
 * Decrypts a stream with the identity that opens it. Chunks that were read are freed.
 *
 * @param name of the object, for messages
 * @throws {AppError} `corrupt`, for the reason `no-identity` before anything is returned; or if a byte was changed, or the end is missing
 */
export async function* openWith(identities: readonly string[], sealed: Bytes, name: string): AsyncGenerator<Buffer> {
  const source = sealed[Symbol.asyncIterator]()
  try {
    const { header, nonce, rest } = await readBeginning(source, name)
    const fileKey = await fileKeyIn(header, identities, name)
    yield* openPayload(payloadKey(fileKey, nonce), freed(following(rest, source)))
  } catch (error) {
    throw error instanceof PayloadError ? changed(name, error.message, error) : error
  } finally {
    await source.return?.()
  }
}

/** Reads no more than the header. @throws {AppError} like {@link openWith} */
export async function openHeader(identities: readonly string[], sealed: Bytes, name: string): Promise<void> {
  const source = sealed[Symbol.asyncIterator]()
  try {
    const { header } = await readBeginning(source, name)
    await fileKeyIn(header, identities, name)
  } finally {
    await source.return?.()
  }
}

const payloadKey = (fileKey: Uint8Array, nonce: Uint8Array) =>
  new Uint8Array(hkdfSync('sha256', fileKey, nonce, 'payload', 32))

/** The key of the file. @throws {AppError} `corrupt` */
async function fileKeyIn(header: Buffer, identities: readonly string[], name: string): Promise<Uint8Array> {
  const { Decrypter } = await library()
  const decrypter = new Decrypter()
  let unopened = false
  for (const identity of identities) decrypter.addIdentity(identity)
  decrypter.addIdentity({
    unwrapFileKey() {
      unopened = true
      return null
    },
  })
  try {
    return await decrypter.decryptHeader(header)
  } catch (cause) {
    throw unopened ? noIdentity(name, identities.length) : changed(name, 'its header was changed', cause)
  }
}

type Beginning = { header: Buffer; nonce: Buffer; rest: Buffer }

async function readBeginning(source: AsyncIterator<Uint8Array>, name: string): Promise<Beginning> {
  let read: Buffer = Buffer.alloc(0)
  for (;;) {
    const { value, done } = await source.next()
    if (value) read = Buffer.concat([read, value])
    if (!read.subarray(0, firstLine.length).equals(Buffer.from(firstLine).subarray(0, read.length)))
      throw changed(name, 'it is not in the age format')
    const end = headerEnd(read)
    if (end !== undefined && read.length >= end + nonceBytes)
      return {
        header: read.subarray(0, end),
        nonce: read.subarray(end, end + nonceBytes),
        rest: read.subarray(end + nonceBytes),
      }
    if (done) throw changed(name, 'it ends within its header')
    if (end === undefined && read.length > mostHeaderBytes) throw changed(name, 'its header has no end')
  }
}

/** Where the header ends, which is behind its last line, `--- ` and a code; undefined if that is not there yet. */
function headerEnd(bytes: Buffer): number | undefined {
  const last = bytes.indexOf('\n--- ')
  const end = last < 0 ? -1 : bytes.indexOf('\n', last + 1)
  return end < 0 ? undefined : end + 1
}

async function* following(first: Buffer, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (first.length > 0) yield first
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value
}

async function* freed(source: Bytes): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    yield chunk
    free(chunk)
  }
}

/** What a manifest calls a recipient. Whoever has the recipient can compute it. */
export const fingerprint = (recipient: string): string =>
  createHash('sha256').update(recipient).digest('hex').slice(0, 16)

/** The fingerprints of the recipients that identities belong to. */
export async function fingerprintsOf(identities: readonly string[]): Promise<string[]> {
  const { identityToRecipient } = await library()
  const recipients = await Promise.all(identities.map((identity) => identityToRecipient(identity)))
  return recipients.map(fingerprint)
}

const noIdentity = (name: string, tried: number) =>
  new AppError('corrupt', `no identity opens ${name}: ${tried === 0 ? 'none is configured' : `${tried} tried`}`, {
    reason: 'no-identity',
    hint: 'set `backup.encrypt.identity` to that of a recipient of this backup; `pgbosun backup keys check` shows which backups it opens',
  })

const changed = (name: string, how: string, cause?: unknown) =>
  new AppError('corrupt', `${name} is damaged: ${how}`, {
    hint: 'use another backup; `pgbosun backup list` shows them',
    cause,
  })
