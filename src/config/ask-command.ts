import { spawn } from 'node:child_process'
import { usage } from '../errors.ts'
import { renderDuration } from '../units.ts'
import { type AskedSource, limits, type Surroundings, textOf } from './asked.ts'

/** What every command gets of our environment. */
const always = [
  'PATH',
  'HOME',
  'LANG',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'http_proxy',
  'https_proxy',
  'no_proxy',
]

type Command = Extract<AskedSource, { command: string[] }>

/**
 * What a program prints. It is started without a shell, in a process group of its own, in the folder that relative paths are relative
 * to; its stderr, which may hold a token, is thrown away.
 * @throws {AppError} `usage` with the name of the program and how it ended
 */
export function askCommand({ command, env: named = [] }: Command, what: string, { env, baseDir }: Surroundings) {
  const [program = '', ...args] = command
  const given = Object.fromEntries([...always, ...named].flatMap((name) => (env[name] ? [[name, env[name]]] : [])))
  const failed = (how: string, cause?: unknown) =>
    usage(`${what}: the command ${program} ${how}`, {
      hint: 'run it by hand, with the same user and only the variables PATH, HOME, LANG and those named in `env`, to see what it says',
      cause,
    })
  return new Promise<string>((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: baseDir,
      env: given,
      stdio: ['ignore', 'pipe', 'ignore'],
      detached: true,
    })
    const chunks: Buffer[] = []
    let bytes = 0
    const stop = (how: string) => {
      forget()
      reject(failed(how))
      child.stdout.destroy()
      kill(child.pid)
    }
    // it would outlive us
    const atExit = () => kill(child.pid)
    process.once('exit', atExit)
    const forget = () => {
      clearTimeout(timer)
      process.off('exit', atExit)
    }
    const timer = setTimeout(() => stop(`did not end within ${renderDuration(limits.ms)}, and was ended`), limits.ms)
    child.stdout.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes > limits.bytes) stop(`printed more than ${limits.bytes / 1024} KiB, which is no secret`)
    })
    child.on('error', (cause: NodeJS.ErrnoException) => {
      forget()
      reject(failed(`could not be started (${cause.code ?? 'unknown'})`, cause))
    })
    // after its output was read
    child.on('close', (code, signal) => {
      forget()
      if (code !== 0) return reject(failed(signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`))
      const text = textOf(chunks)
      if (text === undefined) reject(failed('printed something else than text in UTF-8'))
      else resolve(text)
    })
  })
}

/** The program and everything that it has started, as far as we may: one like sudo runs as somebody else. */
function kill(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if (!['ESRCH', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  }
}
