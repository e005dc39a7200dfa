import { readdirSync, readFileSync, readlinkSync, readSync } from 'node:fs'

const nonBlocking = 0o4000
/** libuv's message: a pointer, then the number of the signal. */
const messageBytes = 16

/**
 * Numbers of the signals that libuv has caught but no listener has received. Its handler writes each signal to a pipe and holds both ends of
 * it; if the last listener is removed before the pipe is read, the signal is lost. Call this once no signal has a listener any more and
 * none will be added. Linux only; on other systems the list is empty.
 */
export function caughtSignals(): number[] {
  try {
    return ownPipes().flatMap(readMessages)
  } catch {
    return [] // without /proc
  }
}

/** The read ends of pipes that this process holds both ends of and reads without blocking: libuv's pipe for signals. */
function ownPipes(): number[] {
  const pipes = new Map<string, number[]>()
  for (const name of readdirSync('/proc/self/fd')) {
    const fd = Number(name)
    if (fd < 3) continue
    const target = linkOf(fd)
    if (target?.startsWith('pipe:')) pipes.set(target, [...(pipes.get(target) ?? []), fd])
  }
  return [...pipes.values()].filter((ends) => ends.length === 2).flatMap((ends) => ends.filter(isReadWithoutWaiting))
}

function linkOf(fd: number): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    return undefined // the descriptor with which the folder was read: closed by now
  }
}

function isReadWithoutWaiting(fd: number): boolean {
  const flags = Number.parseInt(/^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '', 8)
  return (flags & nonBlocking) !== 0 && (flags & 3) === 0
}

function readMessages(fd: number): number[] {
  const signals: number[] = []
  const message = Buffer.alloc(messageBytes)
  try {
    while (readSync(fd, message) === messageBytes) signals.push(message.readInt32LE(8))
  } catch {
    // EAGAIN: no more messages
  }
  return signals
}
