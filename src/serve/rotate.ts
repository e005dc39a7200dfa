import { createHmac, randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { askingReader } from '../config/renewed.ts'
import { resolveBackupConnection } from '../config/resolve.ts'
import { AppError } from '../errors.ts'
import { silentLog } from '../log.ts'
import { openSession } from '../postgres/connect.ts'
import { preparePassword } from '../postgres/prepare-password.ts'
import { makeVerifier, matchesVerifier, type Password } from '../postgres/scram.ts'
import { applyCluster } from '../roles/apply.ts'
import { refuseForeign } from '../roles/authorise.ts'
import { readCluster } from '../roles/current.ts'
import { desiredRoles } from '../roles/desired.ts'
import { planPassword } from '../roles/plan-cluster.ts'
import type { Secrets } from '../roles/plan-roles.ts'
import { readSecrets } from '../roles/secrets.ts'
import type { DesiredRoles } from '../roles/types.ts'
import type { Context } from '../run/context.ts'
import { createJournal } from '../run/journal.ts'
import { withRun } from '../run/run.ts'
import { replaceConditions } from './conditions.ts'
import { answerTo, type OwnSecret, secretConditions } from './rotation.ts'
import type { ServeState } from './state.ts'

/** Handles secrets that change while `serve` runs. Applied passwords are only kept as keyed hashes, in memory. */
export type Rotation = {
  /** Remembers what `up` has applied. */
  noteUp(secrets: Secrets): void
  /** Does work that logs in as the role of the backups; if the login is refused and the password could be set, does it once more. */
  loggingIn<T>(work: () => Promise<T>): Promise<T>
  /** The secrets without those that have changed since `up`: of these another condition tells. */
  asApplied(secrets: Secrets): Secrets
  /** Reads the declared secrets every 30 s, until the signal; a change becomes a condition and a line in the log. */
  watch(): void
}

/** Pause between the two readings of a secret before it is applied, because somebody may be writing it. */
const settleMs = 5_000
const lookEveryMs = 30_000
const statementTimeoutMs = 5_000

type Watched = {
  context: Context
  state: ServeState
  desired: DesiredRoles
  /** The user that makes the backups. */
  user: string
  admin: string | undefined
  /** Fingerprints by role. Before `up` is done: only that of the login of the backups, when the process started. */
  applied: Map<string, string>
  fingerprint(secret: Password): string
  upDone: boolean
  /** Whether setting our own password failed: from then on it waits for `up` like all others. */
  ownWaits: boolean
}

export async function createRotation(context: Context, state: ServeState): Promise<Rotation> {
  const watched = await begin(context, state)
  return {
    noteUp(secrets) {
      watched.upDone = true
      watched.ownWaits = false
      watched.applied = new Map([...secrets].map(([role, secret]) => [role, watched.fingerprint(secret)]))
    },
    asApplied: (secrets) =>
      new Map([...secrets].filter(([role, secret]) => !watched.upDone || isApplied(watched, role, secret))),
    async loggingIn(work) {
      try {
        return await work()
      } catch (error) {
        if (!isRefusedLogin(error)) throw error
        await setOwn(watched, error)
        return work()
      }
    },
    watch() {
      void looking(watched)
    },
  }
}

/** 28P01: a wrong password. No other error is a sign of a rotation. */
const isRefusedLogin = (error: unknown): error is AppError =>
  error instanceof AppError && error.kind === 'refused' && error.sqlstate === '28P01'

async function begin(context: Context, state: ServeState): Promise<Watched> {
  const { config, env, baseDir } = context.loaded
  const key = randomBytes(32)
  const { user } = resolveBackupConnection(config, env, baseDir)
  const watched: Watched = {
    context,
    state,
    desired: desiredRoles(config),
    user,
    admin: adminOf(context),
    applied: new Map(),
    fingerprint: (secret) => createHmac('sha256', key).update(JSON.stringify(secret)).digest('base64'),
    upDone: false,
    ownWaits: false,
  }
  const sent = await readSent(watched).catch(ofSecret)
  if (!(sent instanceof AppError)) watched.applied.set(user, watched.fingerprint(sent))
  return watched
}

function adminOf({ connection }: Context): string | undefined {
  try {
    return connection().user
  } catch (error) {
    ofSecret(error)
    return undefined
  }
}

/** Returns the error of a secret or a configuration that cannot be read; throws all others. */
function ofSecret(error: unknown): AppError {
  if (error instanceof AppError && error.kind === 'usage') return error
  throw error
}

/** The password that the login of the backups sends now. */
async function readSent({ context: { loaded } }: Watched): Promise<Password> {
  const connection = resolveBackupConnection(loaded.config, loaded.env, loaded.baseDir)
  await connection.fresh?.()
  const password = connection.password() ?? ''
  return { password, prepared: await preparePassword(password) }
}

async function readDeclaredSecrets({ context: { loaded }, desired }: Watched, only?: string) {
  const problems = new Map<string, AppError>()
  const roles = desired.roles.filter(({ name }) => only === undefined || name === only)
  const read = askingReader(loaded)
  const secrets = await readSecrets({ ...desired, roles }, read, (role, error) => problems.set(role, ofSecret(error)))
  return { secrets, problems }
}

/** Sets the password that was refused, if we may set it. @throws {AppError} the refusal, with a hint */
async function setOwn(watched: Watched, refusal: AppError): Promise<void> {
  const { context, desired, user, admin, upDone } = watched
  const mode = context.loaded.config.passwords.applyOnRotation
  const declared = desired.roles.some(({ name, password }) => name === user && password !== undefined)
  const found: OwnSecret & { secret?: Password } = declared ? await lookAtOwn(watched) : { state: 'same' }
  const answer = answerTo({ mode, declared, admin: admin === user, upDone, secret: found })
  if (!answer.set || !found.secret) throw answer.set ? refusal : told(refusal, answer.hint)
  try {
    await applyOwn(watched, found.secret)
  } catch (error) {
    if (!(error instanceof AppError) || context.signal.aborted) throw error
    watched.ownWaits = true
    const why = `its password could not be set: ${error.message}`
    throw told(
      refusal,
      `the secret has changed since \`up\`: run \`pgbosun up\` as a user that may set the password (${why})`,
    )
  }
  watched.applied.set(user, watched.fingerprint(found.secret))
  watched.ownWaits = false
  context.log.info({ role: user }, `the server refused the rotated password of ${user}: it has been set now`)
}

const told = (refusal: AppError, hint: string | undefined) => (hint === undefined ? refusal : refusal.with({ hint }))

/** Reads the secret; if it might be set, reads it a second time. */
async function lookAtOwn(watched: Watched): Promise<OwnSecret & { secret?: Password }> {
  const { context, user, upDone, applied, fingerprint } = watched
  const { signal, loaded } = context
  const first = await readOwn(watched)
  if (first instanceof AppError) return { state: 'unreadable', problem: first.message }
  if (applied.has(user) && applied.get(user) === fingerprint(first)) return { state: 'same' }
  if (!upDone) return { state: applied.has(user) ? 'changed' : 'same' }
  if (loaded.config.passwords.applyOnRotation === 'never') return { state: 'changed' }
  await sleep(settleMs, undefined, { signal }).catch(() => {})
  signal.throwIfAborted()
  const secret = await readOwn(watched)
  if (secret instanceof AppError) return { state: 'unreadable', problem: secret.message }
  if (fingerprint(secret) !== fingerprint(first)) return { state: 'changing' }
  return (await isSent(watched, secret))
    ? { state: 'changed', secret }
    : { state: 'elsewhere', source: resolveBackupConnection(loaded.config, loaded.env, loaded.baseDir).source }
}

/** The declared password of the role of the backups; before `up` is done, the one that its login sends. */
async function readOwn(watched: Watched): Promise<Password | AppError> {
  if (!watched.upDone) return readSent(watched).catch(ofSecret)
  const { secrets, problems } = await readDeclaredSecrets(watched, watched.user)
  const secret = secrets.get(watched.user)
  if (secret === undefined) return problems.get(watched.user) ?? refusedSecret(watched.user, 'is not declared')
  return isBlank(secret) ? refusedSecret(watched.user, 'is empty') : secret
}

const isBlank = (secret: Password) => 'password' in secret && secret.password.trim() === ''

const refusedSecret = (user: string, what: string) => new AppError('usage', `the password of role ${user} ${what}`)

/** Whether our login would succeed once this password is set; otherwise setting it would not help. */
async function isSent(watched: Watched, secret: Password): Promise<boolean> {
  const sent = await readSent(watched).catch(ofSecret)
  if (sent instanceof AppError || !('prepared' in sent)) return false
  const stored =
    'verifier' in secret ? secret.verifier : makeVerifier(secret.prepared, { salt: randomBytes(16), iterations: 4_096 })
  return matchesVerifier(stored, sent, watched.user) === 'yes'
}

/** Sets the password as `up` does: under the lock on roles, only if the server has another one, and recorded in the state. */
async function applyOwn({ context, desired, user }: Watched, secret: Password): Promise<void> {
  await withRun(context, { locks: 'roles' }, async (run) => {
    const journal = createJournal(run)
    const { sql } = run.cluster
    const current = await readCluster(sql, desired)
    // where nobody may compare: the server has just refused the login
    const standings = new Map([[user, 'differs' as const]])
    const plan = planPassword(user, desired, { ...current, standings }, new Map([[user, secret]]), randomBytes)
    try {
      await refuseForeign(sql, plan, { desired, major: current.major })
      await applyCluster(sql, plan, {
        beforeChange: journal.beforeChange,
        log: silentLog,
        lockTimeoutMs: context.loaded.config.lock.timeout,
      })
    } catch (error) {
      await journal.finish([], error)
      throw error
    }
    await journal.finish(plan.changes)
  })
}

async function looking(watched: Watched): Promise<void> {
  const { log, signal } = watched.context
  for (;;) {
    await sleep(lookEveryMs, undefined, { signal, ref: false }).catch(() => {})
    if (signal.aborted) return
    try {
      if (watched.upDone) await look(watched)
    } catch (error) {
      log.warn({ problem: (error as Error).message }, 'the declared secrets could not be read')
    }
  }
}

async function look(watched: Watched): Promise<void> {
  const { context, state, applied, fingerprint } = watched
  const { secrets, problems } = await readDeclaredSecrets(watched)
  const changed = [...secrets].filter(([role, secret]) => !isApplied(watched, role, secret))
  const fitting = changed.length === 0 ? new Set<string>() : await whatTheServerHas(watched, new Map(changed))
  for (const [role, secret] of changed) if (fitting.has(role)) applied.set(role, fingerprint(secret))
  const found = {
    changed: changed.map(([role]) => role).filter((role) => !fitting.has(role) && !isAppliedLater(watched, role)),
    unreadable: [...problems].map(([role, { message }]) => ({ role, problem: message })),
  }
  const now = new Date()
  const after = secretConditions(found, state.conditions, now.toISOString())
  replaceConditions(state, ['secret-changed', 'secret-unreadable'], after, { log: context.log, now })
}

const isApplied = ({ applied, fingerprint }: Watched, role: string, secret: Password) =>
  applied.get(role) === fingerprint(secret)

/** Our own password is set when the next backup is refused. */
const isAppliedLater = ({ context, user, admin, ownWaits }: Watched, role: string) =>
  role === user && role !== admin && !ownWaits && context.loaded.config.passwords.applyOnRotation === 'own'

/** The roles that already have this password on the server, because somebody else ran `up`. Empty when it cannot be found out. */
async function whatTheServerHas({ context, desired }: Watched, secrets: Secrets): Promise<Set<string>> {
  const { connection, loaded, runId, signal } = context
  try {
    const session = await openSession(connection(), {
      database: loaded.config.lock.database,
      applicationName: `pgbosun ${runId}`,
      log: silentLog,
      endWith: signal,
      statementTimeoutMs,
    })
    try {
      const { verifiers } = await readCluster(session.sql, desired)
      const has = ([role, secret]: [string, Password]) =>
        matchesVerifier(verifiers?.get(role) ?? null, secret, role) === 'yes'
      return new Set([...secrets].filter(has).map(([role]) => role))
    } finally {
      await session.end()
    }
  } catch (error) {
    context.log.debug({ problem: (error as Error).message }, 'the passwords on the server could not be compared')
    return new Set()
  }
}
