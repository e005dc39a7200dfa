import { usage } from '../errors.ts'
import { isBech32 } from './bech32.ts'
import type { Env } from './environment.ts'
import type { Config } from './schema.ts'
import { secretReader } from './secrets.ts'

/** What opens backups, and proves where they come from. Never shown. */
export type Keys = {
  /** `AGE-SECRET-KEY-1…`; empty where none is configured. */
  identities: readonly string[]
  /** `backup.sign.secret`: the first signs, each is accepted; empty where backups are not signed. */
  secrets: Secrets
}

export type Secrets = readonly string[]

/**
 * Reads the keys again, as every secret.
 * @throws {AppError} `usage` where one is configured and cannot be used
 */
export function readKeys(config: Config, env: Env, baseDir: string): Keys {
  const { encrypt } = config.backup
  const key = 'backup.encrypt.identity'
  const text = encrypt?.identity && secretReader(env, baseDir)(encrypt.identity, key)
  return {
    identities: text === undefined ? [] : parseIdentities(text, key),
    secrets: readSecrets(config, env, baseDir),
  }
}

/** For work that never decrypts: the identity need not be there. @throws {AppError} `usage` */
export function readSecrets({ backup: { sign } }: Pick<Config, 'backup'>, env: Env, baseDir: string): Secrets {
  if (sign === undefined) return []
  const secrets = linesOf(secretReader(env, baseDir)(sign.secret, 'backup.sign.secret'))
  if (secrets.length > 0 && secrets.every(({ length }) => length >= 32)) return secrets
  throw usage('backup.sign.secret has fewer than 32 characters, so it could be guessed', {
    hint: 'make one with `openssl rand -hex 32`',
  })
}

const linesOf = (text: string) =>
  text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '')

const isIdentity = (line: string) =>
  line.length === 74 && line === line.toUpperCase() && isBech32(line.toLowerCase(), 'age-secret-key-')

/** The identities in a text: one in each line, as `age-keygen` writes them. @throws {AppError} `usage`, which shows nothing of it */
export function parseIdentities(text: string, what: string): string[] {
  const lines = linesOf(text).filter((line) => !line.startsWith('#'))
  const wrong = lines.findIndex((line) => !isIdentity(line))
  if (lines.length > 0 && wrong < 0) return lines
  const isLocked = /^(age-encryption\.org\/|-----BEGIN AGE ENCRYPTED FILE-----)/.test(lines[0] ?? '')
  throw usage(
    lines.length === 0
      ? `${what}: there is no identity in it`
      : isLocked
        ? `${what}: the identity is itself encrypted, with a passphrase that nobody can type here`
        : `${what}: ${lines.length === 1 ? 'it' : `line ${wrong + 1} of ${lines.length}`} is not an identity of age`,
    {
      hint: isLocked
        ? 'decrypt it with `age --decrypt`, and give the secret to pgbosun where nobody else can read it'
        : 'an identity is one line, AGE-SECRET-KEY-1 and 58 more characters, as `age-keygen` writes it; a recipient, age1…, opens nothing',
    },
  )
}
