import { createInterface } from 'node:readline/promises'
import { usage } from '../errors.ts'
import { visible } from '../text.ts'

/** Asks on the terminal. @throws {AppError} `usage` for anything but yes */
export async function askYes(question: string, hint: string, signal: AbortSignal): Promise<void> {
  const answer = await ask(`${question} [y/N] `, signal)
  if (!/^y(es)?$/i.test(answer)) throw usage('not confirmed; nothing was changed', { hint })
}

/** Asks on the terminal for the name of what will be changed. @throws {AppError} `usage` for any other answer */
export async function typeName(question: string, name: string, signal: AbortSignal): Promise<void> {
  const answer = await ask(`${question} Type its name to confirm: `, signal)
  if (answer !== name) throw usage('not confirmed; nothing was changed', { hint: `type ${name}, or pass --replace` })
}

async function ask(question: string, signal: AbortSignal): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return (await terminal.question(visible(question), { signal })).trim()
  } finally {
    terminal.close()
  }
}
