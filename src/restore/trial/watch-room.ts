import type { AppError } from '../../errors.ts'
import type { Db } from '../../postgres/db.ts'
import { nearlyFull } from './place.ts'
import { readRoom } from './room.ts'

const everyMs = 5_000

/**
 * Looks at the free space of the server while a backup is restored on it.
 *
 * @param options `what`: what is stopped then, in words
 * @param onFull called once, when less than a tenth of a volume is free, or nothing can be seen of it any more
 * @returns a function that stops it
 */
export function watchRoom(
  db: Db,
  own: string | undefined,
  { what }: { what?: string },
  onFull: (problem: AppError) => void,
  turnMs = everyMs,
): { stop(): void } {
  let asking = false
  const turn = async () => {
    if (asking) return
    asking = true
    try {
      const problem = nearlyFull(await readRoom(db, own, 0), what)
      if (problem) {
        clearInterval(timer)
        onFull(problem)
      }
    } catch {
      // the session is lost, and everybody who uses it gets that error
      clearInterval(timer)
    } finally {
      asking = false
    }
  }
  const timer = setInterval(() => void turn(), turnMs)
  return { stop: () => clearInterval(timer) }
}
