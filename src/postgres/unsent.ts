import type { Socket } from 'node:net'
import type { Log } from '../log.ts'
import { renderDuration } from '../units.ts'
import { unsentBytes } from './socket.ts'

const everyMs = 10_000
/** As long as the heartbeat: enough to wait for a server that was stopped for 20 s. */
const stuckAtMost = 6

/**
 * Closes a connection if none of the data waiting to be sent was taken for a minute. The network reports that after 15 minutes, or
 * never. A busy server does not read either, for hours if it builds an index and the next message is a large one. So the server is
 * asked, and the connection is closed only if the server is not busy and takes nothing for another turn.
 *
 * It counts turns, not time: after this process itself was stopped, it sends first.
 *
 * @param isBusy whether the server is doing something other than waiting to read
 */
export function watchSending(
  socket: Socket,
  { log, isBusy, turnMs = everyMs }: { log: Log; isBusy: () => Promise<boolean>; turnMs?: number },
): void {
  let before = ''
  let stuck = 0
  let waitsForUs = false
  const ask = async () => {
    const asked = before
    const busy = await isBusy()
    if (before !== asked) return
    if (busy) stuck = 0
    else waitsForUs = true
  }
  const turn = () => {
    const unsent = unsentBytes(socket)
    const now = `${socket.bytesWritten} ${unsent}`
    if (unsent === 0 || now !== before) {
      before = now
      stuck = 0
      waitsForUs = false
    } else if (++stuck >= stuckAtMost && waitsForUs) {
      clearInterval(timer)
      log.warn(`the server has not read anything for ${renderDuration(stuck * turnMs)}: giving up the connection`)
      socket.destroy()
    } else if (stuck === stuckAtMost - 1) void ask()
  }
  const timer = setInterval(turn, turnMs).unref()
  socket.once('close', () => clearInterval(timer))
}
