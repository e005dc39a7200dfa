// pure
import { quoteIdent } from '../sql/quote.ts'
import { visibleSql } from '../text.ts'
import type { ServerError } from './server-error.ts'

type Names = { user: string; database: string }

/**
 * What has no free connection, by the function of the server's source that refused: nobody who is refused can ask the server, and the
 * words of the message are in its language.
 */
function fullOf(error: unknown): 'role' | 'database' | 'server' | 'unknown' {
  const { routine = '' } = error as Partial<ServerError>
  if (routine === 'InitializeSessionUserId') return 'role'
  if (routine === 'CheckMyDatabase') return 'database'
  return ofServer.has(routine) ? 'server' : 'unknown'
}

/** Functions that count the connections of the whole server, in different versions. */
const ofServer = new Set(['InitProcess', 'InitPostgres', 'ProcessStartupPacket', 'BackendInitialize'])

/** What to say while waiting for a connection, and how to get one. */
export function noConnectionLeft(error: unknown, names: Names): { state: string; hint: string } {
  const full = fullOf(error)
  return {
    state:
      full === 'role'
        ? `the connection limit of the role ${names.user} is reached`
        : full === 'database'
          ? `the connection limit of the database ${names.database} is reached`
          : 'the server has no free connection',
    hint: limitHint(error, names),
  }
}

/** The statement that helps; where it is not known what is full, everything possible. Without names, those are left to the reader. */
export function limitHint(error: unknown, names?: Names): string {
  const name = (text: string | undefined) => (text === undefined ? 'NAME' : visibleSql(quoteIdent(text)))
  const ofRole = `\`alter role ${name(names?.user)} connection limit -1\``
  const ofDatabase = `\`alter database ${name(names?.database)} connection limit -1\``
  const ofAll = 'lower the pools of the applications, or raise max_connections'
  switch (fullOf(error)) {
    case 'role':
      return `end other sessions of the role, or raise its limit: ${ofRole} removes it`
    case 'database':
      return `end other sessions in the database, or raise its limit: ${ofDatabase} removes it`
    case 'server':
      return ofAll
    case 'unknown':
      return `${ofAll}; if some are free, the role or the database has a limit of its own: ${ofRole} or ${ofDatabase} removes it`
  }
}
