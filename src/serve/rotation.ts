// pure

import type { Condition } from '../check/condition-catalogue.ts'
import { plural, someOf } from '../units.ts'

/** What was found about the password of a refused login. `changed`: since `up` applied it. */
export type OwnSecret =
  | { state: 'unreadable'; problem: string }
  /** It was read twice and differed: somebody is writing it. */
  | { state: 'changing' }
  | { state: 'same' | 'changed' }
  /** The declared password has changed, but the login sends another one. */
  | { state: 'elsewhere'; source: string }

/** A login for backups that the server refused. */
export type LoginRefusal = {
  mode: 'own' | 'never'
  /** Whether its role has a declared password. */
  declared: boolean
  /** Whether it is the role of the target's connection, whose password `serve` never sets. */
  admin: boolean
  /** Whether this process has done `up`; otherwise it does not know what was applied, and may have no rights to set it. */
  upDone: boolean
  secret: OwnSecret
}

/** What to do about a refused login. Pure. */
export type Answer = { set: true } | { set: false; hint: string | undefined }

const changedHint = 'the secret has changed since `up`: run `pgbosun up`'

export function answerTo({ mode, declared, admin, upDone, secret }: LoginRefusal): Answer {
  const hint = (text: string | undefined): Answer => ({ set: false, hint: text })
  if (!declared || (admin && upDone)) return hint(undefined)
  if (secret.state === 'unreadable') return hint(`${secret.problem}: fix that, then run \`pgbosun up\``)
  if (secret.state === 'same') return hint('if its password was rotated, run `pgbosun up`, which sets the declared one')
  if (!upDone || mode === 'never') return hint(changedHint)
  if (secret.state === 'changing') return hint('its secret is being written; it will be read again at the next attempt')
  if (secret.state === 'elsewhere')
    return hint(
      `its declared password has changed, but ${secret.source} has another one: write the same password into both`,
    )
  return { set: true }
}

/** The result of one look at the declared passwords. */
export type PasswordLook = {
  /** Roles whose declared password is neither what `up` applied nor what the server has. */
  changed: string[]
  unreadable: { role: string; problem: string }[]
}

/**
 * The conditions after a look. One that existed before keeps its instant. Pure.
 * @param before the conditions after the previous look
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
      `the declared ${subject} of ${someOf(changed)} ${verb} changed since \`up\`, but the server still has the old ${plural(changed.length, 'one')}`,
      'applications may still use the old one: run `pgbosun up` when they have the new one',
    ),
    ...of(
      'secret-unreadable',
      unreadable.map(({ role }) => role),
      someOf(
        unreadable.map(({ problem }) => problem),
        '; ',
      ),
      'fix it before the next `pgbosun up`, which would be refused',
    ),
  ]
}
