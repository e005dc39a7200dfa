import type { Readable } from 'node:stream'
import type { AppError } from '../errors.ts'
import type { Store, Stored, Upload } from './store.ts'
import { unanswered } from './unanswered.ts'

type Within = <T>(call: () => Promise<T>) => Promise<T>

/** `within` does the same for what calls the store in its own way. */
export type Bounded = Store & { within: Within }

/** Time for a call to return once the work was told to stop, and for each call that cleans up. */
const graceMs = 5_000

/**
 * The same store, for work that may be told to stop: then a call that does not return is given up, and so is every call after it.
 * Nothing that hangs in the store keeps the work from ending. Where the store can be interrupted, calls that have not returned end at once.
 */
export function until(store: Store, signal: AbortSignal): Bounded {
  let givenUp: AppError | undefined
  // what cleans up afterwards is not refused
  if (store.interruptible) signal.addEventListener('abort', () => store.giveUp(signal.reason), { once: true })
  const giveUp = () => {
    givenUp ??= unanswered(store.name)
    store.giveUp(givenUp)
    return givenUp
  }
  const within: Within = async (call) => {
    if (givenUp) throw givenUp
    const late = Promise.withResolvers<never>()
    const stop = afterAbort(signal, () => late.reject(giveUp()))
    try {
      return await Promise.race([call(), late.promise])
    } finally {
      stop()
    }
  }
  return {
    within,
    ...store,
    open: async (key, expectedBytes) => boundUpload(await within(() => store.open(key, expectedBytes)), within),
    async read(key) {
      const body = await within(() => store.read(key))
      bindReading(body, signal, giveUp)
      return body
    },
    list: (prefix) => boundList(store.list(prefix), within),
    folders: (prefix) => within(() => store.folders(prefix)),
    delete: (key) => within(() => store.delete(key)),
    checkWritable: () => within(() => store.checkWritable()),
    freeBytes: () => within(() => store.freeBytes()),
    ...(store.create && { create: (key, text) => within(() => store.create!(key, text)) }),
    sweep: (prefix, olderThanMs) => within(() => store.sweep(prefix, olderThanMs)),
  }
}

/** Calls back some time after the signal has aborted, or from now on if it has already. @returns ends that */
function afterAbort(signal: AbortSignal, onLate: () => void): () => void {
  let timer: NodeJS.Timeout | undefined
  const start = () => {
    timer = setTimeout(onLate, graceMs)
  }
  if (signal.aborted) start()
  else signal.addEventListener('abort', start)
  return () => {
    clearTimeout(timer)
    signal.removeEventListener('abort', start)
  }
}

const boundUpload = (upload: Upload, within: Within): Upload => ({
  write: (chunk) => within(() => upload.write(chunk)),
  commit: () => within(() => upload.commit()),
  abort: () => within(() => upload.abort()),
})

/** Nobody reads on for long after the abort. */
function bindReading(body: Readable, signal: AbortSignal, giveUp: () => AppError): void {
  const stop = afterAbort(signal, () => body.destroy(giveUp()))
  body.once('close', stop)
}

async function* boundList(list: AsyncIterable<Stored>, within: Within): AsyncGenerator<Stored> {
  const found = list[Symbol.asyncIterator]()
  try {
    for (;;) {
      const { value, done } = await within(() => found.next())
      if (done) return
      yield value
    }
  } finally {
    // one that hangs is not waited for
    void found.return?.().catch(() => {})
  }
}
