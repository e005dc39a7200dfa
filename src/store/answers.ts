import type { Readable } from 'node:stream'
import type { Answer, Part, Request, StoredRow } from './messages.ts'
import { problemOf } from './messages.ts'
import { free } from './steps.ts'
import type { Store, Stored, Upload } from './store.ts'
import type { Sweeping } from './sweeping.ts'

/** Some keys, or a chunk of an object, and what of it follows. */
type Piece = { value: Part; bytes?: Buffer | undefined }
type Opened = { next(): Promise<Piece>; close(): Promise<void> }
type Answered = { answer: Answer; bytes?: Buffer | undefined }

/** Carries out what is asked of a store. Requests may come before others are answered. */
export function answerer(store: Store & Sweeping): (request: Request, bytes?: Buffer) => Promise<Answered> {
  const uploads = new Map<number, Upload>()
  const opened = new Map<number, Opened>()

  const next = async (of: number, from: Opened): Promise<Piece> => {
    const piece = await from.next()
    if (piece.value.last) opened.delete(of)
    return piece
  }
  const begin = (id: number, one: Opened) => {
    opened.set(id, one)
    return next(id, one)
  }

  const carryOut = async (request: Request, bytes: Buffer | undefined): Promise<Piece | { value?: unknown }> => {
    switch (request.call) {
      case 'open':
        uploads.set(request.id, await store.open(request.key))
        return {}
      case 'write':
        await uploads.get(request.of)!.write(bytes ?? Buffer.alloc(0))
        if (bytes) free(bytes)
        return {}
      case 'commit':
        await uploads.get(request.of)!.commit()
        uploads.delete(request.of)
        return {}
      case 'abort':
        await uploads.get(request.of)!.abort()
        uploads.delete(request.of)
        return {}
      case 'read':
        return begin(request.id, chunksOf(await store.read(request.key)))
      case 'list':
        return begin(request.id, rowsOf(store.list(request.prefix)))
      case 'next':
        return next(request.of, opened.get(request.of)!)
      case 'close':
        await opened.get(request.of)?.close()
        opened.delete(request.of)
        return {}
      case 'folders':
        return { value: await store.folders(request.prefix) }
      case 'delete':
        return { value: await store.delete(request.key) }
      case 'checkWritable':
        return { value: await store.checkWritable() }
      case 'freeBytes':
        return { value: await store.freeBytes() }
      case 'unfinished':
        return { value: await store.unfinished(request.prefix) }
      case 'clear':
        return { value: await store.clear(request.left) }
    }
  }

  return async (request, bytes) => {
    const { id } = request
    try {
      const { value, ...more } = await carryOut(request, bytes)
      return { answer: { id, value }, ...more }
    } catch (error) {
      return { answer: { id, problem: problemOf(error) } }
    }
  }
}

/** A shorter chunk is most likely the last one. */
const wholeChunk = 512 * 1024

/** Reads one chunk ahead, so that a small object takes one request. */
function chunksOf(body: Readable): Opened {
  const chunks = body[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  let upcoming = chunks.next()
  return {
    async next() {
      const { value, done } = await upcoming
      if (done) return { value: { rows: [], last: true } }
      upcoming = chunks.next()
      upcoming.catch(() => {}) // the next request is told
      const last = value.length < wholeChunk && (await upcoming).done === true
      return { value: { rows: [], last }, bytes: value }
    },
    close: async () => void body.destroy(),
  }
}

const rowsAtOnce = 500

function rowsOf(list: AsyncIterable<Stored>): Opened {
  const found = list[Symbol.asyncIterator]()
  return {
    async next() {
      const rows: StoredRow[] = []
      while (rows.length < rowsAtOnce) {
        const { value, done } = await found.next()
        if (done) return { value: { rows, last: true } }
        rows.push([value.key, value.sizeBytes, value.modifiedAt.getTime()])
      }
      return { value: { rows, last: false } }
    },
    close: async () => void (await found.return?.()),
  }
}
