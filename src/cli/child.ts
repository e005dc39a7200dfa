import { closeSync, openSync, readSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { AppError } from '../errors.ts'
import { isExecutable } from '../machine/executable.ts'
import { caughtSignals } from './caught-signals.ts'
import type { CommandContext } from './command.ts'
import { makeBlocking } from './streams.ts'
import { exit } from './v8.ts'

/**
 * Replaces this process with the command after `--`: same process id, same terminal, the environment that we were given. What exec(2)
 * cannot start (a script without `#!`, a name that does not exist) is started as a child process; its error says what is wrong.
 * @returns the exit code of that child process
 */
export async function runAfterwards({
  rest,
  loaded,
  signal,
}: Pick<CommandContext, 'rest' | 'loaded' | 'signal'>): Promise<number> {
  const [command = '', ...args] = rest
  const env = { ...loaded.env }
  const program = process.execve && findProgram(command, env.PATH)
  // Let signals that have already arrived reach their listeners: only the second turn is sure to have polled the system.
  await turn()
  await turn()
  signal.throwIfAborted()
  if (program !== undefined) become(program, rest, env)

  const { spawn } = await import('node:child_process')
  signal.throwIfAborted()
  const child = spawn(command, args, { stdio: 'inherit', env })
  const forward = (name: NodeJS.Signals) => child.kill(name)
  for (const name of signals) process.removeAllListeners(name).on(name, forward)
  return new Promise((resolve, reject) => {
    child.once('error', (cause) =>
      reject(
        new AppError('failed', `the command ${command} could not be started: ${cause.message}`, {
          hint: 'check its name and the PATH',
          cause,
        }),
      ),
    )
    child.once('exit', (code, name) => resolve(code ?? 128 + constants.signals[name!]))
  })
}

const signals: NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGQUIT']

/** Node aborts when exec(2) fails, so `program` must be one that starts. */
function become(program: string, argv: string[], env: NodeJS.ProcessEnv): void {
  // From here on our handlers would only swallow signals: without them, a signal ends this process or the next program.
  for (const name of signals) process.removeAllListeners(name)
  // A signal caught just before that ends this process now, by exit code: process 1 of a container ignores signals without a handler.
  const [caught] = caughtSignals()
  if (caught !== undefined) exit(128 + caught)
  // Node ignores these two, and exec(2) keeps ignored signals ignored; signals with a handler return to their default.
  for (const name of ['SIGPIPE', 'SIGXFSZ'] as const) process.on(name, () => undefined)
  makeBlocking()
  process.execve?.(program, argv, env)
}

/** @returns the path of a program that exec(2) can start; undefined when it cannot, or when that is uncertain */
function findProgram(command: string, path = '/usr/local/bin:/usr/bin:/bin'): string | undefined {
  const candidates = command.includes('/') ? [command] : path.split(':').map((dir) => join(dir || '.', command))
  const program = candidates.find(isExecutable)
  return program !== undefined && command !== '' && starts(program) ? program : undefined
}

/** Whether the file is an ELF program, or names an interpreter that is one. */
function starts(program: string): boolean {
  const head = readHead(program)
  if (head.startsWith('\x7fELF')) return true
  const interpreter = /^#![ \t]*(\/[^\s]+)/.exec(head)?.[1]
  return interpreter !== undefined && isExecutable(interpreter) && readHead(interpreter).startsWith('\x7fELF')
}

/** The first 256 bytes: as much as the kernel reads to recognise a program. */
function readHead(path: string): string {
  try {
    const fd = openSync(path, 'r')
    try {
      const bytes = Buffer.alloc(256)
      return bytes.toString('latin1', 0, readSync(fd, bytes))
    } finally {
      closeSync(fd)
    }
  } catch {
    return ''
  }
}
