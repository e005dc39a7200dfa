import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { request as ask, createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** What a request asks for. */
export type Asked = { method: string; path: string; headers: IncomingMessage['headers'] }

/** What happens to it instead of passing. */
export type Fault =
  /** The proxy answers with an error of S3; without a code, with `more` alone. */
  | { status: number; code?: string; more?: string; headers?: Record<string, string> }
  /** The connection is cut after so many bytes of the body were passed on; nothing is answered. */
  | { cutAfter: number }
  /** It takes place, and its answer is lost. */
  | 'lose the answer'
  /** Nothing is ever answered. */
  | 'hang'
  /** It is passed on later. */
  | { delayMs: number }
  /** The answer's body is cut after so many bytes. */
  | { cutAnswerAfter: number }
  /** A header of the answer is another one. */
  | { changed: Record<string, string> }

/** A way to a server on which requests go wrong as a test says. */
export type S3Proxy = {
  endpoint: string
  port: number
  /** Everything that was asked. */
  asked: Asked[]
  /** Decides about a request; undefined: it passes. */
  fault: (asked: Asked) => Fault | undefined
  close(): void
}

/** @param port where requests that pass go to @param pair files of a key and a certificate, for TLS under the name localhost */
export async function startS3Proxy(port: number, pair?: { key: string; certificate: string }): Promise<S3Proxy> {
  const take = (from: IncomingMessage, to: ServerResponse) =>
    void handle(proxy, port, from, to).catch(() => from.destroy())
  const listening = pair
    ? createTlsServer({ key: readFileSync(pair.key), cert: readFileSync(pair.certificate) }, take)
    : createServer(take)
  listening.listen(0, '127.0.0.1')
  await once(listening, 'listening')
  const own = (listening.address() as AddressInfo).port
  const proxy: S3Proxy = {
    endpoint: pair ? `https://localhost:${own}` : `http://127.0.0.1:${own}`,
    port: own,
    asked: [],
    fault: () => undefined,
    close() {
      listening.close()
      listening.closeAllConnections()
    },
  }
  return proxy
}

async function handle(proxy: S3Proxy, port: number, from: IncomingMessage, to: ServerResponse): Promise<void> {
  const asked: Asked = { method: from.method ?? '', path: from.url ?? '', headers: from.headers }
  proxy.asked.push(asked)
  const fault = proxy.fault(asked)
  if (fault === 'hang') return
  if (typeof fault === 'object' && 'status' in fault) {
    from.resume()
    await once(from, 'end')
    return answer(to, fault)
  }
  if (typeof fault === 'object' && 'delayMs' in fault) await sleep(fault.delayMs)
  pass(port, from, to, fault)
}

function answer(
  to: ServerResponse,
  { status, code, more = '', headers = {} }: Extract<Fault, { status: number }>,
): void {
  to.writeHead(status, { ...(code !== undefined && { 'content-type': 'application/xml' }), ...headers })
  to.end(
    code === undefined
      ? more
      : `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>told by the test</Message>${more}</Error>`,
  )
}

function pass(port: number, from: IncomingMessage, to: ServerResponse, fault: Fault | undefined): void {
  const has = <K extends string>(key: K) =>
    typeof fault === 'object' && key in fault ? (fault as never)[key] : undefined
  const [cutAfter, cutAnswerAfter, changed] = [has('cutAfter'), has('cutAnswerAfter'), has('changed')] as [
    number | undefined,
    number | undefined,
    Record<string, string> | undefined,
  ]
  const cut = () => {
    from.socket.resetAndDestroy()
    upstream.destroy()
  }
  const upstream = ask(
    { host: '127.0.0.1', port, method: from.method, path: from.url, headers: from.headers },
    (back) => {
      if (fault === 'lose the answer') return cut()
      to.writeHead(back.statusCode ?? 500, { ...back.headers, ...changed })
      let bytes = 0
      back.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (cutAnswerAfter === undefined || bytes < cutAnswerAfter) return void to.write(chunk)
        to.write(chunk.subarray(0, chunk.length - (bytes - cutAnswerAfter)), cut)
      })
      back.on('end', () => to.end())
      back.on('error', () => to.destroy())
    },
  )
  upstream.on('error', () => from.socket.destroy())
  let bytes = 0
  from.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (cutAfter !== undefined && bytes >= cutAfter) cut()
    else upstream.write(chunk)
  })
  from.on('end', () => upstream.end())
  from.on('error', () => upstream.destroy())
}

/** A proxy as companies have them: connections to other hosts go through it. */
export type WayOut = { url: string; passed: string[]; close(): void }

/** Starts one that wants a password. */
export async function startWayOut(): Promise<WayOut> {
  const passed: string[] = []
  const listening = createServer((_, to) => void to.writeHead(405).end())
  listening.on('connect', ({ url = '', headers }, from) => {
    if (headers['proxy-authorization'] !== `Basic ${Buffer.from('out:geheim').toString('base64')}`)
      return void from.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')
    passed.push(url)
    const to = connect(Number(url.split(':')[1]), '127.0.0.1', () => {
      from.write('HTTP/1.1 200 Connection established\r\n\r\n')
      from.pipe(to).pipe(from)
    })
    for (const socket of [from, to])
      socket.on('error', () => {}).on('close', () => [from, to].map((one) => one.destroy()))
  })
  listening.listen(0, '127.0.0.1')
  await once(listening, 'listening')
  const { port } = listening.address() as AddressInfo
  return {
    url: `http://out:geheim@127.0.0.1:${port}`,
    passed,
    close() {
      listening.close()
      listening.closeAllConnections()
    },
  }
}
