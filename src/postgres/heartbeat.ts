import type { Log } from '../log.ts'
import { renderDuration } from '../units.ts'
import type { Session } from './connect.ts'

const everyMs = 10_000
/** A server that was stopped for 20 s, or is failing over, is waited for. */
const missedAtMost = 6

/**
 * Asks a session every 10 s whether it is still there, and breaks it off when it has not answered for a minute: what goes into a black
 * hole, or to something that acknowledges and forwards nothing, is not told by the network for 15 minutes, or never. The session must
 * have nothing else to do that takes so long.
 *
 * Turns are counted, not time: a process that was stopped itself gets its answer first.
 *
 * @param onSilent called before the session is broken off
 * @returns ends the asking
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
        // the session is lost, which everybody who uses it is told
        () => clearInterval(timer),
      )
    } else if (++missed >= missedAtMost) {
      clearInterval(timer)
      log.warn(`the server has not answered for ${renderDuration(missedAtMost * turnMs)}: the connection is given up`)
      onSilent()
      session.breakOff()
    }
  }
  const timer = setInterval(turn, turnMs)
  return () => clearInterval(timer)
}
