import { createHmac, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'

const header = z.object({ alg: z.literal('HS256') })
const claims = z.object({ sub: z.string(), exp: z.number(), role: z.literal('operator').optional() })
export type Claims = z.infer<typeof claims>

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const decode = (part: string): unknown => JSON.parse(Buffer.from(part, 'base64url').toString())
const sign = (text: string, secret: string) => createHmac('sha256', secret).update(text).digest()

export function makeToken(claims: Claims, secret: string): string {
  const text = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`
  return `${text}.${sign(text, secret).toString('base64url')}`
}

/** The player that `Authorization: Bearer …` names, if we signed it and it has not expired. */
export function checkToken(authorization: string | undefined, secret: string): Claims | undefined {
  const [, head, body, signature] = /^Bearer ([\w-]+)\.([\w-]+)\.([\w-]+)$/.exec(authorization ?? '') ?? []
  if (!head || !body || !signature) return undefined
  const expected = sign(`${head}.${body}`, secret)
  const given = Buffer.from(signature, 'base64url')
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined
  try {
    header.parse(decode(head))
    const who = claims.parse(decode(body))
    return who.exp * 1000 > Date.now() ? who : undefined
  } catch {
    return undefined
  }
}

/** At most this many requests from one address in each ten seconds. */
export function rateLimiter(most: number): (address: string) => boolean {
  let windowOf = 0
  const seen = new Map<string, number>()
  return (address) => {
    const now = Math.floor(Date.now() / 10_000)
    if (now !== windowOf) seen.clear()
    windowOf = now
    const count = (seen.get(address) ?? 0) + 1
    seen.set(address, count)
    return count <= most
  }
}

export const securityHeaders = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=31536000',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
}
