import { visible } from '../text.ts'
import type { Context } from './context.ts'

const quietMs = 10_000

/** Back to the start of the line, and clear it. */
const clear = '\r\u001b[K'

/** Where long work is within a database. Names are quoted. */
export type AtTable = { table: string | null; tablesDone: number; tablesTotal: number }

/** Where long work is within a file of rows. `rows`: about how many. */
export type AtRows = { file: string; rows: number; rowsPerSecond: number }

type At = AtTable | AtRows

type OnProgress = (done: number, total: number, name?: string, durationMs?: number, at?: At) => void

/**
 * Shows the progress of long work: on a terminal a bar on stderr, and a line for each finished item that has a name; otherwise a
 * log line every 10 s.
 * @param what is counted: `migrations`
 */
export async function withProgress<T>(
  { log, out }: Pick<Context, 'log' | 'out'>,
  what: string,
  work: (onProgress: OnProgress) => Promise<T>,
): Promise<T> {
  const terminal = out.terminal()
  let lastAt = performance.now()
  let drawn = false
  try {
    return await work((done, total, name, durationMs, at) => {
      const now = performance.now()
      if (terminal && name !== undefined) {
        terminal(`${drawn ? clear : ''}  ${visible(name)}  ${durationMs} ms\n`)
        drawn = false
      }
      if (now - lastAt < (terminal ? 100 : quietMs)) return
      lastAt = now
      const percent = Math.floor((100 * done) / Math.max(1, total))
      if (!terminal)
        return log.info({ done, total, percent, ...(at && fieldsOf(at)) }, `${percent} % of ${total} ${what}`)
      drawn = true
      const bar = '█'.repeat(Math.floor(percent / 4)).padEnd(25, '░')
      const text = `${bar} ${done}/${total} ${what}`
      terminal(`${clear}${text}${at ? renderAt(at, longestLine - text.length) : ''}`)
    })
  } finally {
    if (drawn) terminal?.(clear)
  }
}

const fieldsOf = (at: At) =>
  'file' in at
    ? { seed: at.file, rows: at.rows, rows_per_second: at.rowsPerSecond }
    : { table: at.table, tables_done: at.tablesDone, tables_total: at.tablesTotal }

/** A line that does not fit cannot be cleared. */
const longestLine = 79
const shortestName = 8

/** @param room how many characters there are for it */
function renderAt(at: At, room: number): string {
  const [counted, table] =
    'file' in at
      ? [`, ${at.rowsPerSecond.toLocaleString('en')} rows/s`, at.file]
      : [`, ${at.tablesDone}/${at.tablesTotal} tables`, at.table]
  if (counted.length > room) return ''
  const name = table === null ? '' : `, ${visible(table)}`
  const left = room - counted.length
  if (name.length <= left) return `${counted}${name}`
  return left < shortestName ? counted : `${counted}${name.slice(0, left - 1)}…`
}
