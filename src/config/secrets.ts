import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { usage } from '../errors.ts'
import { type AskedSource, isAsked, lastAnswer, placeOf } from './asked.ts'
import type { Env } from './environment.ts'
import type { SecretSource } from './fields.ts'
import { looksLikeUrl } from './predicates.ts'

/** Reads secrets from where the configuration says. Files are read again at every call, so that a rotated secret is noticed. */
export type SecretReader = (source: SecretSource, what: string) => string

/**
 * @returns a reader that throws `usage`, which names the thing, the variable or the file, but never the value
 * @param baseDir what relative paths are relative to
 */
export function secretReader(env: Env, baseDir: string): SecretReader {
  return (source, what) => {
    if (isAsked(source)) return answered(source, what)
    return 'env' in source
      ? fromEnvironment(env, source.env, what, baseDir)
      : readSecretFile(source.file, what, baseDir)
  }
}

function answered(source: AskedSource, what: string): string {
  const { value } = lastAnswer(source) ?? {}
  if (value !== undefined) return value
  throw usage(`${what}: it is asked for at ${placeOf(source)}, which this command does not do`, {
    hint: 'a command that connects asks for it, for example `pgbosun wait`',
  })
}

function fromEnvironment(env: Env, name: string, what: string, baseDir: string): string {
  if (looksLikeUrl(name)) throw notThat(what, 'the name of a variable')
  const value = env[name]
  const file = env[`${name}_FILE`]
  if (value !== undefined && value !== '') return value
  if (file !== undefined && file !== '') return readSecretFile(file, what, baseDir)
  throw usage(`${what}: the environment variable ${name} is not set`, {
    hint: `set ${name}, or set ${name}_FILE to the path of a file`,
  })
}

const reasons: Record<string, [string, string]> = {
  ENOENT: ['does not exist', 'check the path, and that the secret is mounted there'],
  EISDIR: ['is a folder', 'name the file in it (Docker creates a folder if the file to mount does not exist)'],
  EACCES: [
    'cannot be read (EACCES)',
    'make it readable by the user that pgbosun runs as (in Kubernetes: fsGroup and defaultMode 0440)',
  ],
}

/** Why a secret file cannot be read, and what to do about it. */
export function unreadable({ code = '' }: NodeJS.ErrnoException): { problem: string; hint: string } {
  const [problem, hint] = reasons[code] ?? [`cannot be read (${code})`, 'check the path']
  return { problem, hint }
}

/** Content of a file without one trailing newline. */
export function readSecretFile(named: string, what: string, baseDir: string): string {
  refuseUrlAsPath(named, what)
  const path = resolve(baseDir, named)
  try {
    const value = readFileSync(path, 'utf8').replace(/\r?\n$/, '')
    if (value === '') throw usage(`${what}: the file ${path} is empty`, { hint: 'write the secret into it' })
    return value
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).syscall === undefined) throw cause
    const { problem, hint } = unreadable(cause as NodeJS.ErrnoException)
    throw usage(`${what}: the file ${path} ${problem}`, { hint, cause })
  }
}

/** A URL where a path is expected is a secret in the wrong place. @throws {AppError} `usage` */
export function refuseUrlAsPath(path: string, what: string): void {
  if (looksLikeUrl(path)) throw notThat(what, 'the path of a file')
}

const notThat = (what: string, expected: string) =>
  usage(`${what}: this is a URL, but ${expected} is expected`, {
    hint: 'put the URL into DATABASE_URL, or into a file, and write the path of that file here',
  })
