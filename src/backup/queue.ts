import { free } from '../store/steps.ts'
import type { Upload } from '../store/store.ts'

/** How far a store may fall behind the first, and for how long. */
export type Lag = {
  /** So many bytes wait for it at most: then it is waited for. */
  mostBytes: number
  /** It may be that far behind for so long, without having caught up half of it. */
  fullMs: number
  /** And given up if it takes nothing at all for so long. */
  stalledMs: number
}

/** An upload that runs behind another: it takes what it is given at once, as long as there is room. */
export type Queued = {
  /** Takes a copy of the chunk; resolves when there is room again. @throws the upload's error, or {@link tooSlow} */
  put(chunk: Uint8Array): Promise<void>
  /** Resolves when all of it was written. @throws the same */
  drained(): Promise<void>
}

type QueueOptions = Lag & {
  /** The error of an upload that takes nothing, or too little, for too long. */
  tooSlow: (how: string) => Error
  /** Whether nothing else is left: then it may take its time. */
  isAlone: () => boolean
}

export function queued(upload: Upload, { mostBytes, fullMs, stalledMs, tooSlow, isAlone }: QueueOptions): Queued {
  const waiting: Buffer[] = []
  let bytes = 0
  let fullSince: number | undefined
  let failure: Error | undefined
  let working: Promise<void> | undefined
  let changed = Promise.withResolvers<void>()
  const signal = () => {
    changed.resolve()
    changed = Promise.withResolvers()
  }
  const work = async () => {
    for (let chunk = waiting.shift(); chunk !== undefined && !failure; chunk = waiting.shift()) {
      const { length } = chunk
      await upload.write(chunk).catch((error: Error) => {
        failure = error
      })
      bytes -= length
      if (bytes <= mostBytes / 2) fullSince = undefined
      free(chunk)
      signal()
    }
    working = undefined
    signal()
  }
  /** Waits until `done`, or until it takes too long. */
  const until = async (done: () => boolean, giveUpAt: number): Promise<void> => {
    let [left, movedAt] = [bytes, performance.now()]
    while (!failure && !done()) {
      const now = performance.now()
      if (bytes !== left) [left, movedAt] = [bytes, now]
      if (isAlone()) await soon(changed.promise, 1_000)
      else if (now - movedAt >= stalledMs) failure = tooSlow(`it took nothing for ${Math.round(stalledMs / 1000)} s`)
      else if (now >= giveUpAt) failure = tooSlow(`it was too slow for ${Math.round(fullMs / 1000)} s`)
      else await soon(changed.promise, Math.min(giveUpAt - now, movedAt + stalledMs - now))
    }
    if (failure) {
      waiting.length = 0
      throw failure
    }
  }
  return {
    async put(chunk) {
      if (failure) throw failure
      waiting.push(Buffer.from(chunk))
      bytes += chunk.length
      working ??= work()
      if (bytes <= mostBytes) return
      fullSince ??= performance.now()
      await until(() => bytes <= mostBytes, fullSince + fullMs)
    },
    // what is still waiting is written as slowly as it has to be, as long as something moves
    drained: () => until(() => working === undefined, Number.POSITIVE_INFINITY),
  }
}

/** Resolves with the promise, or after some time. */
async function soon(promise: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, Math.min(ms + 1, 2 ** 31 - 1))
  })
  await Promise.race([promise, late])
  clearTimeout(timer)
}
