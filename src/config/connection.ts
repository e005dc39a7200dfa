// pure
import { describeEndpoint, type Endpoint } from './endpoint.ts'
import type { ForeignParts } from './url.ts'

export type TlsMode = 'disable' | 'prefer' | 'require' | 'verify-ca' | 'verify-full'

/** Certificates and keys in PEM. `files`: the files they were read from, for programs that read them themselves. */
export type Tls = {
  mode: TlsMode
  ca?: string
  /** `ca` is all authorities that the system trusts. */
  ofSystem?: true
  cert?: string
  key?: string
  files?: TlsFiles
}

export type TlsFiles = { ca?: string; cert?: string; key?: string }

/**
 * Names of variables, files or keys. `password`: where it was found, undefined if there is none. `missing`: where it may be written, as
 * advice: `set PGPASSWORD or PGPASSWORD_FILE`.
 */
export type LoginPlace = { user: string; password: string | undefined; missing: string }

/** Where and how to connect. It holds no password: `password()` reads it again at every call. */
export type Connection = {
  /** The setting it came from, for messages: `DATABASE_URL`. */
  source: string
  endpoints: Endpoint[]
  database: string
  user: string
  password(): string | undefined
  /**
   * Asks again for what has to be asked for: call it before each new connection. Undefined if nothing has to be asked for.
   * @param sinceMs an answer from before this instant, as `performance.now()` counts, was refused
   * @returns the login as it is now
   */
  fresh?: ((sinceMs?: number) => Promise<Pick<Connection, 'user'>>) | undefined
  /** Where the name of the user and the password are, for hints. */
  login?: (() => LoginPlace) | undefined
  tls: Tls
  /** What `target_session_attrs` asks for; undefined if it is not set. */
  target: 'any' | 'primary' | undefined
  /**
   * The search_path for the files that are run, and for finding another tool's history, as SHOW writes it. Undefined: the one of the
   * role or the database. Never applies to our own queries.
   */
  searchPath?: string | undefined
  /** Other server settings for the files that are run, by name. Never applied to our own queries. */
  settings?: Readonly<Record<string, string>>
  /** golang-migrate's history table, `name` or `schema.name`. */
  historyTable?: string | undefined
  /** Query parameters of the URL that pgbosun ignores. */
  ignored: string[]
  /** Other warnings about where it came from. */
  warnings?: string[]
  /** Whether part of it came from a libpq service. */
  service?: boolean | undefined
  /** What the URL says only to other programs; undefined if the connection did not come from a URL. */
  foreign?: ForeignParts | undefined
}

const isSame = (a: Endpoint, b: Endpoint) => a.host === b.host && a.port === b.port

/** The same connection with only one host: the one that a session has reached. */
export const at = (connection: Connection, { endpoint }: { endpoint: Endpoint }): Connection => ({
  ...connection,
  endpoints: [endpoint],
})

/** The same connection with another login, of which nothing has to be asked for. */
export const loggedInAs = (
  connection: Connection,
  { user, password }: { user: string; password: string | undefined },
): Connection => ({ ...connection, user, password: () => password, fresh: undefined })

/** Another login's connection, narrowed to the one host of `connection` if it names that host too. */
export function besides(other: Connection, { endpoints }: Connection): Connection {
  const [endpoint] = endpoints
  const named = endpoint && endpoints.length === 1 && other.endpoints.find((one) => isSame(one, endpoint))
  return named ? at(other, { endpoint: named }) : other
}

/** `host:port/database` or `socket folder/database`, for messages. */
export function describe({ endpoints, database }: Pick<Connection, 'endpoints' | 'database'>): string {
  return `${endpoints.map(describeEndpoint).join(',')}/${database}`
}
