// pure
import { AppError } from '../errors.ts'
import type { Change } from '../plan.ts'
import { indented } from '../text.ts'
import type { SessionUser } from './types.ts'

type ServerError = { code?: string; message?: string; detail?: string; hint?: string; constraint_name?: string }

/**
 * Whether another program changed the same roles or privileges at the same time: read and plan again.
 * For errors of the readers and of the executors.
 */
export function isConcurrentChange(error: unknown): boolean {
  const { code, message = '', constraint_name = '' } = ((error as Error).cause ?? error) as ServerError
  if (code === 'XX000') return /tuple concurrently (updated|deleted)/.test(message)
  if (code === '23505') return constraint_name.startsWith('pg_')
  return code !== undefined && ['42710', '42P04', '42P06', '40001', '40P01'].includes(code)
}

/** Exit 30: the second plan was not empty. */
export const notConverged = (changes: Change[]) => {
  const [first] = changes
  const more = changes.length > 1 ? ` (and ${changes.length - 1} more)` : ''
  return new AppError(
    'roles',
    `after applying, something still differs: ${first?.action} ${first?.object}: ${first?.reason}${more}`,
    {
      hint: 'something on the server undoes it (another tool, a grant by another role): `pgbosun roles plan` shows all of it',
      report: { changes },
    },
  )
}

/** Exit 12, decided before anything is changed: the session lacks what the plan needs. */
export function refuseUnprivileged(
  { name, superuser, createRole, createDatabase }: SessionUser,
  changes: Change[],
): void {
  if (superuser || changes.length === 0) return
  const creates = (kind: string) =>
    changes.some(({ action, object }) => action === 'create' && object.startsWith(`${kind} `))
  const lacks = [
    'SUPERUSER',
    ...(creates('role') && !createRole ? ['CREATEROLE'] : []),
    ...(creates('database') && !createDatabase ? ['CREATEDB'] : []),
  ]
  const [first] = changes
  throw new AppError('refused', `${name} may not change roles and privileges: ${first?.action} ${first?.object}`, {
    hint: `${name} lacks ${lacks.join(' and ')}: connect as a superuser for this part (nothing was changed; ${changes.length} pending)`,
  })
}

/**
 * What a failed change becomes. Errors that say nothing about the change (a lost connection, a lock) stay as they are.
 * The statement is never part of it: it may hold a verifier.
 */
export function failedChange(change: Change, error: unknown): unknown {
  const { code, message, detail, hint, constraint_name } = error as ServerError
  if (error instanceof AppError || code === undefined || !/^[0-9A-Z]{5}$/.test(code) || /^(08|57|53|55P03)/.test(code))
    return error
  const what = `${change.action} ${change.object}`
  const clean = message?.replaceAll(/SCRAM-SHA-256\$\S+/g, '<scram-sha-256>')
  return new AppError(code === '42501' ? 'refused' : 'roles', `${what} failed: ${clean && indented(clean)}`, {
    hint: hintFor(change, code) ?? hint ?? detail,
    sqlstate: code,
    cause: { code, message: clean, constraint_name },
  })
}

function hintFor({ object }: Change, code: string): string | undefined {
  if (object.startsWith('password ') && code !== '42704') {
    return 'choose another password; if this server takes no SCRAM verifiers at all, set it with the provider’s own tools and remove it here'
  }
  if (code === '2BP01') return 'the role handed this privilege on to others: revoke those grants first'
  if (object.startsWith('extension ') && ['58P01', '0A000', '22023'].includes(code))
    return 'install the package of this extension on the server, or remove it from the configuration'
  return undefined
}
