import { lookup as dnsLookup } from 'node:dns'
import type { IncomingMessage } from 'node:http'
import type { LookupFunction } from 'node:net'
import { usage } from '../errors.ts'
import { renderDuration } from '../units.ts'
import { type AskedSource, limits, type Surroundings, textOf } from './asked.ts'
import { secretReader } from './secrets.ts'

type Http = Extract<AskedSource, { http: string }>

/**
 * What a server answers to GET, with 200. Redirects are not followed, because they could lead to where others listen; no proxy is used.
 * @throws {AppError} `usage`, which never shows what was answered
 */
export async function askHttp({ http: url, headers = {}, json }: Http, what: string, around: Surroundings) {
  const read = secretReader(around.env, around.baseDir)
  const sent = Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      headerValue(typeof value === 'string' ? value : read(value, `${what}: the header ${name}`), name, what),
    ]),
  )
  const failed = (how: string, cause?: unknown) =>
    usage(`${what}: ${new URL(url).origin} ${how}`, {
      hint: 'try it with curl from the same machine or container',
      cause,
    })
  const body = await get(url, sent, failed)
  if (json === undefined) return body
  const found = valueAt(body, json)
  if (found === undefined)
    throw failed(`answered without a text at ${json}: set \`json\` to where the secret is in the answer`)
  return found
}

/** Of whatever else is in it, Node would say that it is no header, with its own error. */
function headerValue(value: string, name: string, what: string): string {
  if (/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) return value
  throw usage(
    `${what}: the value of the header ${name} has a line break or another character that no header may have`,
    {
      hint: 'look at the end of the file, or of what is set',
    },
  )
}

type Failed = (how: string, cause?: unknown) => Error

async function get(url: string, headers: Record<string, string>, failed: Failed): Promise<string> {
  const isHttps = url.toLowerCase().startsWith('https:')
  const client = isHttps ? await import('node:https') : await import('node:http')
  const ca = isHttps ? process.getBuiltinModule('node:tls').getCACertificates('system') : undefined
  return new Promise((resolve, reject) => {
    // an agent of its own: the global one may go through a proxy, and keeps the connection
    const request = client.request(url, { agent: new client.Agent(), headers, lookup, ...(ca && { ca }) }, onResponse)
    const fail = (how: string, cause?: unknown) => {
      clearTimeout(timer)
      request.destroy()
      reject(failed(how, cause))
    }
    const timer = setTimeout(() => fail(`did not answer within ${renderDuration(limits.ms)}`), limits.ms)
    request.on('error', (cause: NodeJS.ErrnoException) =>
      fail(`could not be asked (${cause.code ?? cause.message})`, cause),
    )
    request.end()

    function onResponse(response: IncomingMessage) {
      const { statusCode } = response
      if (statusCode !== 200) return fail(`answered ${statusCode}, but 200 is expected`)
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        bytes += chunk.length
        if (bytes > limits.bytes) fail(`answered more than ${limits.bytes / 1024} KiB, which is no secret`)
      })
      response.on('error', (cause) => fail('stopped in the middle of its answer', cause))
      response.on('end', () => {
        clearTimeout(timer)
        const text = textOf(chunks)
        if (text === undefined) fail('answered something else than text in UTF-8')
        else resolve(text)
      })
    }
  })
}

/** `localhost` is this machine, whatever a name server says; every other name is resolved as usual. */
const lookup: LookupFunction = (hostname, options, callback) => {
  const local = hostname.toLowerCase() === 'localhost'
  dnsLookup(hostname, { ...options, all: true }, (error, found) => {
    const addresses = local && !error ? found.filter(({ address }) => isLoopback(address)) : found
    if (error || addresses.length === 0) callback(error ?? notLocal(hostname), [])
    else if (options.all) callback(null, addresses)
    else callback(null, addresses[0]!.address, addresses[0]!.family)
  })
}

export const isLoopback = (address: string): boolean => address === '::1' || /^127\.\d+\.\d+\.\d+$/.test(address)

const notLocal = (name: string) => Object.assign(new Error(`${name} is another machine`), { code: 'ENOTLOCAL' })

/** The text at a path of keys: `data.password`; the keys of a list are its positions from 0. Undefined if there is none. */
export function valueAt(text: string, path: string): string | undefined {
  let node: unknown
  try {
    node = JSON.parse(text)
  } catch {
    return undefined
  }
  for (const key of path.split('.')) {
    if (typeof node !== 'object' || node === null || !Object.hasOwn(node, key)) return undefined
    node = (node as Record<string, unknown>)[key]
  }
  return typeof node === 'string' ? node : undefined
}
