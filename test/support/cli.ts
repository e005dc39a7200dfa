import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..', '..')
const built = join(root, 'dist', 'pgbosun.cjs')

/** The program as users start it: the bundle where `npm run build` made it, else the sources. */
export const program =
  existsSync(built) && process.env.BOSUN_TEST_SOURCES === undefined ? built : join(root, 'src', 'cli', 'main.ts')

export type Finished = { code: number | null; signal: NodeJS.Signals | null; stdout: string; stderr: string }

export type Started = { child: ChildProcess; finished: Promise<Finished> }

/**
 * Nothing of the developer's own environment reaches the program.
 * @param options `through`: a command that becomes the program
 */
export function start(
  args: string[],
  { cwd, env = {}, through = [] }: { cwd: string; env?: Record<string, string>; through?: string[] },
): Started {
  const [file = '', ...rest] = [...through, process.execPath, program, ...args]
  const child = spawn(file, rest, {
    cwd,
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const out = { stdout: '', stderr: '' }
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8') // a character may come in two pieces
  child.stdout.on('data', (chunk) => {
    out.stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    out.stderr += chunk
  })
  const finished = new Promise<Finished>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ code, signal, ...out }))
  })
  return { child, finished }
}

/** Runs the program to its end. */
export const run = (args: string[], options: { cwd: string; env?: Record<string, string> }) =>
  start(args, options).finished

/** Runs it with `--json`; the document must be the only thing on stdout. */
export async function runJson(args: string[], options: { cwd: string; env?: Record<string, string> }) {
  const finished = await run([...args, '--json'], options)
  return {
    ...finished,
    json: JSON.parse(finished.stdout) as Record<string, unknown> & {
      exit_code: number
      error: Record<string, unknown> | null
    },
  }
}
