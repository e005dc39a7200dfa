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

/**
 * Fills the stores that lack backups, one backup after the other, beside the scheduler. A failure is reported, and tried again later; it
 * never ends the process.
 *
 * @returns `turn`: to be called every minute, and when the stores were read; `stop` waits for running work
 */
export function createCopying(options: CopyingOptions): { turn(): void; stop(): Promise<void> } {
  const failedAt = new Map<string, number>()
  let working: Promise<void> | undefined
  return {
    turn() {
      if (!options.signal.aborted)
        working ??= fill(options, failedAt).finally(() => {
          working = undefined
        })
    },
    async stop() {
      await working
    },
  }
}

async function fill(options: CopyingOptions, failedAt: Map<string, number>): Promise<void> {
  const { backups, lackingOf, copy, nowMs, log, signal } = options
  const rests = ({ store }: Wanted) => nowMs() - (failedAt.get(store) ?? Number.NEGATIVE_INFINITY) < pauseMs
  for (const { database, running } of backups) {
    if (running) continue
    for (const wanted of lackingOf(database)) {
      if (signal.aborted) return
      if (rests(wanted)) continue
      try {
        await copy(wanted)
        failedAt.delete(wanted.store)
      } catch (error) {
        if (signal.aborted) return
        failedAt.set(wanted.store, nowMs())
        log.error({ ...wanted, problem: (error as Error).message }, 'the backup could not be copied to this store')
      }
    }
  }
}
