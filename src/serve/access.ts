// pure
import { createHash, timingSafeEqual } from 'node:crypto'
import { isIPv4, isIPv6 } from 'node:net'
import type { ServeAccess } from '../config/serve-access.ts'

/** The parts of a request that decide whether it is answered. */
export type Asking = {
  /** The other end of the socket. X-Forwarded-For is ignored, because anybody can write it. */
  peer: string | undefined
  /** Every host that the request names. */
  hosts: string[]
  authorization: string | undefined
}

/** `challenge` is the WWW-Authenticate header, which a 401 must have (RFC 9110). */
export type AccessRefusal = { status: 401 | 421; text: string; challenge?: string }

const realm = 'Bearer realm="pgbosun"'

/** A browser asks for a password then: the token is the password, and the name does not matter. */
const forBrowsers = 'Basic realm="pgbosun", charset="UTF-8"'

/**
 * Decides about a request for a document that contains names.
 *
 * The host is checked first, against DNS rebinding: when the name evil.example suddenly resolves to our address, a page from there can
 * send requests from a browser on loopback, but the request still names evil.example. That is 421, "not an origin of this server"
 * (RFC 9110, 15.5.20); 403 would mean that somebody else may read it. A request without a host does not come from a browser.
 *
 * @param names our names, besides addresses and `localhost`
 * @param browser whether it is a page, whose reader has no way to send a Bearer token: then Basic is taken too
 * @returns undefined when it may be answered
 * @throws the error of reading the token
 */
export function refuse(
  { peer, hosts, authorization }: Asking,
  access: ServeAccess,
  names: string[],
  browser = false,
): AccessRefusal | undefined {
  if (!hosts.every((host) => isOurHost(host, names)))
    return { status: 421, text: 'this Host is not one of ours: see serve.hosts' }
  if (access === 'open') return undefined
  if (access === 'loopback')
    return isLoopback(peer)
      ? undefined
      : { status: 401, text: 'only loopback may read this: see serve.access', challenge: realm }
  const [, bearer] = /^bearer +(\S+)$/i.exec(authorization ?? '') ?? []
  const token = bearer ?? (browser ? basicPassword(authorization) : undefined)
  if (token === undefined)
    return browser
      ? { status: 401, text: 'a token is needed, as the password or as Authorization: Bearer', challenge: forBrowsers }
      : { status: 401, text: 'a token is needed (Authorization: Bearer)', challenge: realm }
  return isSame(token, access.token())
    ? undefined
    : {
        status: 401,
        text: 'the token is wrong',
        challenge: browser && bearer === undefined ? forBrowsers : `${realm}, error="invalid_token"`,
      }
}

/** 127.0.0.0/8, also in the form `::ffff:127.0.0.1` of a socket for both families, and ::1. */
export function isLoopback(address = ''): boolean {
  const plain = address.replace(/^::ffff:/i, '')
  return address === '::1' || (isIPv4(plain) && plain.startsWith('127.'))
}

/** Whether a Host names us: an address, `localhost`, or one of the names; the port does not matter. */
export function isOurHost(host: string, names: string[]): boolean {
  const [, bracketed] = /^\[([^\]]*)\](?::\d*)?$/.exec(host) ?? []
  if (isIPv6(bracketed ?? host)) return true
  const [, plain] = /^([^:]+)(?::\d*)?$/.exec(host) ?? []
  const name = bare(plain ?? '')
  return isIPv4(name) || ['localhost', ...names.map(bare)].includes(name)
}

/** Ignores letter case and the dot of the root. */
const bare = (name: string) => name.toLowerCase().replace(/\.$/, '')

function basicPassword(authorization = ''): string | undefined {
  const [, encoded] = /^basic +([A-Za-z0-9+/=]+)$/i.exec(authorization) ?? []
  const text = encoded === undefined ? '' : Buffer.from(encoded, 'base64').toString('utf8')
  return text.includes(':') ? text.slice(text.indexOf(':') + 1) : undefined
}

/** Compares in constant time, and does not reveal the length. */
const isSame = (one: string, other: string) => timingSafeEqual(digest(one), digest(other))
const digest = (text: string) => createHash('sha256').update(text).digest()
