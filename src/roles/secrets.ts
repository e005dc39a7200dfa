import type { SecretReader } from '../config/secrets.ts'
import { type Password, preparePassword } from '../db/scram.ts'
import type { Secrets } from './plan-roles.ts'
import type { DesiredRoles } from './types.ts'

/** Reads every declared password. Throws what the reader throws (`usage` naming the role, never a value). */
export async function readSecrets({ roles }: DesiredRoles, read: SecretReader): Promise<Secrets> {
  const secrets = new Map<string, Password>()
  for (const { name, password: source } of roles) {
    if (source === undefined) continue
    const password = read(source, `the password of role ${name}`)
    secrets.set(name, { password, prepared: await preparePassword(password) })
  }
  return secrets
}
