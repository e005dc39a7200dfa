import { randomUUID } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { AppError } from '../errors.ts'
import { isAbsent } from './s3-answers.ts'
import { keyIn, partBytesFor } from './s3-place.ts'
import { explained } from './s3-problem.ts'
import type { Requests } from './s3-requests.ts'
import type { Upload } from './store.ts'

/** By this an object says which upload it is from. */
const mark = 'pgbosun-upload'

/** AWS takes no more parts. */
const mostParts = 10_000

/** A larger part is sent before the next one is filled. */
const overlappedBytes = 24 * 2 ** 20

/** Most objects are small. */
const firstBytes = 64 * 1024

/** Completing a large object may take minutes. */
const completeMs = 600_000

type Part = { PartNumber: number; ETag: string | undefined; ChecksumCRC32: string }

/**
 * Writes an object: in one request if it is small, otherwise in parts of one size. Its memory is two parts, or one where they are large.
 *
 * @param partBytes if it is not decided by what is expected
 */
export function openUpload(
  requests: Requests,
  key: string,
  expectedBytes: number,
  partBytes = partBytesFor(expectedBytes),
): Upload {
  const { bucket: Bucket } = requests.place
  const object = { Bucket, Key: keyIn(requests.place, key) }
  const id = randomUUID()
  const aborted = new AbortController()
  const { signal } = aborted
  let state: 'open' | 'committed' | 'aborted' = 'open'
  let buffer: Buffer = Buffer.allocUnsafeSlow(Math.min(firstBytes, partBytes))
  let spare: Buffer | undefined
  let filled = 0
  let size = 0
  let upload: Promise<string> | undefined
  const parts: Part[] = []
  let sending: Promise<void> | undefined

  const create = async (): Promise<string> => {
    const { UploadId } = await requests.send(
      (client, options, aws) =>
        client.send(
          new aws.CreateMultipartUploadCommand({ ...object, Metadata: { [mark]: id }, ChecksumAlgorithm: 'CRC32' }),
          options,
        ),
      { signal },
    )
    return UploadId!
  }
  const sendPart = async (body: Buffer): Promise<void> => {
    upload ??= create()
    const UploadId = await upload
    const PartNumber = parts.length + 1
    if (PartNumber > mostParts) throw tooLarge(requests.place.name, partBytes)
    const ChecksumCRC32 = checksum(body)
    const { ETag } = await requests.send(
      (client, options, aws) =>
        client.send(
          new aws.UploadPartCommand({
            ...object,
            UploadId,
            PartNumber,
            Body: body,
            ContentLength: body.length,
            ChecksumAlgorithm: 'CRC32',
            ChecksumCRC32,
          }),
          options,
        ),
      { signal, bytes: body.length },
    )
    parts.push({ PartNumber, ETag, ChecksumCRC32 })
  }
  /** Sends what is in the buffer, and goes on with another one. */
  const flush = async () => {
    await sending
    const body = buffer.subarray(0, filled)
    sending = sendPart(body)
    sending.catch(() => {}) // the next call is told
    filled = 0
    if (partBytes > overlappedBytes) return sending
    ;[buffer, spare] = [spare ?? Buffer.allocUnsafeSlow(partBytes), buffer]
  }
  const append = async (chunk: Uint8Array) => {
    for (let at = 0; at < chunk.length; ) {
      if (filled === partBytes) await flush()
      if (filled === buffer.length) buffer = larger(buffer, partBytes)
      const some = chunk.subarray(at, at + buffer.length - filled)
      buffer.set(some, filled)
      filled += some.length
      at += some.length
    }
    size += chunk.length
  }
  const put = () => {
    const body = buffer.subarray(0, filled)
    return requests.send(
      (client, options, aws) =>
        client.send(
          new aws.PutObjectCommand({
            ...object,
            Body: body,
            ContentLength: body.length,
            Metadata: { [mark]: id },
            ChecksumAlgorithm: 'CRC32',
            ChecksumCRC32: checksum(body),
          }),
          options,
        ),
      { signal, bytes: body.length },
    )
  }
  const complete = async () => {
    await flush()
    await sending
    const UploadId = await upload
    return requests.send(
      (client, options, aws) =>
        client.send(
          new aws.CompleteMultipartUploadCommand({ ...object, UploadId, MultipartUpload: { Parts: parts } }),
          options,
        ),
      { signal, answerMs: completeMs },
    )
  }
  const look = () =>
    requests.send((client, options, aws) => client.send(new aws.HeadObjectCommand(object), options), { signal })
  /** An answer may be lost although the object is there: then it is ours. What is there after an answer has to be whole. */
  const publish = async () => {
    let unknown: unknown
    const done = await (upload ? complete() : put()).catch((error) => {
      unknown = error
      return undefined
    })
    const found = await look().catch((error) => {
      throw unknown ?? error
    })
    const isOurs = found.Metadata?.[mark] === id || (done !== undefined && found.ETag === done.ETag)
    if (!isOurs && unknown !== undefined) throw unknown
    if (isOurs && found.ContentLength !== size) throw incomplete(requests.place.name, key, found.ContentLength, size)
  }
  const remove = async () => {
    // the server may take what is still being sent for a part of the upload
    await sending?.catch(() => {})
    const UploadId = await upload?.catch(() => undefined)
    if (UploadId === undefined) return
    await requests
      .send((client, options, aws) =>
        client.send(new aws.AbortMultipartUploadCommand({ ...object, UploadId }), options),
      )
      .catch((error) => {
        if (!isAbsent(error)) throw error
      })
  }
  const drop = () => {
    buffer = nothing
    spare = undefined
  }
  return {
    write: (chunk) => explained(requests, 'write', () => append(chunk)),
    async commit() {
      await explained(requests, 'write', publish)
      state = 'committed'
      drop()
    },
    async abort() {
      if (state !== 'open') return
      state = 'aborted'
      aborted.abort(new Error('the upload was aborted'))
      await explained(requests, 'write', remove)
      drop()
    },
  }
}

const nothing = Buffer.alloc(0)

function larger(buffer: Buffer, partBytes: number): Buffer {
  const next = Buffer.allocUnsafeSlow(partBytes)
  next.set(buffer)
  return next
}

function checksum(body: Buffer): string {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(crc32(body))
  return bytes.toString('base64')
}

const tooLarge = (name: string, partBytes: number) =>
  new AppError(
    'backup',
    `${name} cannot be written: the object has more than ${mostParts} parts of ${partBytes} bytes`,
    {
      hint: 'it is much larger than the last backup, or than the database: run it again, or leave something out',
    },
  )

const incomplete = (name: string, key: string, found: number | undefined, size: number) =>
  new AppError('backup', `${name} cannot be written: ${key} has ${found} bytes there instead of ${size}`, {
    hint: 'look at the server: it has accepted all bytes and not kept them; then run it again',
  })
