import { usage } from '../errors.ts'
import { type AskedSource, lastAnswer, noteAnswer, placeOf, type Surroundings } from './asked.ts'

/** So long after a failure, nobody asks again: who has no token of ours may still send requests that ask for it. */
const pauseMs = 1_000
const failures = new Map<AskedSource, { error: unknown; atMs: number }>()

/** One at a time: the next one begins when this one has ended. */
let before: Promise<unknown> = Promise.resolve()

/**
 * Asks for a secret, unless an answer is younger than its `ttl`.
 *
 * @param what   for messages: the key, or the thing that it is the secret of
 * @param sinceMs an answer from before this instant, as `performance.now()` counts, is too old even within its `ttl`
 * @throws {AppError} `usage`, which names the program or the server, but never what it said
 */
export function renew(source: AskedSource, what: string, around: Surroundings, sinceMs = 0): Promise<void> {
  const turn = before.then(async () => {
    const last = lastAnswer(source)
    if (last && performance.now() - last.atMs < source.ttl && last.atMs >= sinceMs) return
    const failed = failures.get(source)
    if (failed && performance.now() - failed.atMs < pauseMs) throw failed.error
    try {
      const value = (await ask(source, what, around)).replace(/\r?\n$/, '')
      if (value === '')
        throw usage(`${what}: ${placeOf(source)} gave an empty answer`, { hint: 'an empty secret is never used' })
      noteAnswer(source, { value, atMs: performance.now() })
      failures.delete(source)
    } catch (error) {
      failures.set(source, { error, atMs: performance.now() })
      throw error
    }
  })
  before = turn.catch(() => {})
  return turn
}

async function ask(source: AskedSource, what: string, around: Surroundings): Promise<string> {
  if ('command' in source) return (await import('./ask-command.ts')).askCommand(source, what, around)
  return (await import('./ask-http.ts')).askHttp(source, what, around)
}
