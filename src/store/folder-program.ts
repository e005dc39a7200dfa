import { Socket } from 'node:net'
import { answerer } from './answers.ts'
import { type Frame, frameReader, sendFrame } from './frames.ts'
import { localStore } from './local.ts'
import type { Request } from './messages.ts'
import { free } from './steps.ts'

/**
 * The process that reads and writes the folder of a store, so that it can be killed when a file call does not return
 * (docs/decisions/010-a-process-for-the-store.md). Its argument is the URL of the store; requests come and answers leave by descriptor 3. It ends
 * with that descriptor, and so with the process that started it, whatever its own threads wait for.
 */
function main(): void {
  // Whoever started us ends us; a service manager signals all processes of a service at once.
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => {})
  const answer = answerer(localStore(process.argv[2]!))
  const read = frameReader<Request>((frame) => void reply(frame))
  // One buffer for everything that arrives: 1 GB in pieces of their own would be garbage of 1 GB.
  const onread = {
    buffer: Buffer.allocUnsafeSlow(pieceBytes),
    callback: (length: number, { buffer }: Uint8Array) => {
      read(Buffer.from(buffer, 0, length))
      return true
    },
  }
  let answered = 0
  const channel = new Socket({ fd: 3, readable: true, writable: true, onread })
  const reply = async ({ message, bytes }: Frame<Request>) => {
    const { answer: text, bytes: part } = await answer(message, bytes)
    await sendFrame(channel, text, part)
    if (part) free(part)
    if (++answered % answersBeforeCollecting === 0) globalThis.gc?.()
  }
  for (const event of ['end', 'error', 'close']) channel.on(event, () => process.kill(process.pid, 'SIGKILL'))
  channel.resume()
}

const pieceBytes = 256 * 1024

/** V8 would wait for many megabytes of garbage. There is so little else here that collecting it takes a millisecond or two. */
const answersBeforeCollecting = 200

main()
