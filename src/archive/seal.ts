// pure
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { Manifest } from './manifest.ts'

/** What a signature is about, besides the text: so a signed document proves nothing anywhere else. */
export type About = { what: 'manifest' | 'verification'; database: string; id: string }

/** Secrets of `backup.sign`: the first signs, each is accepted; none: nothing is signed. */
type Secrets = readonly string[]

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

/** The end of a sealed document: the SHA-256 of everything before it. */
const seal = (content: string) => `,\n  "sha256": "${sha256(content)}"\n}\n`

/**
 * A manifest as text that ends with its own checksum, so that any change is noticed; with a secret, also with a signature, so that nobody
 * else can write one.
 */
export function sealManifest(manifest: Manifest, secrets: Secrets = []): string {
  const about = { what: 'manifest' as const, database: manifest.series.database, id: manifest.id }
  const content = signed(open({ ...manifest, sha256: undefined, hmac_sha256: undefined }), about, secrets)
  return content + seal(content)
}

/** Whether the text is unchanged since {@link sealManifest} wrote it. */
export function isSealed(text: string): boolean {
  const at = text.lastIndexOf(',\n  "sha256"')
  return at >= 0 && text === text.slice(0, at) + seal(text.slice(0, at))
}

/** A small document as text; with a secret, it ends with a signature. */
export const writeSigned = (document: object, about: About, secrets: Secrets): string =>
  `${signed(open(document), about, secrets)}\n}\n`

/** Whether one of the secrets has signed the text, as a whole and for this place; true where nothing is signed. */
export function isSigned(text: string, about: About, secrets: Secrets): boolean {
  const at = text.lastIndexOf(signatureField)
  const content = text.slice(0, Math.max(at, 0))
  const end = (signedContent: string) => (about.what === 'manifest' ? seal(signedContent) : '\n}\n')
  const expected = secrets.map((secret) => content + signature(content, about, secret))
  return secrets.length === 0 || expected.some((one) => isEqual(text, one + end(one)))
}

/** A document as text, without its end. */
const open = (document: object) => JSON.stringify(document, undefined, 2).replace(/\n}$/, '')

const signatureField = ',\n  "hmac_sha256"'

const signed = (content: string, about: About, [secret]: Secrets) =>
  secret === undefined ? content : content + signature(content, about, secret)

const signature = (content: string, { what, database, id }: About, secret: string) =>
  `${signatureField}: "${createHmac('sha256', secret)
    .update(`pgbosun ${JSON.stringify([what, database, id])}\n${content}`)
    .digest('hex')}"`

/** In a time that does not tell where they differ. */
function isEqual(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}
