import type { IncomingMessage } from 'node:http'
import { type Duplex, Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { AppError } from '../errors.ts'
import { isAbsent, isReplaced, isTemporary } from './s3-answers.ts'
import { keyIn, type Place } from './s3-place.ts'
import { problemOf } from './s3-problem.ts'
import type { Requests } from './s3-requests.ts'
import { free } from './steps.ts'

/** So much is read while what came before is used. */
const readBytes = 512 * 1024

/** So often in a row a body may break off without a byte more. */
const mostBreaks = 5

/** Opens an object. Where its body breaks off, it is read on from there, if it is still the same object. @param version of one that was deleted */
export async function readObject(requests: Requests, key: string, version?: string): Promise<Readable> {
  const { given } = requests
  const what = { key, version }
  const first = await opened(requests, what)
  const stop = new AbortController()
  const chunks = chunksOf(requests, what, first, { signal: stop.signal, given })
  let body: Readable | undefined = first.body
  const from = chunks((now) => {
    body = now
  })
  return new Readable({
    highWaterMark: readBytes,
    read() {
      from.next().then(
        ({ value, done }) => this.push(done ? null : value),
        (error: Error) => this.destroy(problemOf(requests, 'read', error) as Error),
      )
    },
    destroy(error, done) {
      stop.abort()
      body?.on('error', () => {}).destroy()
      done(error)
    },
  })
}

type Opened = { body: Readable; size: number; etag: string | undefined }

/** An object, or a version of it. */
type What = { key: string; version: string | undefined }

async function opened(requests: Requests, what: What): Promise<Opened> {
  try {
    return await get(requests, what)
  } catch (error) {
    if (isAbsent(error)) throw absent(requests.place, what.key)
    throw problemOf(requests, 'read', error)
  }
}

const absent = ({ name }: Place, key: string) =>
  Object.assign(new Error(`ENOENT: ${name}/${key}`), { code: 'ENOENT', path: key })

async function get(
  requests: Requests,
  { key, version }: What,
  from?: { at: number; etag: string | undefined },
): Promise<Opened> {
  const { place } = requests
  const answer = await requests.send((client, options, aws) =>
    client.send(
      new aws.GetObjectCommand({
        Bucket: place.bucket,
        Key: keyIn(place, key),
        ...(version !== undefined && { VersionId: version }),
        ...(from && { Range: `bytes=${from.at}-`, IfMatch: from.etag }),
      }),
      options,
    ),
  )
  const body = answer.Body as Readable
  // whoever reads it is told; nobody reads it yet
  body.on('error', () => {})
  freeArrived((answer.Body as IncomingMessage).socket)
  const isThere = from === undefined || answer.ContentRange?.startsWith(`bytes ${from.at}-`) === true
  if (!isThere) {
    body.destroy()
    throw changed(place, key)
  }
  return { body, size: (from?.at ?? 0) + (answer.ContentLength ?? 0), etag: answer.ETag }
}

type Signals = {
  /** Nobody reads it any more. */
  signal: AbortSignal
  /** It was given up while it was read. */
  given: AbortSignal
}

const chunksOf = (requests: Requests, what: What, { body: first, size, etag }: Opened, { signal, given }: Signals) =>
  async function* (onBody: (body: Readable) => void): AsyncGenerator<Buffer> {
    let body = first
    let at = 0
    for (let breaks = 0; ; ) {
      let failure: unknown
      try {
        for await (const chunk of body as AsyncIterable<Buffer>) {
          breaks = 0
          at += chunk.length
          yield chunk
        }
      } catch (error) {
        failure = error
      }
      if (at === size || signal.aborted) return
      given.throwIfAborted()
      if (failure instanceof AppError) throw failure
      if (++breaks > mostBreaks || (failure !== undefined && !mayGoOn(failure)))
        throw failure ?? tooShort(requests, what.key, at, size)
      await sleep(requests.patience.pauseMs * 2 ** breaks, undefined, { signal }).catch(() => {})
      body = (await again(requests, what, { at, etag })).body
      onBody(body)
    }
  }

/** A body ends with an error of the connection, whose code is not always the same. */
const mayGoOn = (error: unknown) =>
  isTemporary(error) ||
  (error as Error).name === 'AbortError' ||
  typeof (error as NodeJS.ErrnoException).code === 'string'

const watched = new WeakSet<Duplex>()

/**
 * The parser of HTTP copies what arrives on a connection. The originals would stay until the garbage collector comes: 80 MB while an object
 * is read, and two thirds more processor time.
 */
function freeArrived(socket: Duplex | null): void {
  if (!socket || watched.has(socket)) return
  watched.add(socket)
  // after all listeners: the parser is one of them
  socket.on('data', (piece: Buffer) => process.nextTick(free, piece))
}

async function again(requests: Requests, what: What, from: { at: number; etag: string | undefined }): Promise<Opened> {
  try {
    return await get(requests, what, from)
  } catch (error) {
    throw isReplaced(error) || isAbsent(error) ? changed(requests.place, what.key) : error
  }
}

const changed = ({ name }: Place, key: string) =>
  new AppError('backup', `${name} cannot be read: ${key} was replaced or deleted while it was being read`, {
    reason: 'store-unreadable',
    hint: 'run it again',
  })

const tooShort = ({ place }: Requests, key: string, at: number, size: number) =>
  new AppError('backup', `${place.name} cannot be read: ${key} breaks off after ${at} of ${size} bytes, every time`, {
    reason: 'store-unreadable',
    hint: 'look at the server and the network, then run it again',
  })
