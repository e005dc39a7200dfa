import type { askingReader } from '../config/renewed.ts'
import { usage } from '../errors.ts'
import { preparePassword } from '../postgres/prepare-password.ts'
import { kindOfPassword, type Password } from '../postgres/scram.ts'
import type { Secrets } from './plan-roles.ts'
import type { DesiredRoles } from './types.ts'

/**
 * Reads every declared password. Throws the errors of the reader (`usage`, with the role, never with a value).
 *
 * @param onUnreadable called instead of throwing; that password is then missing from the result
 */
export async function readSecrets(
  { roles }: DesiredRoles,
  read: ReturnType<typeof askingReader>,
  onUnreadable?: (role: string, error: Error) => void,
): Promise<Secrets> {
  const secrets = new Map<string, Password>()
  for (const { name, password: source } of roles) {
    if (source === undefined) continue
    try {
      secrets.set(name, await asPassword(await read(source, `the password of role ${name}`), name))
    } catch (error) {
      if (!onUnreadable) throw error
      onUnreadable(name, error as Error)
    }
  }
  return secrets
}

async function asPassword(text: string, role: string): Promise<Password> {
  refuseHash(text, role)
  return kindOfPassword(text) === 'verifier'
    ? { verifier: text }
    : { password: text, prepared: await preparePassword(text) }
}

/** @throws {AppError} `usage` for a hash that we do not store */
export function refuseHash(text: string, role: string): void {
  if (kindOfPassword(text) === 'hash')
    throw usage(
      `the password of role ${role} is a hash that pgbosun does not store: md5, or a malformed SCRAM verifier`,
      {
        hint: 'give the password itself, or a complete verifier SCRAM-SHA-256$4096:… with 4,096 to 1,000,000 iterations',
      },
    )
}
