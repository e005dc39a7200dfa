import { constants } from 'node:os'
import { AppError } from '../errors.ts'
import type { Context } from './command.ts'

/**
 * Runs the command that stands behind `--` with our terminal and the environment we were given; passes signals on.
 * @returns its exit code, 128 + the signal's number when a signal ended it
 */
export async function runBehind({ rest, loaded }: Pick<Context, 'rest' | 'loaded'>): Promise<number> {
  const { spawn } = await import('node:child_process')
  const [command = '', ...args] = rest
  const child = spawn(command, args, { stdio: 'inherit', env: { ...loaded.env } })
  const forward = (signal: NodeJS.Signals) => child.kill(signal)
  const signals: NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGQUIT']
  for (const signal of signals) process.removeAllListeners(signal).on(signal, forward)
  return new Promise((resolve, reject) => {
    child.once('error', (cause) =>
      reject(
        new AppError('failed', `the command ${command} could not be started: ${cause.message}`, {
          hint: 'check its name and the PATH',
          cause,
        }),
      ),
    )
    child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal!]))
  })
}
