import { Writable } from 'node:stream'
import { AppError } from '../errors.ts'
import type { Db } from './db.ts'

/** Data to send; text is sent as UTF-8. A chunk is only read until the next one is asked for, so that its memory may be used again. */
export type Chunks = Iterable<Uint8Array | string> | AsyncIterable<Uint8Array | string>

/**
 * Sends data to a `copy … from stdin`, chunk by chunk, with never more in memory than the socket takes. Returns the number of rows.
 * Nothing else may be running on the session.
 *
 * @param db        one session (`max: 1`), in a transaction or not
 * @param statement a single COPY from the client
 * @throws the server's error with its fields (`where` names the line), even if it comes after the last byte; or what `chunks` throws,
 *         after the server has discarded the rows
 */
export async function copyIn(db: Db, statement: string, chunks: Chunks): Promise<number> {
  const query = db.unsafe(statement)
  const stdin: unknown = await query.writable()
  if (!(stdin instanceof Writable)) throw new AppError('failed', 'a COPY from the client did not ask for data')
  // The driver has settled the query with the stream, and ignores what the server answers after the last byte (postgres.js 3.4.9).
  // Without this, the stream would never end if the server refused the last line.
  const said = new Promise<{ count: number }>((resolve, reject) => Object.assign(query, { resolve, reject }))
  const sending = createSending(stdin)
  said.catch((error: Error) => sending.stop(error))
  const source = watched(chunks)
  const [answer, sent] = await Promise.allSettled([said, sending.send(source.chunks)])
  if (answer.status === 'fulfilled' && sent.status === 'fulfilled') return answer.value.count
  throw source.failure() ?? (answer.status === 'rejected' ? answer.reason : (sent as PromiseRejectedResult).reason)
}

/** Writes chunks one after the other, each when the system has taken the one before. */
function createSending(stdin: Writable) {
  let failed: Error | undefined
  let fail: ((error: Error) => void) | undefined
  // Without a listener, the error that the stream is destroyed with would end the process.
  stdin.on('error', () => {})
  const write = (chunk: Uint8Array | string) =>
    new Promise<void>((resolve, reject) => {
      fail = reject
      if (failed) reject(failed)
      else stdin.write(chunk, (error) => (error ? reject(error) : resolve()))
    })
  const stop = (error: Error) => {
    failed ??= error
    stdin.destroy(error)
    fail?.(error)
  }
  return {
    stop,
    async send(chunks: AsyncIterable<Uint8Array | string>): Promise<void> {
      try {
        for await (const chunk of chunks) await write(chunk)
        stdin.end()
      } catch (error) {
        stop(error as Error)
        throw error
      }
    },
  }
}

/**
 * The line of data that a COPY was at, from 1, according to its CONTEXT: `COPY users, line 3, column id: "x"`, in any language, and
 * after the functions that triggers ran. The server also counts a header line, and line breaks in quoted CSV values.
 */
export function copyLineOf({ where }: { where?: string | undefined }): number | undefined {
  const [, line] = /^.*?(?:COPY|복사)[^,、\n]*[,、]\D*(\d+)/m.exec(where ?? '') ?? []
  return line === undefined ? undefined : Number(line)
}

/** Remembers whether the source failed: the server answers with an error in that case too. */
function watched(chunks: Chunks) {
  let failure: unknown
  async function* pass() {
    try {
      yield* chunks
    } catch (cause) {
      failure = cause
      throw cause
    }
  }
  return { chunks: pass(), failure: () => failure }
}
