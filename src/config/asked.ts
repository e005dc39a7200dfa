// pure
import type { Env } from './environment.ts'
import type { LoginSecret } from './fields.ts'

/** A secret that is asked for, of a program or a server, and so is not there at once. */
export type AskedSource = Extract<LoginSecret, { command: string[] } | { http: string }>

export const isAsked = (source: unknown): source is AskedSource =>
  typeof source === 'object' && source !== null && ('command' in source || 'http' in source)

/** Where variables and files are. */
export type Surroundings = { env: Env; baseDir: string }

/** Asking takes at most this long, and an answer is at most this large. */
export const limits = { ms: 10_000, bytes: 65_536 }

/** An answer, and when it was given, as `performance.now()` counts. */
type Answer = { value: string; atMs: number }

/** The text of an answer; undefined for bytes that are no UTF-8, or hold a zero byte: they would be changed on their way, and then refused. */
export function textOf(chunks: readonly Buffer[]): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks))
    return text.includes('\0') ? undefined : text
  } catch {
    return undefined
  }
}

/** Answers are only kept here, never written or logged. */
const answers = new Map<string, Answer>()

const keyOf = (source: AskedSource) => JSON.stringify(source)

/** The last answer, however old; undefined if nobody has asked yet. Those who open a connection ask again first. */
export const lastAnswer = (source: AskedSource): Answer | undefined => answers.get(keyOf(source))

export const noteAnswer = (source: AskedSource, answer: Answer): void => void answers.set(keyOf(source), answer)

/** The program or the server, for messages: an argument may be a secret, and so may the query of a URL. */
export const placeOf = (source: AskedSource): string =>
  'command' in source ? `the command ${source.command[0]}` : new URL(source.http).origin
