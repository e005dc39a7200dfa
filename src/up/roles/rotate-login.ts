import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { lookingMs } from '../../config/environment.ts'
import { AppError } from '../../errors.ts'
import type { Change } from '../../plan.ts'
import type { Db } from '../../postgres/db.ts'
import { matchesVerifier, type Password } from '../../postgres/scram.ts'
import { silently } from '../../postgres/silence.ts'
import { inTransaction } from '../../postgres/transaction.ts'
import type { ClusterAction, Planned } from '../../roles/actions.ts'
import { readCluster } from '../../roles/current.ts'
import { failedChange, type SentPassword } from '../../roles/errors.ts'
import { planPasswords } from '../../roles/plan-roles.ts'
import {
  type Chosen,
  chooseClosed,
  chooseIdle,
  type KnownUse,
  type Look,
  type Pair,
} from '../../roles/plan-rotation.ts'
import { makePrint } from '../../roles/print.ts'
import { closeLogin, openLogin, sessionsOf } from '../../roles/rotation-sql.ts'
import { clusterSql } from '../../roles/statements.ts'
import type { CurrentCluster, DesiredRoles } from '../../roles/types.ts'
import type { Journal } from '../../run/journal.ts'
import type { Run } from '../../run/run.ts'
import { type Notes, readNotes, writeNotes } from '../../state/notes.ts'
import { applyState, refuseStrangeState } from '../../state/state.ts'
import { missingState } from '../state.ts'
import type { Declared } from './declared.ts'

/** What is asked for: `idle` by `--idle`. */
export type Wanted = { pair: Pair; idle: string | undefined; finish: boolean }

/** What a rotation will do, in one transaction of the target database. */
export type RotationPlan = Chosen & {
  changes: Change[]
  /** SQL, and what of it must not be shown. */
  statements: string[]
  password: SentPassword | undefined
  session: CurrentCluster['session']
  notes: Notes
}

const looksInAll = 3

/** Three looks at the sessions of both, over a minute. The `onLook` tells how many are to come. */
export async function lookThrice({ context, cluster }: Run, { pair }: Wanted): Promise<Look[]> {
  const { signal, loaded, log } = context
  const pauseMs = lookingMs(loaded.env) / (looksInAll - 1)
  const looks: Look[] = []
  for (;;) {
    looks.push(await look(cluster.sql, pair))
    if (looks.length === looksInAll) return looks
    log.info({ look: looks.length, of: looksInAll }, `looking at the sessions of ${pair.logins.join(' and ')}`)
    await sleep(pauseMs, undefined, { signal }).catch(() => {})
    signal.throwIfAborted()
  }
}

async function look(db: Db, { logins }: Pair): Promise<Look> {
  const rows = await db.unsafe<{ login: string; sessions: number }[]>(sessionsOf(logins))
  return new Map(rows.map(({ login, sessions }) => [login, sessions]))
}

/**
 * Plans one step of a rotation, after one more look at the sessions.
 * @param looks those of {@link lookThrice}
 * @throws {AppError} `roles` where it is not certain which login nobody uses; `usage`
 */
export async function planRotation(
  run: Run,
  { desired, secrets }: Declared,
  wanted: Wanted,
  looks: readonly Look[],
): Promise<RotationPlan> {
  const { pair, idle: asked, finish } = wanted
  const [current, found, now] = [
    await readCluster(run.cluster.sql, desired),
    (run.target && (await readNotes(run.target.sql))) ?? {},
    await look(run.cluster.sql, pair),
  ]
  const { login: inUse, next } = found.in_use?.[pair.group] ?? {}
  const known: KnownUse = { inUse, next, looks: [...looks, now] }
  const chosen = finish ? chooseClosed(pair, known, asked) : chooseIdle(pair, known, asked)
  refuseAbsent(pair, current)
  const { session } = current
  if (finish) return { ...chosen, session, password: undefined, ...closing(pair, chosen, current, found) }
  const secret = newSecret(chosen, secrets, current)
  return { ...chosen, session, ...(await opening(pair, chosen, { desired, current, found, secret, secrets })) }
}

function refuseAbsent({ logins }: Pair, { roles }: CurrentCluster): void {
  const absent = logins.find((login) => !roles.some(({ name }) => name === login))
  if (absent !== undefined)
    throw new AppError('roles', `the role ${absent} does not exist yet; nothing was changed`, {
      hint: 'run `pgbosun up` first, which creates it with its declared password',
    })
}

/** @throws {AppError} `roles` if it is that of the other login: whoever has that one would have this one, too */
function newSecret({ idle, other }: Chosen, secrets: Declared['secrets'], { verifiers }: CurrentCluster): Password {
  const [secret, live] = [secrets.get(idle)!, secrets.get(other)]
  const textOf = (one: Password) => ('verifier' in one ? one.verifier : one.prepared)
  const same = live !== undefined && textOf(live) === textOf(secret)
  if (same || matchesVerifier(verifiers?.get(other) ?? null, secret, other) !== 'no')
    throw new AppError('roles', `the new password of ${idle} is the one of ${other}; nothing was changed`, {
      hint: `write another password into the secret of ${idle}`,
    })
  return secret
}

type Opening = {
  desired: DesiredRoles
  current: CurrentCluster
  found: Notes
  secret: Password
  secrets: Declared['secrets']
}

type Steps = Pick<RotationPlan, 'changes' | 'statements' | 'notes' | 'password'>

async function opening(
  pair: Pair,
  { idle, other }: Chosen,
  { desired, current, found, ...of }: Opening,
): Promise<Steps> {
  const only = { ...desired, roles: desired.roles.filter(({ name }) => name === idle) }
  const standings = new Map([[idle, 'unknown' as const]])
  const [set] = planPasswords(only, { ...current, standings }, of.secrets, randomBytes)
  const opens = current.roles.some(({ name, login }) => name === idle && !login)
  const before = found.in_use?.[pair.group]
  const since = before?.login === other ? before.since : new Date().toISOString()
  const notes: Notes = {
    ...found,
    in_use: { ...found.in_use, [pair.group]: { login: other, since, next: idle } },
    closed: (found.closed ?? []).filter((name) => name !== idle),
    ...(set && !current.verifiers && { passwords: { ...found.passwords, [idle]: await makePrint(of.secret) } }),
  }
  const noted = before?.login === other && before.next === idle && !found.closed?.includes(idle)
  return {
    statements: [...(set ? clusterSql(set.payload) : []), ...(opens ? [openLogin(idle)] : [])],
    password: set && sentIn(set),
    notes,
    changes: [
      ...(set ? [set.change] : []),
      ...(opens ? [{ action: 'alter', object: `role ${idle}`, reason: 'may log in again' }] : []),
      ...(noted
        ? []
        : [{ action: 'note', object: `${other} in pgbosun.state`, reason: `is in use; ${idle} comes next` }]),
    ],
  }
}

const sentIn = ({ payload }: Planned<ClusterAction>): SentPassword | undefined =>
  payload.do === 'set password' ? payload : undefined

function closing(pair: Pair, { idle, other }: Chosen, current: CurrentCluster, found: Notes): Omit<Steps, 'password'> {
  const role = current.roles.find(({ name }) => name === idle)
  const isClosed = found.closed?.includes(idle) && role?.login === false && !current.verifiers?.get(idle)
  const { [idle]: _, ...passwords } = found.passwords ?? {}
  const notes: Notes = {
    ...found,
    in_use: { ...found.in_use, [pair.group]: { login: other, since: new Date().toISOString() } },
    closed: [...new Set([...(found.closed ?? []), idle])],
    ...(found.passwords && { passwords }),
  }
  if (isClosed && found.in_use?.[pair.group]?.login === other) return { statements: [], notes, changes: [] }
  return {
    statements: [closeLogin(idle)],
    notes,
    changes: [
      { action: 'close', object: `role ${idle}`, reason: 'nobody uses it any more: NOLOGIN, without a password' },
      { action: 'note', object: `${other} in pgbosun.state`, reason: 'is in use' },
    ],
  }
}

/**
 * Does it, with the notes in the same transaction, so that `up` never sees one without the other.
 * @throws {AppError} `refused`, `roles`
 */
export async function applyRotation(run: Run, plan: RotationPlan, { finish }: Wanted, journal: Journal): Promise<void> {
  const { target, context } = run
  if (!target || plan.changes.length === 0) return
  const { sql } = target
  try {
    run.noteChange()
    const missing = await missingState(context, sql, { needs: [] })
    await inTransaction(sql, async (db) => {
      await applyState(db, missing)
      await refuseStrangeState(sql)
    })
    await journal.beforeChange()
    await silently(sql, plan.session, async (db) => {
      for (const statement of plan.statements) await db.unsafe(statement)
      await writeNotes(db, plan.notes)
      if (finish) await refuseLate(db, plan.idle)
    })
  } catch (error) {
    throw failedChange(plan.changes[0]!, error, plan.password)
  }
}

/** Who logged in since the last look keeps the login. */
async function refuseLate(db: Db, login: string): Promise<void> {
  const [late] = await db.unsafe<{ sessions: number }[]>(sessionsOf([login]))
  if (late)
    throw new AppError('roles', `somebody has just logged in as ${login}; nothing was changed`, {
      hint: 'find out which part of the application still uses it, and switch that, too',
    })
}
