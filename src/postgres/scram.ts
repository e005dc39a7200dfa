// pure
import { createHash, createHmac, pbkdf2Sync, timingSafeEqual } from 'node:crypto'

/**
 * A password, and its prepared form that verifiers are derived from (RFC 4013); or a verifier for the server to store, of a password
 * that we do not know. Never logged, never part of a plan.
 */
export type Password = { password: string; prepared: string } | { verifier: string }

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
 * Whether what the server stores for a role belongs to this password.
 * `outdated`: it does, but it is an md5 hash, which should be replaced.
 */
export function matchesVerifier(stored: string | null, secret: Password, role: string): Match {
  const before = compared.get(secret)
  if (before?.stored === stored && before.role === role) return before.match
  const match = compare(stored, secret, role)
  compared.set(secret, { stored, role, match })
  return match
}

export type Match = 'yes' | 'no' | 'outdated'

/** What was found last, because it takes a millisecond or more: `up` compares while the server is still answering. */
const compared = new WeakMap<Password, { stored: string | null; role: string; match: Match }>()

function compare(stored: string | null, secret: Password, role: string): Match {
  if (stored === null) return 'no'
  if ('verifier' in secret) return equal(stored, secret.verifier) ? 'yes' : 'no'
  const [, iterations, salt] = shape.exec(stored) ?? []
  if (iterations !== undefined && salt !== undefined) {
    const made = makeVerifier(secret.prepared, { salt: Buffer.from(salt, 'base64'), iterations: Number(iterations) })
    return equal(made, stored) ? 'yes' : 'no'
  }
  const md5 = `md5${createHash('md5').update(`${secret.password}${role}`).digest('hex')}`
  return equal(md5, stored) ? 'outdated' : 'no'
}

/** Fewest and most iterations: PostgreSQL's own default, and what still allows logins in reasonable time. */
const sensibleIterations = [4_096, 1_000_000] as const

/**
 * What a declared password is. The server stores anything that looks like a hash as it is, and the password behind it is the one that works.
 * @returns `hash`: a hash that must not be stored: md5, truncated, or with too few or too many iterations
 */
export function kindOfPassword(text: string): 'password' | 'verifier' | 'hash' {
  if (/^md5[0-9a-f]{32}$/i.test(text)) return 'hash'
  if (!/^SCRAM-SHA-\d+\$/i.test(text)) return 'password'
  const [, iterations = '', salt = '', storedKey = '', serverKey = ''] = shape.exec(text) ?? []
  const [least, most] = sensibleIterations
  const rounds = /^[1-9]\d*$/.test(iterations) ? Number(iterations) : 0
  const isWellFormed =
    rounds >= least && rounds <= most && bytesIn(salt) > 0 && bytesIn(storedKey) === 32 && bytesIn(serverKey) === 32
  return isWellFormed ? 'verifier' : 'hash'
}

/** 0 for what is no canonical base64. */
function bytesIn(base64: string): number {
  const bytes = Buffer.from(base64, 'base64')
  return bytes.toString('base64') === base64 ? bytes.length : 0
}

function equal(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}
