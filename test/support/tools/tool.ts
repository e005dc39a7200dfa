import { execFile } from 'node:child_process'
import type { FormatName } from '../../../src/config/formats.ts'

/** What a run of a tool printed, both outputs together, and its exit code. */
export type ToolRun = { code: number; output: string }

/** A migration, as every tool can say it. */
export type Part = { up: string; down: string }

/** A migration tool that runs here, driven the same way whichever it is. */
export type Tool = {
  format: Exclude<FormatName, 'pgbosun'>
  /** Runs it with arguments of its own. The migrations are in `migrations` of `cwd`. */
  run(args: string[], where: { cwd: string; url: string }): Promise<ToolRun>
  /** Arguments that apply what is pending. */
  up: string[]
  /** Arguments that undo the newest, if it can. */
  down?: string[]
  /** What it says when nothing is pending. */
  nothing: RegExp
  /** Its folder, by path, with migrations numbered from 1. `down` is left out where it has none. */
  files(parts: Part[]): Record<string, string>
  /** What pgbosun calls the migration with that number. */
  title(n: number): string
  /** A query for all that its history keeps, but instants and durations. */
  history: string
  /** The files do not tell it from every other tool, so `auto` wants its history. */
  ambiguous?: true
}

/** How tools come to this machine. */
export type Source = {
  /** With the version, as people call it. */
  name: string
  /** Only with `BOSUN_TEST_FULL=1`, because it takes long. */
  full?: true
  /** Names the folder; another version is another key. */
  key: string
  /** Fills an empty folder. @throws with a line that says why not */
  fill(dir: string): Promise<void>
  tools(dir: string): Tool[]
}

/** Runs a program to its end. Nothing of the developer's own environment reaches it if `env` is given. */
export function finished(
  program: string,
  args: string[],
  { cwd, env, timeoutMs = 120_000 }: { cwd: string; env?: Record<string, string>; timeoutMs?: number },
): Promise<ToolRun> {
  const environment = env ? { PATH: process.env.PATH, ...env } : process.env
  return new Promise((resolve, reject) => {
    execFile(program, args, { cwd, env: environment, timeout: timeoutMs }, (error, stdout, stderr) => {
      if (error && typeof error.code !== 'number') reject(error)
      else resolve({ code: typeof error?.code === 'number' ? error.code : 0, output: stdout + stderr })
    })
  })
}

/** Runs a program that has to succeed; it may take five minutes. */
export async function succeed(program: string, args: string[], cwd: string, env?: Record<string, string>) {
  const { code, output } = await finished(program, args, {
    cwd,
    timeoutMs: 300_000,
    ...(env && { env: { ...(process.env as Record<string, string>), ...env } }),
  })
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${output.trim().split('\n').slice(-3).join(' ')}`)
  return output
}

/** `001`, for the first of three digits. */
export const padded = (n: number, digits: number) => String(n).padStart(digits, '0')

/** One entry for each migration, or several; paths are below `migrations`. */
export const folder = (parts: Part[], files: (part: Part, n: number) => Record<string, string>) =>
  Object.fromEntries(
    parts.flatMap((part, i) =>
      Object.entries(files(part, i + 1)).map(([path, text]) => [`migrations/${path}`, text] as const),
    ),
  )
