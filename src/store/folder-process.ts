import { type ChildProcess, spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { AppError } from '../errors.ts'
import { type Frame, frameReader, sendFrame } from './frames.ts'
import { type Answer, errorOf, type Request } from './messages.ts'
import { free } from './steps.ts'
import { unanswered } from './unanswered.ts'

/** The folder of the built program; the build puts it in. */
declare const PGBOSUN_FOLDER: string | undefined

const program =
  typeof PGBOSUN_FOLDER === 'string'
    ? join(PGBOSUN_FOLDER, 'folder-program.js')
    : join(import.meta.dirname, 'folder-program.ts')

/** A running process that makes the file calls of a store. */
export type FolderProcess = {
  /** Asks for one thing. Rejects with the error of the store, or with that of a process that is gone. */
  ask(request: Omitted<Request>, bytes?: Uint8Array): Promise<Answered>
  /** Keeps the process until what is returned is called: something is open in it. */
  hold(): () => void
  /** Ends it at once, whatever its calls wait for: what was asked rejects with this error. */
  kill(error: Error): void
  /** Ends it, unless it is doing something: a new one has less memory than one that has read thousands of objects. */
  rest(): void
  readonly ended: boolean
  /** Resolves once it is gone: after SIGKILL at once, unless a file call of it cannot be interrupted. */
  gone: Promise<void>
}

type Omitted<R> = R extends Request ? Omit<R, 'id'> : never
type Answered = { id: number; value: unknown; bytes: Buffer | undefined }
type Asked = { resolve(answer: Answered): void; reject(error: Error): void; timer: NodeJS.Timeout }

/** It takes a few milliseconds of processor time to start it again, and it has 10 MB of memory of its own. */
const idleMs = 10_000

/** Nothing else takes so long, a recovering server of NFS included. Making a large object durable may: its backup has a time limit. */
const longestMs = 120_000
const longestFlushMs = 3_600_000
const limitOf = ({ call }: Pick<Request, 'call'>) =>
  call === 'write' || call === 'commit' ? longestFlushMs : longestMs

/** Starts the process, without our environment. @param url of the store, for messages too */
export function startFolderProcess(url: string): FolderProcess {
  const child = launch(url)
  const channel = child.stdio[3] as Socket
  const asked = new Map<number, Asked>()
  let lastId = 0
  let held = 0
  let ended = false
  let idle: NodeJS.Timeout | undefined

  /** Nothing that is idle keeps us from ending; what was asked does. */
  const settle = () => {
    clearTimeout(idle)
    for (const one of [child, channel]) asked.size > 0 ? one.ref() : one.unref()
    if (asked.size + held > 0 || ended) return
    idle = setTimeout(() => kill(new Error('idle')), idleMs).unref()
  }
  const answer = (id: number) => {
    const one = asked.get(id)
    clearTimeout(one?.timer)
    asked.delete(id)
    if (asked.size === 0) settle()
    return one
  }
  const kill = (error: Error) => {
    ended = true
    child.kill('SIGKILL')
    channel.destroy()
    for (const id of asked.keys()) answer(id)!.reject(error)
  }
  const read = frameReader<Answer>(({ message: { id, value, problem }, bytes }: Frame<Answer>) => {
    const one = answer(id)
    if (problem) one?.reject(errorOf(problem))
    else one?.resolve({ id, value, bytes })
  })
  channel.on('data', (piece: Buffer) => {
    read(piece)
    free(piece)
  })
  // how the process ended tells more
  channel.on('error', () => {})
  child.once('error', (cause) => kill(notStarted(url, cause)))
  child.once('exit', () => kill(lost(url, child)))
  settle()
  const gone = new Promise<void>((resolve) => {
    for (const event of ['exit', 'error']) child.once(event, () => resolve())
  })
  return {
    gone,
    ask: (request, bytes) =>
      new Promise((resolve, reject) => {
        if (ended) return reject(lost(url, child))
        const id = ++lastId
        const timer = setTimeout(() => kill(unanswered(url)), limitOf(request))
        asked.set(id, { resolve, reject, timer })
        if (asked.size === 1) settle()
        void sendFrame(channel, { ...request, id }, bytes)
      }),
    hold() {
      held++
      settle()
      return () => {
        held--
        settle()
      }
    },
    kill,
    rest() {
      if (asked.size + held === 0) kill(new Error('idle'))
    },
    get ended() {
      return ended
    },
  }
}

/**
 * In a group of its own, so that a signal from the keyboard leaves it to us to end it. It looks for nothing in our working directory,
 * which may be gone.
 */
const launch = (url: string): ChildProcess =>
  spawn(process.execPath, ['--max-semi-space-size=1', '--expose-gc', program, url], {
    cwd: '/',
    // one arena: the threads that call the file system would have one each, of memory that is seldom used
    env: { MALLOC_ARENA_MAX: '1' },
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  })

const notStarted = (url: string, cause: Error) =>
  new AppError('backup', `the process that reads and writes ${url} could not be started: ${cause.message}`, {
    reason: 'store-unreadable',
    hint: 'allow this container or user more processes and memory',
    cause,
  })

const lost = (url: string, { exitCode, signalCode }: ChildProcess) =>
  new AppError(
    'backup',
    `the process that reads and writes ${url} was ended by ${signalCode ?? `exit code ${exitCode}`}`,
    {
      reason: 'store-unreadable',
      hint: 'if memory ran out, raise the memory limit of the container; then run it again',
    },
  )
