import { pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import type { Password } from '../postgres/scram.ts'
import type { PasswordPrint } from '../state/notes.ts'

/** So slow that guessing is no easier than with a stored verifier; OWASP's number for PBKDF2 with SHA-256. */
const iterations = 600_000

const derive = promisify(pbkdf2)

const textOf = (secret: Password) => ('verifier' in secret ? secret.verifier : secret.prepared)

/** What is remembered of a password, or of a verifier, that was set. */
export async function makePrint(secret: Password, salt = randomBytes(16)): Promise<PasswordPrint> {
  const hash = await derive(textOf(secret), salt, iterations, 32, 'sha256')
  return { salt: salt.toString('base64'), iterations, hash: hash.toString('base64') }
}

/** Whether it is what was remembered. */
export async function fitsPrint(secret: Password, print: PasswordPrint | undefined): Promise<boolean> {
  // the number is from a table, and would keep us busy for as long as it says
  if (print === undefined || print.iterations !== iterations) return false
  const [salt, hash] = [Buffer.from(print.salt, 'base64'), Buffer.from(print.hash, 'base64')]
  const found = await derive(textOf(secret), salt, iterations, 32, 'sha256')
  return hash.length === found.length && timingSafeEqual(hash, found)
}
