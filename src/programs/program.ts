import { basename, isAbsolute, join, resolve } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { execa } from 'execa'
import { AppError, usage } from '../errors.ts'
import { isExecutable } from '../machine/executable.ts'
import { endGroup, signalGroup } from './child.ts'

/** How the user's program ended. */
export type ProgramEnded = { code: number | null; signal: NodeJS.Signals | null }

/** A running program of the user, the leader of a process group. */
export type Program = {
  /** Settles when it has ended and its output was read. */
  ended: Promise<ProgramEnded>
  /** Asks it to end, and kills it after 8 s; resolves when it and everything it started have ended. */
  stop(): Promise<void>
  /** Ends it at once. */
  kill(): void
}

export type ProgramOptions = {
  env: Record<string, string>
  cwd: string
  /** Called with each line of its output, on either stream, without colours and without the secrets. */
  onLine(line: string, stream: 'stdout' | 'stderr'): void
  /** Texts that must not be shown. */
  secrets: string[]
}

/** Enough to roll back and report that; an orchestrator kills after 30 s. */
const graceMs = 8_000

/** Starts a program without stdin, and with exactly this environment. */
export function startProgram(path: string, args: string[], { env, cwd, onLine, secrets }: ProgramOptions): Program {
  const child = execa(path, args, {
    env,
    cwd,
    extendEnv: false,
    detached: true,
    buffer: false,
    reject: false,
    stdin: 'ignore',
    stripFinalNewline: false,
  })
  for (const stream of ['stdout', 'stderr'] as const)
    eachLine(child[stream], (line) => onLine(conceal(stripVTControlCharacters(line), secrets), stream))
  let running = true
  const ended = Promise.resolve(child)
    .then(({ exitCode, signal, originalMessage, cause }): ProgramEnded => {
      if (exitCode === undefined && signal === undefined)
        throw new AppError('migration', `${path} could not be started: ${originalMessage}`, {
          hint: 'check the file, and the interpreter in its first line',
          cause,
        })
      return { code: exitCode ?? null, signal: signal ?? null }
    })
    .finally(() => {
      running = false
    })
  ended.catch(() => {})
  return {
    ended,
    stop: async () => (running ? endGroup(child.pid, ended, graceMs) : undefined),
    kill: () => {
      if (running && child.pid !== undefined) signalGroup(child.pid, 'SIGKILL')
    },
  }
}

/**
 * The path of a program, as a shell would find it.
 * @param where `path` is the PATH; a name with a slash is relative to `cwd`
 * @throws {AppError} `usage` if there is no executable file
 */
export function findProgram(
  name: string,
  { path = '/usr/local/bin:/usr/bin:/bin', cwd }: { path?: string | undefined; cwd: string },
): string {
  const candidates = name.includes('/')
    ? [resolve(cwd, name)]
    : path.split(':').map((dir) => join(isAbsolute(dir) ? dir : resolve(cwd, dir), name))
  const found = candidates.find(isExecutable)
  if (found !== undefined) return found
  throw usage(`the program ${name} was not found`, {
    hint: name.includes('/')
      ? `check \`migrate.command\`: ${candidates[0]} is not an executable file`
      : 'install it, or write its path: `migrate.command` begins with a program in the PATH, or with a path; for a shell command, write [sh, -c, "…"]',
  })
}

/** Name of a program, for messages. */
export const programName = ([path = '']: string[]) => basename(path)

/** Longer lines are cut, because a program may write anything. */
const longestLine = 16_384

function eachLine(stream: NodeJS.ReadableStream, use: (line: string) => void): void {
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (text: string) => {
    const lines = (rest + text).split(/\r\n|\n|\r(?!$)/)
    rest = (lines.pop() ?? '').slice(0, longestLine)
    for (const line of lines) use(line)
  })
  stream.on('end', () => {
    if (rest !== '') use(rest)
  })
}

/** Shorter secrets are not replaced: they could be part of ordinary words. */
const conceal = (line: string, secrets: string[]) =>
  secrets.filter(({ length }) => length > 3).reduce((text, secret) => text.replaceAll(secret, '***'), line)
