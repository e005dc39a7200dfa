import { usage } from '../errors.ts'
import type { BackupChoice } from './backup-choices.ts'

/** Lets a person pick a backup from a table on the terminal. @throws {AppError} `usage` if none is picked; the signal's reason */
export async function pickBackup(options: BackupChoice[], signal: AbortSignal): Promise<string> {
  // Only this needs it, and it would slow every start down.
  const { isCancel, select } = await import('@clack/prompts')
  // A terminal that nobody told its size, as in a container, has 0 columns: every character would get a line of its own.
  if (!process.stderr.columns) Object.assign(process.stderr, { columns: 100, rows: 24 })
  const picked = await select({
    message: 'Which backup?',
    options,
    maxItems: 12,
    output: process.stderr,
    signal,
  })
  signal.throwIfAborted()
  if (isCancel(picked))
    throw usage('no backup was picked; nothing was changed', { hint: 'pick one with Enter, or give its id, or latest' })
  return picked
}
