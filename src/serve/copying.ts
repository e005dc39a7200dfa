import { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import type { BackupState } from './state.ts'

/** A backup that a store lacks. */
export type Wanted = { database: string; id: string; store: string }

export type CopyingOptions = {
  backups: readonly BackupState[]
  /** What the stores lack of a database, by what was listed last; asks nobody. */
  lackingOf(database: string): Wanted[]
  copy(wanted: Wanted): Promise<void>
  nowMs(): number
  log: Log
  signal: AbortSignal
}

/** After a failure, a store is left alone for so long. */
const pauseMs = 600_000
/** And a backup, once it was tried: of one that is damaged everywhere, nothing else has to wait. */
const againMs = 3_600_000

/** Until when a store, or a backup for a store, is left alone. */
type Resting = Map<string, number>

/**
 * Fills the stores that lack backups, one backup after the other, beside the scheduler. A failure is reported, and tried again later; it
 * never ends the process.
 *
 * @returns `turn`: to be called every minute, and when the stores were read; `stop` waits for running work
 */
export function createCopying(options: CopyingOptions): { turn(): void; stop(): Promise<void> } {
  const resting: Resting = new Map()
  let working: Promise<void> | undefined
  return {
    turn() {
      if (!options.signal.aborted)
        working ??= fill(options, resting).finally(() => {
          working = undefined
        })
    },
    async stop() {
      await working
    },
  }
}

async function fill(options: CopyingOptions, resting: Resting): Promise<void> {
  const { backups, lackingOf, copy, nowMs, log, signal } = options
  const rests = (key: string) => nowMs() < (resting.get(key) ?? Number.NEGATIVE_INFINITY)
  for (const { database, running } of backups) {
    if (running) continue
    for (const wanted of lackingOf(database)) {
      if (signal.aborted) return
      const { store } = wanted
      const one = JSON.stringify([store, database, wanted.id])
      if (rests(store) || rests(one)) continue
      try {
        await copy(wanted)
      } catch (error) {
        if (signal.aborted) return
        const isDamaged = error instanceof AppError && error.kind === 'corrupt'
        if (isDamaged) resting.set(one, nowMs() + againMs)
        else resting.set(store, nowMs() + pauseMs)
        log.error({ ...wanted, problem: (error as Error).message }, 'the backup could not be copied to this store')
      }
    }
  }
  for (const key of resting.keys()) if (!rests(key)) resting.delete(key)
}
