import type { Log } from '../log.ts'
import { connectionLost, isConnectionLostError, wasLost } from './lost.ts'

/** What an attempt reports about itself: whether it has started to change something. */
export type Attempt = { changed: boolean }

export type RetryOptions = {
  /** A reading of `performance.now()`. */
  deadline: number
  signal: AbortSignal
  log: Log
}

/**
 * Does work that needs a connection. If the connection is lost before the first change, starts over, which waits for the database
 * again, until the deadline has passed.
 *
 * @throws {AppError} `unreachable` when a connection is lost after the first change, or after the deadline; the signal's reason
 */
export async function retryWhenLost<T>(
  { deadline, signal, log }: RetryOptions,
  work: (attempt: Attempt) => Promise<T>,
): Promise<T> {
  for (;;) {
    const attempt: Attempt = { changed: false }
    try {
      return await work(attempt)
    } catch (error) {
      if (signal.aborted) throw signal.reason
      if (!wasLost(error)) throw error
      if (attempt.changed || performance.now() > deadline)
        throw isConnectionLostError(error) ? error : connectionLost(error)
      log.info('the connection was lost before anything was changed: waiting again')
    }
  }
}
