import { createHash, createHmac, pbkdf2Sync, timingSafeEqual } from 'node:crypto'

/** A password, and the form of it that verifiers are derived from (RFC 4013). Never logged, never part of a plan. */
export type Password = { password: string; prepared: string }

const shape = /^SCRAM-SHA-256\$(\d+):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]{44}):([A-Za-z0-9+/=]{44})$/

/**
 * What the server stores for a password, so that the password itself never has to be sent.
 *
 * @param prepared the password after {@link preparePassword}
 * @returns `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`
 * @see https://www.rfc-editor.org/rfc/rfc5803
 */
export function makeVerifier(prepared: string, { salt, iterations }: { salt: Buffer; iterations: number }): string {
  const salted = pbkdf2Sync(prepared, salt, iterations, 32, 'sha256')
  const hmac = (text: string) => createHmac('sha256', salted).update(text).digest()
  const storedKey = createHash('sha256').update(hmac('Client Key')).digest('base64')
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${hmac('Server Key').toString('base64')}`
}

/**
 * Whether the stored form of a role's password is that of this password.
 * `outdated`: it is, but as an md5 hash, which is to be replaced.
 */
export function matchesVerifier(stored: string | null, secret: Password, role: string): 'yes' | 'no' | 'outdated' {
  if (stored === null) return 'no'
  const [, iterations, salt] = shape.exec(stored) ?? []
  if (iterations !== undefined && salt !== undefined) {
    const made = makeVerifier(secret.prepared, { salt: Buffer.from(salt, 'base64'), iterations: Number(iterations) })
    return equal(made, stored) ? 'yes' : 'no'
  }
  const md5 = `md5${createHash('md5').update(`${secret.password}${role}`).digest('hex')}`
  return equal(md5, stored) ? 'outdated' : 'no'
}

function equal(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}

/**
 * The form of a password that the server itself would hash: SASLprep, and the very bytes where that is not possible.
 * Clients that skip SASLprep (postgres.js among them) cannot log in with a password that it changes.
 */
export async function preparePassword(password: string): Promise<string> {
  if (Buffer.byteLength(password) === password.length) return password
  const { default: saslprep } = await import('@mongodb-js/saslprep')
  try {
    return saslprep(password) || password
  } catch {
    return password
  }
}
