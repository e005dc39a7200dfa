import { usage } from '../errors.ts'
import { isAsked } from './asked.ts'
import type { TlsMode } from './connection.ts'
import { describeEndpoint, type Endpoint } from './endpoint.ts'
import type { Env } from './environment.ts'
import type { LoginSecret } from './fields.ts'
import { renewed } from './renewed.ts'
import { secretReader } from './secrets.ts'

/** A password that has a key of its own. */
export type KeyedPassword = {
  /** The password as it is known now. @throws {AppError} `usage` */
  read(): string
  /** Asks for it; undefined if it need not be asked for. `sinceMs` as in `Connection.fresh`. */
  renew?: (sinceMs?: number) => Promise<void>
}

type Where = { endpoints: Endpoint[]; user: string; mode: TlsMode }

/**
 * @param key its key, for messages: `database.password`
 * @throws {AppError} `usage` where a token of AWS would be sent in the clear, or to a host that it is not for
 */
export function passwordOf(
  { key, source }: { key: string; source: LoginSecret },
  where: Where,
  around: { env: Env; baseDir: string },
): KeyedPassword {
  if ('awsRds' in source) return rdsToken(key, source.awsRds.region, where)
  const read = secretReader(around.env, around.baseDir)
  return {
    read: () => read(source, key),
    ...(isAsked(source) && { renew: (sinceMs) => renewed(source, key, around, sinceMs) }),
  }
}

/** A token is valid for 15 minutes, at the moment of the login; each connection gets its own. */
function rdsToken(key: string, region: string, { endpoints, user, mode }: Where): KeyedPassword {
  const [endpoint, ...others] = endpoints
  if (mode === 'disable' || mode === 'prefer')
    throw usage(`${key}: a token of AWS may only be sent over TLS, but sslmode is ${mode}`, {
      hint: 'set sslmode=verify-full in the URL, and database.tls.ca to the certificates of RDS',
    })
  if (endpoint === undefined || others.length > 0 || endpoint.host.startsWith('/'))
    throw usage(`${key}: a token of AWS is for one host, but ${endpoints.map(describeEndpoint).join(', ')} is given`, {
      hint: 'name the writer’s endpoint of the cluster, as the console of RDS shows it',
    })
  let token: string | undefined
  return {
    read() {
      if (token !== undefined) return token
      throw usage(`${key}: it is signed for each connection, and this command opens none`, {
        hint: 'a command that connects signs one',
      })
    },
    async renew() {
      const { signRdsToken } = await import('./aws.ts')
      try {
        token = await signRdsToken({ host: endpoint.host, port: endpoint.port, user, region })
      } catch (cause) {
        throw usage(`${key}: no token could be signed: ${(cause as Error).message}`, {
          hint: 'give pgbosun credentials of AWS that allow rds-db:connect: a role of the pod or the machine, a profile, or AWS_ACCESS_KEY_ID',
          cause,
        })
      }
    },
  }
}
