import { readdirSync, readFileSync, readlinkSync, readSync } from 'node:fs'

const nonBlocking = 0o4000
/** libuv's message: a pointer, then the number of the signal. */
const messageBytes = 16

/**
 * Numbers of the signals that libuv has taken and nobody has heard. Its handler puts each into a pipe of which it has both ends, and
 * forgets it when the last listener goes before the pipe is read. To be asked when no signal has a listener any more, and nothing
 * listens again: on Linux; elsewhere there are none.
 */
export function caughtSignals(): number[] {
  try {
    return ownPipes().flatMap(readMessages)
  } catch {
    return [] // without /proc
  }
}

/** Those of which this process has both ends, and reads without waiting: libuv's for signals. */
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
    return undefined // that of the folder itself
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
    // EAGAIN: there are no more
  }
  return signals
}
