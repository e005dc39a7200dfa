import type { Connection } from '../config/connection.ts'
import { describeEndpoint, type Endpoint } from '../config/endpoint.ts'
import { AppError, usage } from '../errors.ts'
import { nameProblem } from './names.ts'
import { isPoolerError } from './pooler.ts'
import { choosePrimary, type SeenHost } from './primary.ts'
import { kindOfPassword } from './scram.ts'
import { openAt, type Session, type SessionOptions } from './session.ts'
import { readSystemIdentifier } from './system.ts'

/**
 * Opens one session at the first endpoint that accepts it. If that is a standby and nothing says which of several endpoints is meant,
 * it is opened at the primary: see `choosePrimary`.
 *
 * @throws the error of the last endpoint, unchanged from the system, the server or the driver (see `classify` in wait.ts);
 * {AppError} `refused` for an endpoint that is a connection pooler
 */
export async function openSession(connection: Connection, options: SessionOptions): Promise<Session> {
  const { fresh } = connection
  if (fresh === undefined) return openFirst(connection, options)
  const startedAtMs = performance.now()
  const [login, sent] = [await fresh(), connection.password()]
  try {
    return await openFirst({ ...connection, ...login }, options)
  } catch (error) {
    // The secret may have been replaced since it was asked for.
    if ((error as { code?: string }).code !== '28P01' || options.endWith?.aborted) throw error
    const again = await fresh(startedAtMs)
    if (connection.password() === sent && again.user === login.user) throw error
    return openFirst({ ...connection, ...again }, options)
  }
}

async function openFirst(connection: Connection, options: SessionOptions): Promise<Session> {
  refuseHash(connection)
  const { endpoints, target } = connection
  const takesFirst = target === 'any' || (target === undefined && (options.allowStandby || endpoints.length === 1))
  let failure: unknown
  const failed: Failed[] = []
  for (const [i, endpoint] of endpoints.entries()) {
    let session: Session
    try {
      session = await openAt(endpoint, connection, options)
    } catch (error) {
      // An endpoint that is down must not hide a pooler.
      if (isPoolerError(error)) throw error
      failure = error
      failed.push({ endpoint, error: error as Error })
      continue
    }
    if (!session.inRecovery || takesFirst) return session
    if (target === undefined)
      return openPrimary(session, { failed, others: endpoints.slice(i + 1) }, connection, options)
    await session.end()
    failure ??= new AppError('unreachable', `${describeEndpoint(endpoint)} is a standby`, {
      reason: 'standby',
      hint: 'name the primary in the URL',
    })
  }
  throw failure
}

type Failed = { endpoint: Endpoint; error: Error }

/** Looks at all the other hosts at once, and keeps only the session at the primary. */
async function openPrimary(
  standby: Session,
  { failed, others }: { failed: Failed[]; others: Endpoint[] },
  connection: Connection,
  options: SessionOptions,
): Promise<Session> {
  const results = await Promise.allSettled(others.map((endpoint) => openAt(endpoint, connection, options)))
  const sessions = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  const failures = results.flatMap((result, i) =>
    result.status === 'rejected' ? [{ endpoint: others[i]!, error: result.reason as Error }] : [],
  )
  const silent = [...failed, ...failures].map(({ endpoint, error }) => ({
    endpoint,
    problem: nameProblem(error, connection.source)?.text ?? error.message,
  }))
  let chosen: SeenHost | undefined
  try {
    options.endWith?.throwIfAborted()
    const pooler = failures.find(({ error }) => isPoolerError(error))
    if (pooler) throw pooler.error
    const seen = await Promise.all([standby, ...sessions].map(look))
    chosen = choosePrimary(seen[0]!, seen.slice(1), silent)
    return sessions.find(({ endpoint }) => endpoint === chosen?.endpoint)!
  } finally {
    for (const session of [standby, ...sessions]) if (session.endpoint !== chosen?.endpoint) await session.end()
  }
}

const look = async ({ sql, endpoint, inRecovery }: Session): Promise<SeenHost> => ({
  endpoint,
  standby: inRecovery,
  system: await readSystemIdentifier(sql),
})

/** Nobody can log in with what the server stores. @throws {AppError} `usage` */
function refuseHash({ password, user, source, login }: Connection): void {
  if (kindOfPassword(password() ?? '') !== 'password')
    throw usage(
      `the password of ${user} in ${login?.().password ?? source} is a hash, but nobody can log in with a hash`,
      {
        hint: 'give the password itself',
      },
    )
}
