import type { Log } from '../log.ts'
import { renderDuration } from '../units.ts'
import type { Session } from './session.ts'

const everyMs = 10_000
/** Enough to wait for a server that was stopped for 20 s, or that is failing over. */
const missedAtMost = 6

/**
 * Runs a query on a session every 10 s, and closes the connection if the session has not answered for a minute. If packets are dropped,
 * or acknowledged by something that does not forward them, the network reports that after 15 minutes, or never. The session must not
 * run anything else that takes so long.
 *
 * It counts turns, not time: after this process itself was stopped, the answer is read first.
 *
 * @param onSilent called before the connection is closed
 * @returns a function that stops it
 */
export function startHeartbeat(
  session: Pick<Session, 'sql' | 'breakOff'>,
  { log, onSilent = () => {}, turnMs = everyMs }: { log: Log; onSilent?: () => void; turnMs?: number },
): () => void {
  let missed = 0
  let asked = false
  const turn = () => {
    if (!asked) {
      asked = true
      missed = 0
      void session.sql.unsafe('select 1').then(
        () => {
          asked = false
        },
        // the session is lost, and everybody who uses it gets that error
        () => clearInterval(timer),
      )
    } else if (++missed >= missedAtMost) {
      clearInterval(timer)
      log.warn(`the server has not answered for ${renderDuration(missedAtMost * turnMs)}: giving up the connection`)
      onSilent()
      session.breakOff()
    }
  }
  const timer = setInterval(turn, turnMs)
  return () => clearInterval(timer)
}
