import { usage } from '../errors.ts'
import { isAsked } from './asked.ts'
import type { Env } from './environment.ts'
import { renewed } from './renewed.ts'
import type { Config } from './schema.ts'
import { secretReader } from './secrets.ts'

/** Who may read /status.json: this machine, everybody, or whoever has the token, which is read again at every call. */
export type ServeAccess =
  | 'loopback'
  | 'open'
  | {
      token(): string
      /** Asks for it, where it has to be asked for; call it before each request. */
      renew?: () => Promise<void>
    }

/**
 * `serve.access`, with the token if it needs one.
 * @throws {AppError} `usage` when there is no token, or it cannot be read or sent; `token()` throws the same
 */
export function resolveServeAccess({ serve }: Config, env: Env, baseDir: string): ServeAccess {
  const { access, token: source } = serve
  if (access !== 'token') return access
  if (source === undefined)
    throw usage('serve.access is token, but serve.token is not set', {
      hint: 'set serve.token to { env: NAME } or { file: PATH }, or set PGBOSUN_SERVE_TOKEN or PGBOSUN_SERVE_TOKEN_FILE',
    })
  const read = secretReader(env, baseDir)
  const token = () => sendable(read(source, 'serve.token'))
  token()
  return { token, ...(isAsked(source) && { renew: () => renewed(source, 'serve.token', { env, baseDir }) }) }
}

/** The value of a header has no spaces around it, and no agreed encoding. */
function sendable(token: string): string {
  if (/^[\x21-\x7e]+$/.test(token)) return token
  throw usage('serve.token contains a space, or a character that is not ASCII: no client can send it', {
    hint: 'make one with `openssl rand -hex 32`',
  })
}
