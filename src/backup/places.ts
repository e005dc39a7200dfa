import { AppError, hasReason } from '../errors.ts'
import type { Log } from '../log.ts'
import { inEach } from '../store/in-each.ts'
import type { Store, Upload } from '../store/store.ts'
import { type Lag, type Queued, queued } from './queue.ts'

/** A store that a backup is written to, and why it is no longer. */
export type Lost = { store: Store; error: AppError }

/**
 * The stores that a backup is written to in one go. The first of them sets the pace. One that fails is left out from then on; only if all
 * have failed is that the failure of the backup.
 */
export type Places = {
  /** Those that have not failed, in their order. */
  live(): Store[]
  lost(): Lost[]
  /** Does the same in each. @throws the error of the first, if all have failed */
  each(work: (store: Store) => Promise<void>): Promise<void>
  /** Opens an object in each. */
  open(key: string, expectedBytes?: number): Promise<Upload>
}

/** Where memory is limited, less waits for a slow store. */
const lagOf = (limit: number): Lag => ({
  mostBytes: limit === 0 ? 2 ** 26 : Math.min(2 ** 26, Math.max(2 ** 20, Math.floor(limit / 16))),
  fullMs: 300_000,
  stalledMs: 60_000,
})

/** @param signal after it, what fails says nothing about a store */
export function openPlaces(
  stores: readonly Store[],
  { log, signal, lag = lagOf(process.constrainedMemory()) }: { log: Log; signal: AbortSignal; lag?: Lag },
): Places {
  const lost: Lost[] = []
  const live = () => stores.filter((store) => lost.every((one) => one.store !== store))
  const drop = (store: Store, cause: unknown) => {
    if (signal.aborted) throw cause
    // a backup that no store takes fails for the reason of the first; but in one that is full, room can be made
    if (stores.length - lost.length === 1) throw hasReason(cause, 'store-full') ? cause : (lost[0]?.error ?? cause)
    const error = asStoreError(cause)
    lost.push({ store, error })
    log.warn(
      { store: store.name, problem: error.message, hint: error.hint },
      'this store gets no copy of the backup now',
    )
  }
  const each = async (work: (store: Store) => Promise<void>) => {
    for (const store of live()) await work(store).catch((error) => drop(store, error))
  }
  return {
    live,
    lost: () => [...lost],
    each,
    async open(key, expectedBytes) {
      const uploads = new Map<Store, Upload>()
      await each(async (store) => void uploads.set(store, await store.open(key, expectedBytes)))
      return stores.length === 1 ? [...uploads.values()][0]! : together(uploads, { live, drop, lag })
    },
  }
}

type Dropping = { live(): Store[]; drop(store: Store, cause: unknown): void; lag: Lag }

/** One upload to several stores: the first takes each chunk before the next one is read, the others have some time. */
function together(uploads: Map<Store, Upload>, { live, drop, lag }: Dropping): Upload {
  const queues = new Map<Store, Queued>()
  const open = () => live().filter((store) => uploads.has(store))
  const queueOf = (store: Store): Queued => {
    const queue =
      queues.get(store) ??
      queued(uploads.get(store)!, {
        ...lag,
        tooSlow: (how) => tooSlow(store.name, how),
        isAlone: () => open().length === 1,
      })
    queues.set(store, queue)
    return queue
  }
  const dropped = async (store: Store, error: unknown) => {
    await uploads
      .get(store)!
      .abort()
      .catch(() => {})
    drop(store, error)
  }
  const [first] = uploads.keys()
  const openedAt = performance.now()
  /** To make it durable may take as long as to write it, but keeps nobody waiting for ever. The first sets the pace. */
  const commit = async (store: Store) => {
    await queues.get(store)?.drained()
    const work = uploads.get(store)!.commit()
    if (store === first) return work
    const mostMs = Math.max(lag.fullMs, performance.now() - openedAt)
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      const giveUp = () => reject(tooSlow(store.name, `it took longer than ${Math.round(mostMs / 1000)} s at the end`))
      timer = setTimeout(() => open().length > 1 && giveUp(), Math.min(mostMs, 2 ** 31 - 1))
    })
    await Promise.race([work, late]).finally(() => clearTimeout(timer))
  }
  return {
    async write(chunk) {
      for (const store of open())
        await (store === first ? uploads.get(store)!.write(chunk) : queueOf(store).put(chunk)).catch((error) =>
          dropped(store, error),
        )
    },
    async commit() {
      for (const store of open()) await commit(store).catch((error) => dropped(store, error))
    },
    async abort() {
      await inEach(open(), (store) => uploads.get(store)!.abort())
    },
  }
}

const asStoreError = (cause: unknown) =>
  cause instanceof AppError ? cause : new AppError('backup', (cause as Error).message, { cause })

const tooSlow = (store: string, how: string) =>
  new AppError('backup', `${store} held the backup up: ${how}`, {
    hint: 'the other stores have it; `pgbosun backup copy` fills this one, which `serve` does by itself',
  })
