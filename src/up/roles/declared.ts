import { askingReader } from '../../config/renewed.ts'
import { AppError } from '../../errors.ts'
import { desiredRoles } from '../../roles/desired.ts'
import type { Secrets } from '../../roles/plan-roles.ts'
import { readSecrets } from '../../roles/secrets.ts'
import type { DesiredRoles } from '../../roles/types.ts'
import type { Context } from '../../run/context.ts'

/** The declared roles and databases, with the passwords. */
export type Declared = {
  desired: DesiredRoles
  secrets: Secrets
  /** Only look: what cannot be read is reported, and the rest is compared. */
  looking: boolean
  /** Roles whose password cannot be read here. */
  unread: string[]
  /** Whether everybody may lose privileges in mode `strict`, this time. */
  acceptRevokes?: boolean
}

/**
 * Reads what is declared, before anything is changed, so that an unreadable secret is exit 2. Undefined when nothing is declared.
 * @param onUnreadable called for an unreadable secret instead of failing
 */
export async function readDeclared(
  { loaded }: Context,
  onUnreadable?: (role: string, error: Error) => void,
): Promise<Declared | undefined> {
  const { databases, roles, users } = loaded.config
  if ([databases, roles, users].every((map) => Object.keys(map).length === 0)) return undefined
  const desired = desiredRoles(loaded.config)
  const unread: string[] = []
  const hear =
    onUnreadable &&
    ((role: string, error: Error) => {
      onUnreadable(role, error)
      unread.push(role)
    })
  const secrets = await readSecrets(desired, askingReader(loaded), hear)
  return { desired, secrets, looking: onUnreadable !== undefined, unread }
}

/** The same for commands that only read: a container that only checks need not have the secrets of roles. What cannot be read is reported by name. */
export const readDeclaredToLook = (context: Context): Promise<Declared | undefined> =>
  readDeclared(context, (role, error) => {
    if (!(error instanceof AppError) || error.kind !== 'usage') throw error
    context.out.warn(`the password of role ${role} was not compared: ${error.message}`)
  })
