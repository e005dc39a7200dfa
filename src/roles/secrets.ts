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
  { roles, plaintext }: Pick<DesiredRoles, 'roles' | 'plaintext'>,
  read: ReturnType<typeof askingReader>,
  onUnreadable?: (role: string, error: Error) => void,
): Promise<Secrets> {
  const secrets = new Map<string, Password>()
  for (const { name, password: source } of roles) {
    if (source === undefined) continue
    try {
      const text = await read(source, `the password of role ${name}`)
      refuseHash(text, name, { plaintext })
      secrets.set(name, await asPassword(text))
    } catch (error) {
      if (!onUnreadable) throw error
      onUnreadable(name, error as Error)
    }
  }
  return secrets
}

async function asPassword(text: string): Promise<Password> {
  return kindOfPassword(text) === 'verifier'
    ? { verifier: text }
    : { password: text, prepared: await preparePassword(text) }
}

/** @throws {AppError} `usage` for a hash that we do not store, and for any that would be sent as if it were a password */
export function refuseHash(text: string, role: string, { plaintext }: { plaintext?: true | undefined } = {}): void {
  const kind = kindOfPassword(text)
  if (kind === 'verifier' && plaintext)
    throw usage(`the password of role ${role} is a verifier, but passwords.send is plaintext`, {
      hint: 'give the password itself: a server that refuses verifiers would take the verifier for the password',
    })
  if (kind === 'hash')
    throw usage(
      `the password of role ${role} is a hash that pgbosun does not store: md5, or a malformed SCRAM verifier`,
      {
        hint: 'give the password itself, or a complete verifier SCRAM-SHA-256$4096:… with 4,096 to 1,000,000 iterations',
      },
    )
}
