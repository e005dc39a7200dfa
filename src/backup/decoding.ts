import { dumpName, globalsName } from '../archive/layout.ts'
import { AppError } from '../errors.ts'
import { feed, howEnded, startTool } from '../programs/child.ts'
import type { Tools } from '../programs/pgtools.ts'

type Steps = AsyncIterable<Uint8Array>

/** Something that decodes what passes. */
export type Decoding = {
  /** The same steps; each one is decoded while it is used. */
  through(steps: Steps): AsyncGenerator<Uint8Array>
  /** Call this after the last step. @throws {AppError} `corrupt` if it was not decoded to its end; `backup` if something ended the program */
  end(): Promise<void>
  /** Call this in the end, whatever happened. */
  kill(): Promise<void>
}

/** Decodes a dump with pg_restore, to its end. A program that stops reading lets the rest pass, and fails in the end. */
export function decodingDump(tools: Tools): Decoding {
  const tool = startTool(tools, 'pg_restore', ['-f', '/dev/null'])
  tool.stdout.resume()
  return {
    async *through(steps) {
      for await (const step of steps) {
        const written = feed(tool.stdin, step)
        yield step
        // the next one takes its place
        await written
      }
      if (tool.stdin.writable) tool.stdin.end()
    },
    async end() {
      const ended = await tool.ended
      const { how, hint } = howEnded(ended)
      if (ended.signal !== null)
        throw new AppError('backup', `${dumpName} could not be read back: pg_restore ${how}`, { hint })
      if (ended.code !== 0)
        throw corrupt(`pg_restore cannot decode ${dumpName}: ${ended.stderr.split('\n').at(-1) || `it ${how}`}`)
    },
    kill: tool.kill,
  }
}

/** Looks for the line with which pg_dumpall ends. */
export function decodingGlobals(): Decoding {
  let end = ''
  return {
    async *through(steps) {
      for await (const step of steps) {
        end = (end + Buffer.from(step).toString('latin1')).slice(-1_000)
        yield step
      }
    },
    async end() {
      if (!end.includes('PostgreSQL database cluster dump complete')) throw corrupt(`${globalsName} is not complete`)
    },
    async kill() {},
  }
}

const corrupt = (message: string) =>
  new AppError('corrupt', message, { hint: 'use another backup; `pgbosun backup list` shows them' })
