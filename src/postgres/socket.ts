import { connect, isIP, type Socket } from 'node:net'
import type { Connection } from '../config/connection.ts'
import type { Endpoint } from '../config/endpoint.ts'
import { AppError } from '../errors.ts'

const connectTimeoutMs = 10_000

/** What ends the waiting: a signal, or a time limit. */
type Limit = { signal?: AbortSignal | undefined; ms: number | undefined }
const sslRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47])

/** The TCP socket below a TLS socket. */
const carrierOf = new WeakMap<Socket, Socket>()

/**
 * Bytes that the system has not taken yet. `writableLength` counts a whole write until its last byte is gone, and so does every number
 * of a TLS socket. Node has no public name for this number, which its own timeouts use.
 */
export const unsentBytes = (socket: Socket): number =>
  ((carrierOf.get(socket) ?? socket) as { _handle?: { writeQueueSize?: number } | null })._handle?.writeQueueSize ?? 0

/**
 * Connects to one endpoint and negotiates TLS as the mode says. The driver gets a socket that is ready: so every failure gets our own
 * message, and `node:tls` is loaded only when it is used.
 *
 * @param options `signal` ends it at any point; `patient`: once the connection is open, there is no other time limit
 * @throws {AppError} `refused` for TLS problems; the system's own error if the endpoint cannot be reached
 */
export async function openSocket(
  { host, port, address }: Endpoint,
  tls: Connection['tls'],
  { signal, patient = false }: { signal?: AbortSignal | undefined; patient?: boolean } = {},
): Promise<Socket> {
  const limit = { signal, ms: patient ? undefined : connectTimeoutMs }
  const local = host.startsWith('/')
  const socket = local
    ? connect(`${host}/.s.PGSQL.${port}`)
    : connect({ host: address ?? host, port, noDelay: true, keepAlive: true })
  let named = local || isIP(address ?? host) > 0
  socket.once('lookup', () => {
    named = true
  })
  await settled(socket, 'connect', `connecting to ${host}:${port} timed out`, { signal, ms: connectTimeoutMs }).catch(
    (error: unknown) => {
      throw named ? error : Object.assign(new Error('no answer of a name server', { cause: error }), noName(host))
    },
  )
  if (local || tls.mode === 'disable') return socket

  socket.write(sslRequest)
  const late = `${host}:${port} did not answer the request for TLS`
  const [answer] = (await settled(socket, 'data', late, limit)) as [Buffer]
  if (answer[0] === 0x53) return secure(socket, host, tls, limit)
  if (tls.mode === 'prefer') return socket
  socket.destroy()
  throw new AppError('refused', `${host}:${port} does not offer TLS, but database.tls.mode is ${tls.mode}`, {
    hint: 'enable ssl on the server, or set database.tls.mode to prefer or disable',
  })
}

/** What Node's own errors about names have. */
const noName = (hostname: string) => ({ code: 'ETIMEOUT', hostname })

async function secure(socket: Socket, host: string, tls: Connection['tls'], limit: Limit): Promise<Socket> {
  const { mode, ca, cert, key } = tls
  const { connect: connectTls, checkServerIdentity } = process.getBuiltinModule('node:tls')
  try {
    const secured = connectTls({
      socket,
      rejectUnauthorized: isVerified(tls),
      ...(isIP(host) === 0 && { servername: host }),
      // The name is given here: without a servername, Node would compare an address's certificate with `localhost`.
      checkServerIdentity: (_, peer) => (mode === 'verify-full' ? checkServerIdentity(host, peer) : undefined),
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
    })
    carrierOf.set(secured, socket)
    await settled(secured, 'secureConnect', `the TLS handshake with ${host} timed out`, limit)
    return secured
  } catch (cause) {
    socket.destroy()
    const { code, message } = cause as NodeJS.ErrnoException
    if (code === 'ECONNRESET' || code === 'ETIMEDOUT') throw cause
    throw new AppError('refused', `the TLS connection to ${host} failed: ${message.replace(nodeAdvice, '')}`, {
      hint: adviceFor(code, tls),
      cause,
    })
  }
}

/** Node's advice about one of its flags. It does not apply: we trust the authorities of the system without that flag. */
const nodeAdvice = /; if the root CA is installed locally.*$/s

const isVerified = ({ mode, ca }: Connection['tls']) =>
  mode === 'verify-full' || mode === 'verify-ca' || (mode === 'require' && ca !== undefined)

function adviceFor(code: string | undefined, tls: Connection['tls']): string {
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return 'connect by a name that is in the certificate, or set database.tls.mode to verify-ca'
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID')
    return 'renew the certificate of the server, and compare the clocks of both machines'
  if (!isVerified(tls)) return 'check the TLS settings of the server, and database.tls.cert and key'
  if (tls.ofSystem)
    return 'no authority that the system trusts has signed the certificate of the server: add yours (a file in /etc/ssl/certs), or set database.tls.ca'
  return tls.ca === undefined
    ? 'set database.tls.ca to the file with the certificate of the authority that signed the one of the server'
    : 'database.tls.ca must contain the certificate of the authority that signed the one of the server; `database.tls.ca: system`, with verify-full, trusts those of the system'
}

/** Waits for one event. An error, a closed connection, the signal or the time limit destroys the socket and rejects. */
function settled(socket: Socket, event: string, late: string, { signal, ms }: Limit): Promise<unknown[]> {
  return new Promise((resolve, reject) => {
    const tooLate = () => finish(Object.assign(new Error(late), { code: 'ETIMEDOUT' }))
    const timer = ms === undefined ? undefined : setTimeout(tooLate, ms)
    const onEvent = (...values: unknown[]) => finish(undefined, values)
    const onError = (error: Error) => finish(error)
    const onClose = () => finish(Object.assign(new Error('the server closed the connection'), { code: 'ECONNRESET' }))
    const onAbort = () => finish(signal?.reason)
    function finish(error: Error | undefined, values: unknown[] = []) {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      socket.off(event, onEvent).off('error', onError).off('close', onClose)
      if (!error) return resolve(values)
      socket.destroy()
      reject(error)
    }
    socket.once(event, onEvent).once('error', onError).once('close', onClose)
    signal?.addEventListener('abort', onAbort, { once: true })
    if (signal?.aborted) onAbort()
  })
}
