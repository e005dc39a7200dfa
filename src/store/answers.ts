import type { Opening } from './local.ts'
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
export function answerer(store: Store & Sweeping & Opening): (request: Request, bytes?: Buffer) => Promise<Answered> {
  const uploads = new Map<number, Upload>()
  const opened = new Map<number, Opened>()

  const next = async (of: number, from: Opened): Promise<Piece> => {
    try {
      const piece = await from.next()
      if (piece.value.last) opened.delete(of)
      return piece
    } catch (error) {
      opened.delete(of)
      await from.close()
      throw error
    }
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
        return begin(request.id, chunksOf(await store.openObject(request.key)))
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

const chunkBytes = 512 * 1024

/** Without a stream, whose machinery costs more than a small object: there may be 10,000 of those. */
function chunksOf({ handle, size }: Awaited<ReturnType<Opening['openObject']>>): Opened {
  let read = 0
  return {
    async next() {
      const left = size > 0 ? size - read : chunkBytes
      const buffer = Buffer.allocUnsafeSlow(Math.min(left, chunkBytes))
      const { bytesRead } = await handle.read(buffer, 0, buffer.length)
      read += bytesRead
      const last = bytesRead === 0 || read === size
      if (last) await handle.close()
      return { value: { rows: [], last }, bytes: buffer.subarray(0, bytesRead) }
    },
    close: () => handle.close(),
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
