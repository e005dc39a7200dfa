import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '../../log.ts'
import { type BlockerWatch, describeBlockers, isOwnDump } from '../../postgres/blockers.ts'
import { isServerError } from '../../postgres/server-error.ts'

export type RetryPolicyOptions = {
  /** How often a file, or a statement that runs on its own, is tried again after a lock timeout or a deadlock. */
  lockRetries: number
  /** How long to keep waiting for a backup of ours, which ends by itself; in ms. */
  dumpTimeoutMs: number
  watch: BlockerWatch | undefined
  log: Log
  signal: AbortSignal | undefined
}

/** Decides whether to try again, and waits before that. */
export type RetryPolicy = {
  /**
   * Resolves to true, after a pause, if it is worth trying again.
   * @param what a name that stays the same for all attempts; a new name resets the count
   * @param part the statement that runs on its own, if it is one; a new one resets the count too
   */
  again(what: string, error: unknown, part?: number): Promise<boolean>
  /** Awaits a statement that may wait for others without a limit, and logs from time to time which sessions those are. */
  whileWaiting<T>(what: string, work: Promise<T>): Promise<T>
  /** Who was in the way when the last attempt failed, in words. */
  blockedBy(): string | undefined
}

const firstPauseMs = 200
const longestPauseMs = 5_000
const firstWordMs = 2_000
const longestSilenceMs = 300_000

/** Retries what could not get a lock. The pauses in between let those that queued behind it have their turn. */
export function createRetryPolicy({ lockRetries, dumpTimeoutMs, watch, log, signal }: RetryPolicyOptions): RetryPolicy {
  let current = ''
  let attempts = 0
  let since = 0
  return {
    async again(what, error, part) {
      if (!isRetryable(error)) return false
      const counted = part === undefined ? what : `${what} ${part}`
      if (counted !== current) {
        current = counted
        attempts = 0
        since = performance.now()
      }
      const waitsForDump = watch?.last().some(isOwnDump) === true && performance.now() - since < dumpTimeoutMs
      if (attempts >= lockRetries && !waitsForDump) return false
      const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** attempts++) * (0.5 + Math.random())
      const blockers = watch && describeBlockers(watch.last())
      log.warn(
        { migration: what, attempt: attempts, of: lockRetries, pause_ms: Math.round(pauseMs) },
        `${what} ${error.code === '55P03' ? 'could not get a lock in time' : 'was caught in a deadlock'}${blockers ? `, ${blockers}` : ''}: trying again`,
      )
      await sleep(pauseMs, undefined, signal && { signal })
      return true
    },
    async whileWaiting(what, work) {
      let pauseMs = firstWordMs
      const say = () => {
        const blockers = watch && describeBlockers(watch.last())
        if (blockers) log.info({ migration: what }, `${what} is waiting, ${blockers}`)
        pauseMs = Math.min(longestSilenceMs, 2 * pauseMs)
        timer = setTimeout(say, pauseMs)
      }
      let timer = setTimeout(say, pauseMs)
      try {
        return await work
      } finally {
        clearTimeout(timer)
      }
    },
    blockedBy: () => watch && describeBlockers(watch.last()),
  }
}

/** Whether it is a lock timeout or a deadlock: nothing of the file took effect, and the next attempt may succeed. */
const isRetryable = (error: unknown): error is { code: string } =>
  isServerError(error) && (error.code === '55P03' || error.code === '40P01')
