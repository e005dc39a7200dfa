import { noteReplaced } from '../../config/replaced-passwords.ts'
import type { ClusterPlan } from '../../roles/actions.ts'
import type { Secrets } from '../../roles/plan-roles.ts'
import type { Context } from '../../run/context.ts'
import type { Run } from '../../run/run.ts'

const setsOwnPassword = ({ session, actions }: ClusterPlan) =>
  actions.some(({ payload }) => payload.do === 'set password' && payload.role === session.name)

/** Warns that the password pgbosun logs in with has to be changed in two places. */
export function warnOfOwnPassword({ context }: Run, plan: ClusterPlan): void {
  if (!setsOwnPassword(plan)) return
  context.out.warn(
    `this changes the password of ${plan.session.name}, the user that pgbosun itself connects as: write the new one into ${placeOfOwn(context)} as well, right afterwards`,
  )
}

/** Where our own password is. */
function placeOfOwn(context: Context): string {
  const { source, login } = context.connection()
  return login?.().password ?? source
}

/** Lets the rest of this run, and `serve` after it, log in with the new password. */
export function noteOwnPassword({ context }: Run, plan: ClusterPlan, secrets: Secrets): void {
  const { password } = context.connection()
  const [old, secret] = [password(), secrets.get(plan.session.name)]
  if (!setsOwnPassword(plan) || !secret || !('password' in secret) || old === undefined || old === secret.password)
    return
  noteReplaced(plan.session.name, old, secret.password)
  context.out.warn(
    `the password of ${plan.session.name}, the user that pgbosun itself connects as, was changed: write the new one into ${placeOfOwn(context)} now, or the next run will be refused`,
  )
}
