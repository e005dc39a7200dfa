// pure
import { plural } from '../units.ts'
import type { Condition } from './state.ts'

/** What was found of the password that a login was refused with. `changed`: since `up` applied it. */
export type OwnSecret =
  | { state: 'unreadable'; problem: string }
  /** Read twice, and not twice the same: somebody is writing it. */
  | { state: 'changing' }
  | { state: 'same' | 'changed' }
  /** The declared password has changed, but the login sends another one. */
  | { state: 'elsewhere'; source: string }

/** A login of the backups that the server refused. */
export type LoginRefusal = {
  mode: 'own' | 'never'
  /** Whether its role has a declared password. */
  declared: boolean
  /** Whether it is the role of the target's connection, whose password nobody but its owner sets. */
  admin: boolean
  /** Whether this process has done `up`: else it does not know what was applied, and may have no rights. */
  upDone: boolean
  secret: OwnSecret
}

/** What to do about a refused login. Pure. */
export type Answer = { set: true } | { set: false; hint: string | undefined }

const changedHint = 'the file changed since `up`: run `pgbosun up`'

export function answerTo({ mode, declared, admin, upDone, secret }: LoginRefusal): Answer {
  const hint = (text: string | undefined): Answer => ({ set: false, hint: text })
  if (!declared || (admin && upDone)) return hint(undefined)
  if (secret.state === 'unreadable') return hint(`${secret.problem}: mend that, then run \`pgbosun up\``)
  if (secret.state === 'same') return hint('where its password was rotated, run `pgbosun up`: it sets the declared one')
  if (!upDone || mode === 'never') return hint(changedHint)
  if (secret.state === 'changing') return hint('its secret is being written: it is looked at again with the next try')
  if (secret.state === 'elsewhere')
    return hint(`its declared password has changed, and ${secret.source} has another one: write the same into both`)
  return { set: true }
}

/** What one look at the declared passwords found. */
export type PasswordLook = {
  /** Roles whose declared password is neither what `up` applied nor what the server has. */
  changed: string[]
  unreadable: { role: string; problem: string }[]
}

/**
 * The conditions after a look; one that was there already keeps its instant. Pure.
 * @param before those after the look before
 */
export function secretConditions(
  { changed, unreadable }: PasswordLook,
  before: readonly Condition[],
  now: string,
): Condition[] {
  const of = (name: Condition['name'], roles: string[], message: string, hint: string): Condition[] => {
    const since = before.find((condition) => condition.name === name)?.since ?? now
    return roles.length === 0 ? [] : [{ name, severity: 'warning', roles, message, hint, since }]
  }
  const [subject, verb] = [plural(changed.length, 'password'), plural(changed.length, 'has', 'have')]
  return [
    ...of(
      'secret-changed',
      changed,
      `the declared ${subject} of ${changed.join(', ')} ${verb} changed since \`up\`, and the server still has the old`,
      'applications may still hold the old one: run `pgbosun up` when they have the new one',
    ),
    ...of(
      'secret-unreadable',
      unreadable.map(({ role }) => role),
      unreadable.map(({ problem }) => problem).join('; '),
      'mend it before the next `pgbosun up`, which would be refused',
    ),
  ]
}
