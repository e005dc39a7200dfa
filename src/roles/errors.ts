// pure
import { AppError } from '../errors.ts'
import type { Change } from '../plan.ts'
import { indented } from '../text.ts'
import { counted } from '../units.ts'
import type { SessionUser } from './types.ts'

type ServerError = { code?: string; message?: string; detail?: string; hint?: string; constraint_name?: string }

/**
 * Whether the error means that another program changed the same roles or privileges at the same time: then read and plan again.
 * For errors while reading and while applying.
 */
export function isConcurrentChange(error: unknown): boolean {
  const { code, message = '', constraint_name = '' } = ((error as Error).cause ?? error) as ServerError
  if (code === 'XX000') return /tuple concurrently (updated|deleted)/.test(message)
  if (code === '23505') return constraint_name.startsWith('pg_')
  return code !== undefined && ['42710', '42P04', '42P06', '42P07', '40001', '40P01'].includes(code)
}

/** Exit 30: the plan made after applying was not empty. */
export const notConverged = (changes: Change[]) => {
  const [first] = changes
  const more = changes.length > 1 ? ` (and ${changes.length - 1} more)` : ''
  return new AppError(
    'roles',
    `something still differs after applying: ${first?.action} ${first?.object}: ${first?.reason}${more}`,
    {
      hint: first && hintOnLeft(first),
      report: { changes },
    },
  )
}

const hintOnLeft = ({ action, object }: Change) =>
  action === 'drop' && object.startsWith('extension ')
    ? 'drop what needs the extension in a migration, or declare the extension again; run `pgbosun roles plan` to see every difference'
    : 'something on the server undoes it (another tool, or a grant by another role); run `pgbosun roles plan` to see every difference'

/** Exit 12, before anything is changed: only a superuser removes roles here. */
export function refuseUnprivileged({ name, superuser }: SessionUser, changes: Change[]): void {
  const [first] = changes
  if (superuser || first === undefined) return
  throw new AppError('refused', `${name} may not remove roles: ${first.action} ${first.object}`, {
    hint: `connect as a superuser for this part (nothing was changed; ${counted(changes.length, 'change')} pending)`,
  })
}

/** How a password was sent, for the error of it. */
export type SentPassword = { sent: string; plain: boolean }

/**
 * The error of a failed change. Errors that are not about the change (a lost connection, a lock) are returned as they are.
 * The statement is never part of the error, because it may contain a verifier.
 */
export function failedChange(change: Change, error: unknown, password?: SentPassword): unknown {
  const { code, message, detail, hint, constraint_name } = error as ServerError
  if (error instanceof AppError || code === undefined || !/^[0-9A-Z]{5}$/.test(code) || /^(08|57|53|55P03)/.test(code))
    return error
  const what = `${change.action} ${change.object}`
  const said = password?.plain ? message?.replaceAll(password.sent, '***') : message
  const clean = said?.replaceAll(/SCRAM-SHA-256\$\S+/g, '<scram-sha-256>')
  return new AppError(code === '42501' ? 'refused' : 'roles', `${what} failed: ${clean && indented(clean)}`, {
    hint: hintFor(change, code, password) ?? hint ?? detail,
    sqlstate: code,
    cause: { code, message: clean, constraint_name },
  })
}

function hintFor({ object }: Change, code: string, password: SentPassword | undefined): string | undefined {
  if (password && code === '42501')
    return 'connect as a superuser, or as a role with CREATEROLE that has the ADMIN option of this role'
  if (password && code !== '42704')
    return password.plain
      ? 'choose another password, or set it with the provider’s own tools and remove it here'
      : 'if this server accepts no SCRAM verifiers, as Neon and Lakebase, set `passwords.send: plaintext`, and the server sees the password; otherwise choose another password'
  if (code === '2BP01') return 'the role has passed this privilege on to others: revoke those grants first'
  if (object.startsWith('extension ') && ['58P01', '0A000', '22023'].includes(code))
    return 'install the package of this extension on the server, or remove it from the configuration'
  return undefined
}
