import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, isIPv6, type Server } from 'node:net'
import type { ServeAccess } from '../config/serve-access.ts'
import { usage } from '../errors.ts'
import type { Log } from '../log.ts'
import { indented, visibleJson, visibleLines } from '../text.ts'
import { type AccessRefusal, type Asking, refuse } from './access.ts'
import { guardConnections, limits } from './gate.ts'
import type { ProbeAnswer } from './state.ts'
import { type RequestTarget, readTarget } from './target.ts'

/** What the endpoints answer; each is called for every request. */
export type Answers = {
  livez(): ProbeAnswer
  startupz(): ProbeAnswer
  readyz(): Promise<ProbeAnswer>
  /** Document of `/status.json`. */
  status(): Promise<unknown>
  /** The page `/`. */
  page(): Promise<{ body: string; headers: Record<string, string> }>
  /** Document of `/metrics`, and its media type. */
  metrics(): Promise<{ body: string; type: string }>
}

/** Who may read the guarded paths: see `refuse`. */
export type Guard = { access: ServeAccess; hosts: string[] }

export type Listening = { host: string; port: number; close(): Promise<void> }

/** Where to listen, and where instead when this machine has no IPv6. */
export type ListenAddress = { host: string; port: number; fallback?: string }

/**
 * Parses `0.0.0.0:8080`, `[::]:8080` or `:8080`; throws `usage` for anything else. Without an address it is both families, or only IPv4 on
 * a machine without IPv6.
 */
export function parseListen(listen: string, isDefault = false): ListenAddress {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(listen) ?? []
  if (port === undefined || Number(port) > 65535)
    throw usage(`serve.listen is not an address and a port: ${listen}`, { hint: 'write it like [::]:8080' })
  const host = isDefault ? '' : (bracketed ?? plain ?? '')
  return host === '' ? { host: '::', port: Number(port), fallback: '0.0.0.0' } : { host, port: Number(port) }
}

/**
 * Serves the health endpoints and the status document, read-only.
 * @throws {AppError} `usage` when the address is taken or not ours
 */
export async function listen(place: ListenAddress, answers: Answers, guard: Guard, log: Log): Promise<Listening> {
  const http = createServer({ connectionsCheckingInterval: 1_000, maxHeaderSize: 8_192 }, (request, response) => {
    void reply(answers, guard, request, response, log)
  })
  http.headersTimeout = 5_000
  http.requestTimeout = 10_000
  guardConnections(http, limits)
  const host = await started(http, place, log)
  http.on('error', ({ message }) => log.error({ problem: message }, 'error of the HTTP server'))
  return {
    host,
    port: (http.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        http.close(() => resolve())
        http.closeAllConnections()
      }),
  }
}

/** Never rejects: an error while answering ends that connection, and is logged. */
async function reply(
  answers: Answers,
  guard: Guard,
  request: IncomingMessage,
  response: ServerResponse,
  log: Log,
): Promise<void> {
  try {
    const { status, body, type, headers } = await answer(answers, guard, request, log)
    response.writeHead(status, {
      'content-type': type,
      'content-length': Buffer.byteLength(body),
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      ...(hasBody(request) && { connection: 'close' }),
      ...headers,
    })
    response.end(request.method === 'HEAD' ? undefined : body)
  } catch (error) {
    log.error({ problem: (error as Error).message }, 'a request could not be answered')
    request.socket.destroy()
  }
}

type Response = { status: number; body: string; type: string; headers?: Record<string, string> }

const text = (status: number, body: string, headers: Record<string, string> = {}): Response => ({
  status,
  body: `${visibleLines(indented(body))}\n`,
  type: 'text/plain; charset=utf-8',
  headers,
})
const healthResponse = ({ ok, text: body }: ProbeAnswer) => text(ok ? 200 : 503, body)

/** Paths whose documents contain names and errors; everybody may read the others. */
const guarded = ['/', '/status.json']

/** Never rejects. An error may contain names that are not public, so it goes to the log only. */
async function answer(answers: Answers, guard: Guard, request: IncomingMessage, log: Log): Promise<Response> {
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return text(405, 'only GET and HEAD', { allow: 'GET, HEAD' })
  if (hasBody(request)) return text(413, 'a request must not have a body')
  const target = readTarget(request.url ?? '')
  try {
    if (guarded.includes(target.path) && typeof guard.access === 'object' && request.headers.authorization)
      await guard.access.renew?.()
    const refusal =
      guarded.includes(target.path) && refuse(askingOf(request, target), guard.access, guard.hosts, target.path === '/')
    return refusal ? refused(refusal) : await answerPath(answers, target.path)
  } catch (error) {
    log.error({ path: target.path, problem: (error as Error).message }, 'a request could not be answered')
    return text(500, 'something went wrong: see the log')
  }
}

/** No path reads a body; the connection is closed after the answer, so the body need not be read. */
const hasBody = ({ headers }: IncomingMessage) =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0

const askingOf = ({ headers, headersDistinct, socket }: IncomingMessage, { host }: RequestTarget): Asking => ({
  peer: socket.remoteAddress,
  hosts: [...(headersDistinct.host ?? []), ...(host === undefined ? [] : [host])],
  authorization: headers.authorization,
})

const refused = ({ status, text: line, challenge }: AccessRefusal) =>
  text(status, line, challenge === undefined ? {} : { 'www-authenticate': challenge })

async function answerPath(answers: Answers, path: string): Promise<Response> {
  switch (path) {
    case '/livez':
      return healthResponse(answers.livez())
    case '/startupz':
      return healthResponse(answers.startupz())
    case '/readyz':
      return healthResponse(await answers.readyz())
    case '/status.json':
      return { status: 200, body: `${visibleJson(JSON.stringify(await answers.status()))}\n`, type: 'application/json' }
    case '/':
      return { status: 200, type: 'text/html; charset=utf-8', ...(await answers.page()) }
    case '/metrics':
      return { status: 200, ...(await answers.metrics()) }
    default:
      return text(404, 'there are only /, /livez, /startupz, /readyz, /metrics and /status.json')
  }
}

/** The error codes with which a kernel without IPv6 refuses `::`. */
const withoutIpv6 = ['EAFNOSUPPORT', 'EADDRNOTAVAIL']

/** @returns the host that it listens on */
async function started(server: Server, { host, port, fallback }: ListenAddress, log: Log): Promise<string> {
  try {
    await bound(server, host, port)
    return host
  } catch (cause) {
    const { code = '', message } = cause as NodeJS.ErrnoException
    if (fallback !== undefined && withoutIpv6.includes(code)) {
      log.info('IPv6 is switched off here: listening on IPv4 only')
      return started(server, { host: fallback, port }, log)
    }
    const problem = code === 'EADDRINUSE' ? 'the port is in use' : message
    throw usage(`serve.listen ${renderPlace({ host, port })} cannot be used: ${problem}`, {
      hint: 'set serve.listen (PGBOSUN_SERVE_LISTEN) to another address',
      cause,
    })
  }
}

function bound(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

/** `127.0.0.1:8080`, `[::]:8080`. */
export const renderPlace = ({ host, port }: ListenAddress) => `${isIPv6(host) ? `[${host}]` : host}:${port}`

/** The URL by which a process on the same host reaches a place: IPv4 also for `::`, which may have fallen back to it. */
export const loopbackOf = ({ host, port }: ListenAddress) =>
  `http://${renderPlace({ host: host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host, port })}`
