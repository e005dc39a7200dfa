import type { Connection } from '../../config/connection.ts'
import { databaseUrl } from '../../config/database-url.ts'
import { clientEnvironment } from '../../programs/child.ts'
import type { Context } from '../../run/context.ts'

/** Matches the application_name of the sessions of a program that pgbosun runs, if its driver reads PGAPPNAME. */
export const commandSessions = '^pgbosun [0-9a-f-]{36} command$'

/**
 * The environment of a program that migrates the target database: ours without `PGBOSUN_*`, with the connection in DATABASE_URL and
 * libpq's variables. `remove()` deletes the files with the certificates.
 *
 * @param options `connection`: how it logs in, if not as we do; `role`: the owner of what is created, given in PGOPTIONS, and in
 *   DATABASE_ROLE for drivers that do not read PGOPTIONS
 */
export function commandEnvironment(
  context: Context,
  {
    role,
    serverVersion,
    connection = context.connection(),
  }: { role: string | undefined; serverVersion: number; connection?: Connection | undefined },
) {
  const { env } = context.loaded
  const { settings, searchPath } = context.connection()
  const client = clientEnvironment(connection, {
    applicationName: `pgbosun ${context.runId} command`,
    settings: {
      ...settings,
      ...(searchPath !== undefined && { search_path: searchPath }),
      ...(role !== undefined && { role }),
      // a statement of a killed program must not run on for long
      ...(serverVersion >= 140_000 && { client_connection_check_interval: '2s' }),
    },
  })
  const url = databaseUrl(connection, {
    driver: connection.foreign?.driver ?? driverOf(env.DATABASE_URL),
    files: filesOf(client.env),
  })
  const kept = Object.entries(env).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && !/^(PGBOSUN_\w*|PG[A-Z]+(_FILE)?|DATABASE_URL_FILE)$/.test(entry[0]),
  )
  const password = connection.password()
  return {
    env: {
      ...Object.fromEntries(kept),
      ...client.env,
      DATABASE_URL: url,
      ...(role !== undefined && { DATABASE_ROLE: role }),
    },
    remove: client.remove,
    secrets: password === undefined ? [] : [password, encodeURIComponent(password), url],
  }
}

/** The connection may come from another source, but this is the driver that the program expects in DATABASE_URL. */
const driverOf = (url: string | undefined) => /^postgres(?:ql)?\+(\w+):/.exec(url ?? '')?.[1]

const filesOf = (env: Record<string, string>) =>
  Object.fromEntries(
    [
      ['sslrootcert', env.PGSSLROOTCERT],
      ['sslcert', env.PGSSLCERT],
      ['sslkey', env.PGSSLKEY],
    ].filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
