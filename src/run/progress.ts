import { visible } from '../text.ts'
import type { Context } from './context.ts'

const quietMs = 10_000

/** Back to the start of the line, and clear it. */
const clear = '\r\u001b[K'

/**
 * Shows the progress of long work: on a terminal a bar on stderr, and a line for each finished item that has a name; otherwise a
 * log line every 10 s.
 * @param what is counted: `migrations`
 */
export async function withProgress<T>(
  { log, out }: Pick<Context, 'log' | 'out'>,
  what: string,
  work: (onProgress: (done: number, total: number, name?: string, durationMs?: number) => void) => Promise<T>,
): Promise<T> {
  const terminal = out.terminal()
  let lastAt = performance.now()
  let drawn = false
  try {
    return await work((done, total, name, durationMs) => {
      const now = performance.now()
      if (terminal && name !== undefined) {
        terminal(`${drawn ? clear : ''}  ${visible(name)}  ${durationMs} ms\n`)
        drawn = false
      }
      if (now - lastAt < (terminal ? 100 : quietMs)) return
      lastAt = now
      const percent = Math.floor((100 * done) / total)
      if (!terminal) return log.info({ done, total, percent }, `${what}: ${percent} %`)
      drawn = true
      terminal(`\r${'█'.repeat(Math.floor(percent / 4)).padEnd(25, '░')} ${done}/${total} ${what}`)
    })
  } finally {
    if (drawn) terminal?.(clear)
  }
}
