import { readFileSync } from 'node:fs'

/** Where the database is, and the files with what may change while the program runs. */
export type Target = {
  url: URL
  /** Read for every new connection, so a password can be changed while the program runs. */
  passwordFile: string | undefined
  /** The authority that signed the server's certificate. Without it there is no TLS. */
  caFile: string | undefined
}

/** @throws when DATABASE_URL is missing */
export function readTarget(env: NodeJS.ProcessEnv): Target {
  const text = env.DATABASE_URL_FILE ? readSecret(env.DATABASE_URL_FILE) : env.DATABASE_URL
  if (!text) throw new Error('DATABASE_URL or DATABASE_URL_FILE is not set')
  return { url: new URL(text), passwordFile: env.DATABASE_PASSWORD_FILE, caFile: env.DATABASE_CA_FILE }
}

/** The password of the next connection: of its file, or of the URL, whose file is read again as well. */
export function readPassword(target: Target, env: NodeJS.ProcessEnv): string {
  if (target.passwordFile) return readSecret(target.passwordFile)
  return decodeURIComponent(readTarget(env).url.password)
}

const readSecret = (path: string) => readFileSync(path, 'utf8').replace(/\n$/, '')
