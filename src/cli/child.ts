import { constants } from 'node:os'
import { AppError } from '../errors.ts'
import type { Context } from './command.ts'

/**
 * Runs the command that stands behind `--` with our terminal and the environment we were given; passes signals on.
 * @returns its exit code, 128 + the signal's number when a signal ended it
 */
export async function runBehind({
  rest,
  loaded,
  signal,
}: Pick<Context, 'rest' | 'loaded' | 'signal'>): Promise<number> {
  const { spawn } = await import('node:child_process')
  signal.throwIfAborted()
  const [command = '', ...args] = rest
  const child = spawn(command, args, { stdio: 'inherit', env: { ...loaded.env } })
  const forward = (name: NodeJS.Signals) => child.kill(name)
  const signals: NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGQUIT']
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
