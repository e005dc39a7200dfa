import { AppError } from '../errors.ts'
import { exit } from './v8.ts'

type Name = 'stdout' | 'stderr'

/** The streams that were written to, and what went wrong with them. Opening one loads Node's network code, so only do it to write. */
const opened = new Map<Name, { stream: NodeJS.WriteStream; problem?: NodeJS.ErrnoException }>()

/** Writes text for people or programs. It may still be in memory when this returns: see {@link end}. */
export function write(to: Name, text: string): void {
  open(to).write(text)
}

function open(name: Name): NodeJS.WriteStream {
  const known = opened.get(name)
  if (known) return known.stream
  const one: { stream: NodeJS.WriteStream; problem?: NodeJS.ErrnoException } = { stream: process[name] }
  opened.set(name, one)
  // Without a listener an error here would end the run in the middle of its work.
  one.stream.on('error', (problem) => {
    one.problem ??= problem
  })
  return one.stream
}

/**
 * Ends the process once every byte is written: a pipe takes 64 KiB at a time, Node keeps the rest in memory until the reader
 * reads on, and process.exit() would lose it (measured with Node 24, whose documentation calls pipes synchronous).
 * A reader that has closed the pipe is not a failure; a full disk is. SIGINT and SIGTERM end the wait for a reader that never reads.
 * @param renderError how an error of stdout is shown on stderr
 */
export async function end(code: number, renderError: (error: AppError) => string): Promise<never> {
  for (const [signal, number] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)
    process.prependOnceListener(signal, () => exit(number))
  await Promise.all([...opened.keys()].map(arrived))
  const lost = opened.get('stdout')?.problem
  if (lost === undefined || lost.code === 'EPIPE') exit(code)
  write('stderr', `${renderError(resultLost(lost))}\n`)
  await arrived('stderr')
  exit(code === 0 ? 1 : code)
}

/** Waits until everything written so far has left this process, or cannot. */
export const arrived = (name: Name): Promise<void> =>
  new Promise((resolve) => {
    const stream = opened.get(name)?.stream
    if (stream) stream.write('', () => resolve())
    else resolve()
  })

/** For the program that replaces us: Node makes the pipes and terminals it writes to non-blocking, for every process that has them open. */
export function makeBlocking(): void {
  for (const { stream } of opened.values())
    (stream as { _handle?: { setBlocking?(on: boolean): void } })._handle?.setBlocking?.(true)
}

const resultLost = ({ code, message }: NodeJS.ErrnoException) =>
  new AppError('failed', `the result could not be written to stdout: ${code ?? message}`, {
    hint: 'the work itself is done; free space where stdout is written, then ask for the result again',
  })
