import { AppError } from '../../errors.ts'
import type { Change } from '../../plan.ts'
import { probeLogin } from '../../postgres/login-probe.ts'
import type { Password } from '../../postgres/scram.ts'
import { isServerError } from '../../postgres/server-error.ts'
import type { Session } from '../../postgres/session.ts'
import { inTransaction } from '../../postgres/transaction.ts'
import type { ClusterPlan } from '../../roles/actions.ts'
import type { Secrets } from '../../roles/plan-roles.ts'
import { fitsPrint, makePrint } from '../../roles/print.ts'
import { judgeLogin, type Standing } from '../../roles/standing.ts'
import type { CurrentCluster, CurrentRole } from '../../roles/types.ts'
import type { Run } from '../../run/run.ts'
import { type PasswordPrint, readNotes, writeNotes } from '../../state/notes.ts'
import { applyState, refuseStrangeState } from '../../state/state.ts'
import { someOf } from '../../units.ts'
import { missingState } from '../state.ts'

/** All logins together may take so long; after that, only what is remembered counts. */
const limitMs = 60_000

/**
 * What is known of the declared passwords where pg_authid may not be read: a login with each tells, one after the other; where a login
 * says nothing of the password, what is remembered of an earlier run. Only call it where pg_authid may not be read.
 */
export async function readStandings(
  run: Run,
  secrets: Secrets,
  { roles }: Pick<CurrentCluster, 'roles'>,
): Promise<Map<string, Standing>> {
  const deadline = performance.now() + limitMs
  const prints = (run.target && (await readNotes(run.target.sql)))?.passwords ?? {}
  const standings = new Map<string, Standing>()
  for (const [name, secret] of secrets) {
    const role = roles.find((one) => one.name === name)
    const mayTry = performance.now() < deadline
    standings.set(name, role ? await standingOf(run, role, secret, mayTry, prints[name]) : 'differs')
  }
  return standings
}

/** What this run has set, by its session in `lock.database`: it need not be remembered any longer to be known. */
const setHere = new WeakMap<Session, Set<string>>()

async function standingOf(
  { context, cluster }: Run,
  { name, validUntil }: CurrentRole,
  secret: Password,
  mayTry: boolean,
  print: PasswordPrint | undefined,
): Promise<Standing> {
  if ('prepared' in secret && mayTry) {
    const login = { user: name, password: secret.prepared }
    const answer = await probeLogin(context.connection(), cluster.endpoint, login, context.signal)
    const judged = judgeLogin(answer, typeof validUntil === 'number' && validUntil <= Date.now())
    if (judged !== undefined) return judged === 'right' ? 'in place' : 'differs'
  }
  const isSet = setHere.get(cluster)?.has(name) || (await fitsPrint(secret, print))
  return isSet ? 'in place' : 'unknown'
}

const setIn = (plan: ClusterPlan): string[] =>
  plan.actions.flatMap(({ payload }) => (payload.do === 'set password' ? [payload.role] : []))

/** The change that remembering is, for a plan: a second run has to know what was set. */
export function noteChanges({ target }: Run, plan: ClusterPlan): Change[] {
  const roles = setIn(plan)
  if (roles.length === 0 || !target) return []
  const reason = 'they cannot be read back; schema pgbosun is made where it is missing'
  return [{ action: 'note', object: `passwords of ${someOf(roles)} in pgbosun.state`, reason }]
}

/**
 * Remembers the passwords that were set, as slow hashes in the target database. Where that is not possible, a warning says that each
 * run will set them again.
 */
export async function notePasswords(run: Run, plan: ClusterPlan, secrets: Secrets): Promise<void> {
  const roles = setIn(plan)
  if (roles.length === 0) return
  const { target, context } = run
  setHere.set(run.cluster, new Set(roles))
  const lost = (why: string) =>
    context.out.warn(`the passwords of ${someOf(roles)} could not be remembered, so each run sets them again: ${why}`)
  if (!target) return lost('there is no target database')
  try {
    const passwords: Record<string, PasswordPrint> = {}
    for (const role of roles) passwords[role] = await makePrint(secrets.get(role)!)
    await inTransaction(target.sql, async (db) => {
      await applyState(db, await missingState(context, target.sql, { needs: [] }))
      await refuseStrangeState(target.sql)
      const notes = (await readNotes(db)) ?? {}
      await writeNotes(db, { ...notes, passwords: { ...notes.passwords, ...passwords } })
    })
  } catch (error) {
    const refused = error instanceof AppError && error.kind === 'refused'
    if (!refused && !(isServerError(error) && error.code === '42501')) throw error
    lost((error as Error).message)
  }
}
