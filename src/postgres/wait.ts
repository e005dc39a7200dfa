import { isIP } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Connection, describe, type LoginPlace } from '../config/connection.ts'
import type { Endpoint } from '../config/endpoint.ts'
import { AppError } from '../errors.ts'
import { isAskingNameServer } from '../machine/name-server.ts'
import { quoteIdent, quoteLiteral } from '../sql/quote.ts'
import { visibleLines, visibleSql } from '../text.ts'
import { renderDuration } from '../units.ts'
import { openSession } from './connect.ts'
import { noConnectionLeft } from './full.ts'
import { type NameProblem, nameProblem, noAnswerFor } from './names.ts'
import { isPoolerError } from './pooler.ts'
import type { Session, SessionOptions } from './session.ts'

export type WaitOptions = SessionOptions & {
  /** Reading of `performance.now()` at which to give up, but never within the first 5 s. */
  deadline: number
  timeoutMs: number
  /** Also wait if the credentials are refused or the database is missing. */
  patient: boolean
  /** Return undefined at once if the database is missing, because the caller will create it. */
  mayBeMissing?: boolean
  /**
   * Where to ask if a missing database exists after all: who connects while a restore swaps the database in is refused once with 3D000.
   * Then it is tried again.
   */
  lockDatabase?: string
  /** Called after each failed attempt that another one may follow. */
  onWaiting?: (why: NotReady) => void
  signal: AbortSignal
}

/** Why the database is not ready, and whether waiting may help. */
export type NotReady = {
  state: string
  retry: boolean
  missing?: boolean
  /** Nothing listens there, or the server says that it is starting or stopping. */
  down?: boolean
  /** Its host could not be found by its name. */
  unnamed?: boolean
  error: AppError
}

/**
 * Opens a session as soon as the database is ready: name, TCP, TLS, authentication, not in recovery.
 * Logs one line per change of state.
 *
 * @returns undefined only with `mayBeMissing`, when the database does not exist
 * @throws {AppError} `refused` at once if waiting does not help (unless patient), `unreachable` after the deadline
 */
export async function openWhenReady(connection: Connection, options: WaitOptions): Promise<Session | undefined> {
  const { log, deadline, signal, patient, mayBeMissing } = options
  const where = describe({ ...connection, database: options.database ?? connection.database })
  const startedAt = performance.now()
  const noAnswer = () =>
    isAskingNameServer()
      ? unnamed(where, noAnswerFor(hostsOf(connection)))
      : retryLater('no answer', new AppError('unreachable', `${where} does not answer`))
  let last: NotReady | undefined
  for (;;) {
    signal.throwIfAborted()
    const leftMs = Math.max(deadline, startedAt + leastMs) - performance.now()
    const result = await unlessLate(
      attempt(connection, options, where).then((answer) => unlessReplaced(answer, connection, options)),
      signal,
      leftMs,
    )
    if (result === undefined) throw gaveUp(where, options.timeoutMs, last ?? noAnswer())
    if (!('error' in result)) {
      if (last) log.info({ waited_ms: Math.round(performance.now() - startedAt) }, `${where} accepts work`)
      return result
    }
    if (result.missing && mayBeMissing) return undefined
    const healable = patient && result.error.kind === 'refused' && !isPoolerError(result.error)
    if (!result.retry && !healable) throw result.error
    if (result.state !== last?.state) log.info(`waiting for ${where}: ${result.state}`)
    last = result
    options.onWaiting?.(result)
    const pause = pauseMs(performance.now() - startedAt, result)
    if (performance.now() + pause > deadline) throw gaveUp(where, options.timeoutMs, result)
    await sleep(pause, undefined, { signal })
  }
}

/** The least time for one attempt, even if the timeout is shorter: a timeout of 0 means one attempt. */
const leastMs = 5_000
/** A longer timer would fire at once. */
const longestTimerMs = 2 ** 31 - 1

/**
 * The attempt, unless it takes too long: a server that accepts connections but never answers, or a name server that does not answer,
 * must not keep us when we are asked to stop or the time is over. Undefined if the time is over.
 */
async function unlessLate(
  attempt: Promise<Session | NotReady>,
  signal: AbortSignal,
  leftMs: number,
): Promise<Session | NotReady | undefined> {
  const { promise: ended, resolve, reject } = Promise.withResolvers<undefined>()
  const abort = () => reject(signal.reason)
  const timer = setTimeout(() => resolve(undefined), Math.min(leftMs, longestTimerMs))
  signal.addEventListener('abort', abort)
  let result: Session | NotReady | undefined
  try {
    result = await Promise.race([attempt, ended])
    return result
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', abort)
    if (result === undefined) void attempt.then((late) => ('error' in late ? undefined : late.end()))
  }
}

async function attempt(connection: Connection, options: WaitOptions, where: string): Promise<Session | NotReady> {
  try {
    const session = await openSession(connection, options)
    if (!session.inRecovery || options.allowStandby) return session
    await session.end()
    return retryLater('the server is in recovery (a standby)', new AppError('unreachable', `${where} is a standby`))
  } catch (error) {
    return classify(error, where, { ...connection, database: options.database ?? connection.database }, options)
  }
}

/** A database that is said to be missing, but exists, has just been replaced. Without an answer, it stays missing. */
async function unlessReplaced(
  answer: Session | NotReady,
  connection: Connection,
  { lockDatabase, database = connection.database, mayBeMissing: _, ...options }: WaitOptions,
): Promise<Session | NotReady> {
  if (!('error' in answer) || !answer.missing || lockDatabase === undefined || lockDatabase === database) return answer
  let exists = false
  try {
    const session = await openSession(connection, { ...options, database: lockDatabase })
    const found = await session.sql
      .unsafe(`select from pg_catalog.pg_database where datname = ${quoteLiteral(database)}`)
      .finally(() => session.end())
    exists = found.length > 0
  } catch (error) {
    options.log.debug({ problem: (error as Error).message }, `cannot ask in ${lockDatabase} whether ${database} exists`)
  }
  return exists ? retryLater('the database was replaced just now', replacedNow(answer.error)) : answer
}

const replacedNow = ({ message, cause }: AppError) =>
  new AppError('unreachable', `${message}, but it exists: it was replaced just now`, {
    hint: 'run it again',
    sqlstate: '3D000',
    cause,
  })

/**
 * Short at first, so that a starting database is noticed at once; then longer, with jitter so that many runs spread out. Longer for
 * unknown names and refused logins, to spare name servers (a name in Kubernetes may take ten queries) and the log of failed logins.
 */
function pauseMs(elapsedMs: number, { error, unnamed }: NotReady): number {
  const soon = error.kind === 'refused' ? 1_000 : unnamed ? 250 : 25
  const later = elapsedMs < 3_000 || error.kind === 'refused' ? 0 : Math.min(2_000, elapsedMs / 20)
  return Math.max(soon, later) * (0.75 + Math.random() / 2)
}

const retryLater = (state: string, error: AppError): NotReady => ({ state, retry: true, error })
const never = (state: string, error: AppError): NotReady => ({ state, retry: false, error })

/** It waits for a name. */
const unnamed = (where: string, { text, hint }: NameProblem, cause?: unknown): NotReady => ({
  ...retryLater(text, new AppError('unreachable', `${where}: ${text}`, { hint, cause })),
  unnamed: true,
})

/** The hosts that have to be found by their names. */
const hostsOf = ({ endpoints }: Connection) =>
  endpoints
    .map(({ host, address }) => address ?? host)
    .filter((host) => isIP(host) === 0 && !host.startsWith('/'))
    .join(', ')

/** Turns an error of connecting into what it means. */
export function classify(
  error: unknown,
  where: string,
  connection: Pick<Connection, 'user' | 'database' | 'endpoints' | 'source' | 'password' | 'login'>,
  { patient = false } = {},
): NotReady {
  const { user, password } = connection
  if (error instanceof AppError)
    return error.kind === 'unreachable' && error.reason !== 'unclear-primary'
      ? retryLater(error.message, error)
      : never(error.message, error)
  const { code = '', message = String(error) } = error as { code?: string; message?: string }
  const naming = nameProblem(error, connection.source)
  if (naming) return unnamed(where, naming, error)
  const refused = (text: string, hint: string) =>
    never(visibleLines(text), new AppError('refused', `${where}: ${text}`, { hint, sqlstate: code, cause: error }))
  const later = (text: string) => retryLater(text, new AppError('unreachable', `${where}: ${text}`, { cause: error }))

  const place = loginOf(connection)
  const orLater = !patient && connection.endpoints.some(isLocal) ? firstStart : ''

  switch (code) {
    case 'ECONNREFUSED':
    case 'ENOENT':
      return { ...later('nothing is listening there'), down: true }
    case '57P03':
      return { ...later('the server is starting up'), down: true }
    case '57P01':
    case '57P02':
      return { ...later('the server is shutting down'), down: true }
    case '53300': {
      const { state, hint } = noConnectionLeft(error, { user, database: connection.database })
      return retryLater(
        state,
        new AppError('unreachable', `${where}: ${state}`, { hint, sqlstate: code, cause: error }),
      )
    }
    case '28P01':
      return password() === undefined
        ? refused(`${user} needs a password, but none is given`, `${place.missing}${orLater}`)
        : refused(`the password of ${user} was refused`, `${checkLogin(place)}${orLater}`)
    case '28000':
      return refused(message, `check pg_hba.conf of the server, and the TLS mode that it requires${orLater}`)
    case '3D000':
      return {
        ...refused(message, `create it, or declare it under \`databases\` and run \`pgbosun up\`${orLater}`),
        state: 'the database does not exist',
        missing: true,
      }
    case '42501':
      return refused(message, `grant connect on the database to ${visibleSql(quoteIdent(user))}`)
    case '08P01':
      return refused(message, 'if this is a connection pooler, set database.directUrl to the server behind it')
    case 'SASL_SIGNATURE_MISMATCH':
      return refused('the server could not prove that it knows the password', 'check that this is the right server')
    default:
      return /^([0-9A-Z]{5})$/.test(code) && !code.startsWith('08') && !code.startsWith('5')
        ? refused(message, 'see the log of the server for the reason')
        : later(connectionTrouble(code, message))
  }
}

/** A container that starts for the first time listens on a socket or loopback before its users and databases are complete. */
const firstStart =
  '; a server in a container that starts for the first time may not have its users and databases yet: `wait.patient: true` waits for them'

const isLocal = ({ host }: Endpoint) =>
  host.startsWith('/') || host === 'localhost' || host === '::1' || host.startsWith('127.')

const loginOf = ({ source, login }: Pick<Connection, 'source' | 'login'>): LoginPlace =>
  login?.() ?? { user: source, password: source, missing: `write it into ${source}` }

function checkLogin({ user, password }: LoginPlace): string {
  return password === undefined || password === user
    ? `check the user and the password in ${user}`
    : `check the user in ${user} and the password in ${password}`
}

function connectionTrouble(code: string, message: string): string {
  if (code === 'ETIMEDOUT' || code === 'CONNECT_TIMEOUT') return 'connecting timed out'
  if (code === 'ECONNRESET' || code === 'CONNECTION_CLOSED' || code === 'EPIPE') return 'the connection was closed'
  if (code === 'EHOSTUNREACH' || code === 'ENETUNREACH') return 'there is no route to the host'
  return message
}

function gaveUp(where: string, timeoutMs: number, { state, error }: NotReady): AppError {
  if (error.kind === 'refused') return error
  return new AppError('unreachable', `${where} did not accept work within ${renderDuration(timeoutMs)}: ${state}`, {
    hint: error.hint ?? 'check the address and whether the server is running, or raise wait.timeout',
    sqlstate: error.sqlstate,
    cause: error.cause,
  })
}
