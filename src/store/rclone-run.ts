import type { Readable, Writable } from 'node:stream'
import { execa } from 'execa'
import { AppError } from '../errors.ts'
import { lastWords } from './rclone-said.ts'

/** How a call of rclone ended, and the last thing that it said. */
export type RcloneEnded = { code: number; said: string }

/** A running call of rclone. */
export type Call = {
  stdin: Writable
  stdout: Readable
  /** Settles when it has ended. @throws the error of `giveUp`; {AppError} `backup` if it could not be started */
  ended: Promise<RcloneEnded>
  /** Ends it at once. */
  kill(): void
}

/** Calls rclone. */
export type Rclone = {
  start(args: string[]): Call
  /** A call to its end, with what it wrote to stdout. */
  run(args: string[]): Promise<RcloneEnded & { stdout: string }>
  /** Ends every call, which then fails with this error. */
  giveUp(error: Error): void
}

/** We decide what is tried again, and nothing may ask a question or be taken for the same because of its size and its time. */
const always = ['--ask-password=false', '--retries=1', '--ignore-times', '--log-level=ERROR', '--stats=0']

/** @param env all that rclone gets to see */
export function rcloneWith(env: Record<string, string>): Rclone {
  const running = new Map<Call, (error: Error) => void>()
  const start = (args: string[]): Call => {
    const child = execa('rclone', [...args, ...always], {
      env,
      extendEnv: false,
      detached: true,
      buffer: false,
      reject: false,
      stdin: 'pipe',
      stripFinalNewline: false,
    })
    child.stdin.on('error', () => {})
    let given: Error | undefined
    const kill = () => {
      if (child.pid === undefined) return
      try {
        process.kill(-child.pid, 'SIGKILL')
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
      }
    }
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-4_096)
    })
    const ended = child
      .then(({ exitCode, signal, originalMessage, cause }) => {
        if (given) throw given
        if (exitCode === undefined && signal === undefined) throw notStarted(originalMessage, cause)
        return { code: exitCode ?? -1, said: exitCode === undefined ? `it was ended by ${signal}` : lastWords(said) }
      })
      .finally(() => running.delete(call))
    ended.catch(() => {})
    const call: Call = { stdin: child.stdin, stdout: child.stdout, ended, kill }
    running.set(call, (error) => {
      given = error
      kill()
    })
    return call
  }
  return {
    start,
    async run(args) {
      const { stdin, stdout, ended } = start(args)
      stdin.end()
      const chunks: Buffer[] = []
      for await (const chunk of stdout) chunks.push(chunk as Buffer)
      return { ...(await ended), stdout: Buffer.concat(chunks).toString('utf8') }
    },
    giveUp(error) {
      for (const end of running.values()) end(error)
    },
  }
}

const notStarted = (how = 'the reason is unknown', cause?: unknown) =>
  new AppError('backup', `the program rclone could not be started: ${how.split('\n')[0]}`, {
    reason: 'store-unreadable',
    hint: 'install rclone where pgbosun runs: `backup.store` with rclone:// needs it',
    cause,
  })
