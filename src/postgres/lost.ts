// pure
import { AppError, hasReason } from '../errors.ts'
import { nameCodes } from './names.ts'
import { isServerError } from './server-error.ts'

/** Exit 10: the connection was lost during the work. */
export const connectionLost = (cause?: unknown) =>
  new AppError('unreachable', 'the connection to the database was lost during the run', {
    reason: 'connection-lost',
    hint: 'run it again once the database is back: what was done is recorded, and the new run does the rest',
    cause,
  })

/** Whether it is an error made by {@link connectionLost}. */
export const isConnectionLostError = (error: unknown): error is AppError => hasReason(error, 'connection-lost')

/**
 * Whether the connection is gone, so that it is unknown whether what was sent succeeded or failed. A server ends a session with FATAL or
 * PANIC. An ERROR of these codes comes from a session that lives on: from a foreign server that is down, or from code that raised it.
 */
export function isConnectionLost(error: unknown): boolean {
  if (isServerError(error) && error.severity !== 'FATAL' && error.severity !== 'PANIC') return false
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
  return typeof code === 'string' && (/^08...$/.test(code) || lostCodes.has(code))
}

const lostCodes = new Set([
  // the server ends the session: shutdown, crash, start-up, dropped database, idle and transaction timeouts
  ...['57P01', '57P02', '57P03', '57P04', '57P05', '25P03', '25P04'],
  // the driver
  ...['CONNECTION_CLOSED', 'CONNECTION_DESTROYED', 'CONNECTION_ENDED', 'CONNECT_TIMEOUT'],
  // the operating system
  ...['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ECONNREFUSED', 'ECONNABORTED', 'ENETUNREACH', 'EHOSTUNREACH', 'ENETDOWN'],
  // the name of the host, for one more session
  ...nameCodes.unknown,
  ...nameCodes.noAnswer,
])

/** Whether the connection is gone, according to the driver, the server or ourselves. */
export const wasLost = (error: unknown) => isConnectionLostError(error) || isConnectionLost(error)
