import type { Socket } from 'node:net'
import type { Log } from '../log.ts'
import { renderDuration } from '../units.ts'
import { unsentBytes } from './socket.ts'

const everyMs = 10_000
/** As long as a heartbeat: a server that was stopped for 20 s is waited for. */
const stuckAtMost = 6

/**
 * Breaks a connection off when nothing of what waits to be sent was taken for a minute: the network does not tell for 15 minutes, or
 * never. A server that is busy does not read either, for hours when it makes an index and the next message is a big one: so it is asked,
 * and given up only when it has nothing else to do, and takes nothing for another turn.
 *
 * Turns are counted, not time: a process that was stopped itself sends first.
 *
 * @param isBusy whether the server has something else to do than to read
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
      log.warn(`the server has not read for ${renderDuration(stuck * turnMs)}: the connection is given up`)
      socket.destroy()
    } else if (stuck === stuckAtMost - 1) void ask()
  }
  const timer = setInterval(turn, turnMs).unref()
  socket.once('close', () => clearInterval(timer))
}
