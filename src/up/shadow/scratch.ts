import { randomBytes } from 'node:crypto'
import { type Model, readModel, readPublic } from '../../check/scratch/model.ts'
import { type ScratchStory, scratchName } from '../../check/scratch/name.ts'
import {
  accessStatements,
  createStatements,
  publicStatements,
  settingStatements,
} from '../../check/scratch/statements.ts'
import { dropScratch, sweepScratch } from '../../check/scratch/sweep.ts'
import { AppError } from '../../errors.ts'
import type { Db } from '../../postgres/db.ts'
import { takeRunLock } from '../../postgres/lock.ts'
import { databaseObject } from '../../postgres/lock-keys.ts'
import { isConnectionLost } from '../../postgres/lost.ts'
import { isServerError } from '../../postgres/server-error.ts'
import type { Session } from '../../postgres/session.ts'
import { inTransaction } from '../../postgres/transaction.ts'
import { openWhenReady } from '../../postgres/wait.ts'
import { readDatabase } from '../../roles/current.ts'
import { desiredRoles } from '../../roles/desired.ts'
import { planDatabase } from '../../roles/plan-database.ts'
import { databaseSql } from '../../roles/statements.ts'
import type { Context } from '../../run/context.ts'
import { quoteIdent } from '../../sql/quote.ts'
import { visibleSql } from '../../text.ts'

/** An empty database beside a live one, with what is declared for the live one. */
export type Scratch = {
  name: string
  session: Session
  /** Throws when the session that holds its lock was lost, because other runs may then remove it as a leftover. */
  guard(): void
}

/**
 * Creates a scratch database like a live one, with its encoding, locale, settings, owner and privileges, and with the schemas and
 * extensions that are declared for it; always removes it again. First removes the scratch databases that killed runs left behind.
 *
 * @param live a session in the live database
 * @throws {AppError} `refused` when the user may not create databases
 */
export async function withScratch<T>(
  context: Context,
  live: Session,
  use: (scratch: Scratch) => Promise<T>,
): Promise<T> {
  const { command, log, signal, runId } = context
  const { timeout: timeoutMs, database } = context.loaded.config.lock
  const model = await readModel(live.sql)
  refuseWithoutRight(model)
  const lock = await openOwn(context, database, { command })
  try {
    await sweepScratch(lock.sql, log)
    const id = randomBytes(4).toString('hex')
    const name = scratchName(model.name, id)
    const story = { pgbosun: 'shadow', id, of: model.name, run: runId, started_at: new Date().toISOString() } as const
    await takeRunLock(lock.sql, databaseObject(name), `the lock of database ${name}`, { timeoutMs, log, signal })
    try {
      await create(context, lock, name, model, story)
      return await inScratch(context, name, async (session) => {
        await prepare(context, session, name, model)
        return use({ name, session, guard: () => lock.guard() })
      })
    } finally {
      await remove(context, lock, name, model)
    }
  } finally {
    await lock.end()
  }
}

function refuseWithoutRight({ user }: Model): void {
  if (user.mayCreate) return
  throw new AppError(
    'refused',
    `the user ${user.name} may not create databases, but the comparison needs a scratch database`,
    {
      hint: `alter role ${visibleSql(quoteIdent(user.name))} createdb; or connect as a role that may`,
    },
  )
}

async function openOwn(
  { connection, loaded, log, signal, runId }: Context,
  database: string,
  { command }: { command?: string } = {},
): Promise<Session> {
  const { timeout: timeoutMs, patient } = loaded.config.wait
  const deadline = performance.now() + timeoutMs
  const options = { applicationName: `pgbosun ${runId}`, command, log, signal, database, deadline, timeoutMs, patient }
  return (await openWhenReady(connection(), options))!
}

/**
 * On the session that holds the lock: even when we are killed, its backend finishes the first statements before it releases the
 * lock, so the next run finds a database with our comment on it, or none.
 */
async function create(
  { log, signal }: Context,
  { sql, serverVersion }: Session,
  name: string,
  model: Model,
  story: ScratchStory,
): Promise<void> {
  const statements = createStatements(name, model, story, serverVersion)
  const results = await Promise.allSettled(statements.map((statement) => sql.unsafe(statement)))
  const failure = results.find((result) => result.status === 'rejected')
  if (failure) throw cannotCreate(name, failure.reason)
  signal.throwIfAborted()
  for (const setting of settingStatements(name, model)) {
    await passOver(sql.unsafe(setting.sql), ['42501', '55P02', '42704', '22023'], (problem) =>
      log.warn(
        { setting: setting.name, problem },
        'a setting of the database could not be copied to the scratch database',
      ),
    )
  }
  await sql.unsafe(accessStatements(name, model))
}

function cannotCreate(name: string, error: unknown): unknown {
  if (!isServerError(error) || isConnectionLost(error)) return error
  return new AppError(
    error.code === '42501' ? 'refused' : 'failed',
    `the scratch database ${name} could not be created: ${error.message}`,
    { hint: error.hint ?? 'look at the log of the server', sqlstate: error.code, cause: error },
  )
}

/** Waits for a statement; if the server refuses it for one of these reasons, that is only reported. */
async function passOver(work: Promise<unknown>, codes: string[], tell: (problem: string) => void): Promise<void> {
  await work.catch((error: unknown) => {
    if (!isServerError(error) || !codes.includes(error.code)) throw error
    tell(error.message)
  })
}

/** On abort, ends the session at once: removing the database also ends what its backend is doing. */
async function inScratch<T>(context: Context, name: string, use: (session: Session) => Promise<T>): Promise<T> {
  const { signal } = context
  const session = await openOwn(context, name).catch((error: unknown) => {
    throw cannotConnect(name, error)
  })
  const stop = () => void session.end()
  signal.addEventListener('abort', stop)
  try {
    signal.throwIfAborted()
    return await use(session)
  } finally {
    signal.removeEventListener('abort', stop)
    await session.end()
  }
}

function cannotConnect(name: string, error: unknown): unknown {
  if (!(error instanceof AppError) || error.kind !== 'refused') return error
  return error.with({
    message: `the scratch database ${name} cannot be connected to: ${error.message}`,
    hint: 'pg_hba.conf must let this user connect to databases that it creates',
    cause: error,
  })
}

/** Makes what the first migration of the live database found: schema `public`, declared schemas and extensions. */
async function prepare({ loaded, log }: Context, { sql }: Session, name: string, model: Model): Promise<void> {
  const role = model.user.superuser || !model.user.mayActAsOwner ? undefined : model.owner
  const access = publicStatements(model.public, await readPublic(sql), role)
  if (access !== undefined)
    await passOver(sql.unsafe(access), ['42501'], (problem) =>
      log.warn({ problem }, 'the privileges of schema public could not be copied to the scratch database'),
    )
  const desired = desiredRoles(loaded.config)
  if (!desired.databases.some((database) => database.name === model.name)) return
  const databases = desired.databases.map((database) =>
    database.name === model.name ? { ...database, name } : database,
  )
  const current = await readDatabase(sql, { ...desired, databases }, name)
  const plan = planDatabase({ ...desired, databases }, name, current)
  // Schema public is as in the live database, whatever is declared.
  const actions = plan.actions.filter(({ payload }) => payload.do !== 'own schema' && payload.do !== 'close schema')
  await inTransaction(sql, async (tx) => {
    if (role !== undefined) await tx.unsafe(`set local role ${quoteIdent(role)}`)
    for (const { change, payload } of actions)
      for (const statement of databaseSql(payload)) await declare(tx, statement, `${change.action} ${change.object}`)
  })
}

async function declare(tx: Db, statement: string, what: string): Promise<void> {
  await tx.unsafe(statement).catch((error: unknown) => {
    if (!isServerError(error) || isConnectionLost(error)) throw error
    throw new AppError(
      error.code === '42501' ? 'refused' : 'roles',
      `${what} in the scratch database failed: ${error.message}`,
      {
        hint:
          error.hint ??
          'what is declared for the database is created before the migrations run: connect as a role that may create it',
        sqlstate: error.code,
        cause: error,
      },
    )
  })
}

async function remove({ log }: Context, { sql }: Session, name: string, { owner, user }: Model): Promise<void> {
  try {
    await dropScratch(sql, name, user.mayActAsOwner ? owner : user.name)
  } catch (error) {
    const problem = (error as Error).message
    log.warn(
      { database: name, problem },
      'the scratch database could not be removed: the next comparison will remove it',
    )
  }
}
