// pure
import { createHash, timingSafeEqual } from 'node:crypto'
import { isIPv4, isIPv6 } from 'node:net'
import type { ServeAccess } from '../config/serve-access.ts'

/** What of a request decides whether it is answered. */
export type Asking = {
  /** The other end of the socket. What a proxy writes into X-Forwarded-For anybody can write, so it is never looked at. */
  peer: string | undefined
  /** Every host that the request names. */
  hosts: string[]
  authorization: string | undefined
}

/** `challenge` is the WWW-Authenticate that a 401 has to have (RFC 9110). */
export type AccessRefusal = { status: 401 | 421; text: string; challenge?: string }

const realm = 'Bearer realm="pgbosun"'

/**
 * Decides about a request for what names things.
 *
 * The host comes first: a page of evil.example whose name suddenly means our address (DNS rebinding) is let in by the browser of
 * somebody on loopback, and says the name that it came by. That is 421, "not an origin of this server" (RFC 9110, 15.5.20): 403
 * would mean that somebody else may. A request without a host is not from a browser.
 *
 * @param names that are ours beside addresses and `localhost`
 * @returns undefined when it may be answered
 * @throws what reading the token throws
 */
export function refuse(
  { peer, hosts, authorization }: Asking,
  access: ServeAccess,
  names: string[],
): AccessRefusal | undefined {
  if (!hosts.every((host) => isOurHost(host, names)))
    return { status: 421, text: 'this Host is none of ours: see serve.hosts' }
  if (access === 'open') return undefined
  if (access === 'loopback')
    return isLoopback(peer)
      ? undefined
      : { status: 401, text: 'only loopback may read this: see serve.access', challenge: realm }
  const [, token] = /^bearer +(\S+)$/i.exec(authorization ?? '') ?? []
  if (token === undefined) return { status: 401, text: 'a token is needed (Authorization: Bearer)', challenge: realm }
  return isSame(token, access.token())
    ? undefined
    : { status: 401, text: 'the token is wrong', challenge: `${realm}, error="invalid_token"` }
}

/** 127.0.0.0/8, also as a socket of both families shows it, and ::1. */
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

/** Letter case means nothing, nor does the dot of the root. */
const bare = (name: string) => name.toLowerCase().replace(/\.$/, '')

/** Takes as long wherever the first difference is, and says nothing of the length. */
const isSame = (one: string, other: string) => timingSafeEqual(digest(one), digest(other))
const digest = (text: string) => createHash('sha256').update(text).digest()
