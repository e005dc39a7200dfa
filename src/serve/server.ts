import { createServer, type Server } from 'node:http'
import { type AddressInfo, isIPv6 } from 'node:net'
import { usage } from '../errors.ts'
import { indented, visibleJson, visibleLines } from '../text.ts'
import type { Health } from './state.ts'

/** What the endpoints answer; each is asked anew for every request. */
export type Answers = {
  livez(): Health
  startupz(): Health
  readyz(): Promise<Health>
  /** Document of `/status.json`. */
  status(): Promise<unknown>
}

export type Listening = { host: string; port: number; close(): Promise<void> }

/** `0.0.0.0:8080`, `[::]:8080` or `:8080` taken apart; throws `usage` for anything else. */
export function parseListen(listen: string): { host: string; port: number } {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(listen) ?? []
  if (port === undefined || Number(port) > 65535)
    throw usage(`serve.listen is not an address and a port: ${listen}`, { hint: 'write it like 0.0.0.0:8080' })
  return { host: bracketed ?? (plain || '0.0.0.0'), port: Number(port) }
}

/**
 * Serves the health endpoints and the status document, read-only.
 * @throws {AppError} `usage` when the address is taken or not ours
 */
export async function listen(address: string, answers: Answers): Promise<Listening> {
  const { host, port } = parseListen(address)
  const server = createServer(async (request, response) => {
    const { status, body, type } = await answer(
      answers,
      request.method ?? '',
      new URL(request.url ?? '/', 'http://localhost').pathname,
    )
    response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' })
    response.end(request.method === 'HEAD' ? undefined : body)
  })
  server.requestTimeout = 10_000
  await started(server, host, port, address)
  return {
    host,
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

type Response = { status: number; body: string; type: string }

const text = (status: number, body: string): Response => ({
  status,
  body: `${visibleLines(indented(body))}\n`,
  type: 'text/plain; charset=utf-8',
})
const healthResponse = ({ ok, text: body }: Health) => text(ok ? 200 : 503, body)

async function answer(answers: Answers, method: string, path: string): Promise<Response> {
  if (method !== 'GET' && method !== 'HEAD') return text(405, 'only GET and HEAD')
  try {
    switch (path) {
      case '/livez':
        return healthResponse(answers.livez())
      case '/startupz':
        return healthResponse(answers.startupz())
      case '/readyz':
        return healthResponse(await answers.readyz())
      case '/status.json':
        return {
          status: 200,
          body: `${visibleJson(JSON.stringify(await answers.status()))}\n`,
          type: 'application/json',
        }
      default:
        return text(404, 'there are /livez, /startupz, /readyz and /status.json')
    }
  } catch (error) {
    return text(500, (error as Error).message)
  }
}

function started(server: Server, host: string, port: number, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) =>
      reject(
        usage(
          `serve.listen ${address} cannot be used: ${cause.code === 'EADDRINUSE' ? 'the port is in use' : cause.message}`,
          {
            hint: 'set serve.listen (PGBOSUN_SERVE_LISTEN) to another address',
            cause,
          },
        ),
      ),
    )
    server.listen(port, host, resolve)
  })
}

/** Where a process on the same host reaches what listens on `host`. */
export const loopbackOf = ({ host, port }: { host: string; port: number }) =>
  `http://${host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : isIPv6(host) ? `[${host}]` : host}:${port}`
