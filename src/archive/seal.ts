// pure
import { createHash } from 'node:crypto'
import type { Manifest } from './manifest.ts'

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

/** The end of a sealed document: the SHA-256 of everything before it. */
const seal = (content: string) => `,\n  "sha256": "${sha256(content)}"\n}\n`

/** A manifest as text that ends with its own checksum, so that any change is noticed. */
export function sealManifest(manifest: Manifest): string {
  const content = JSON.stringify({ ...manifest, sha256: undefined }, undefined, 2).replace(/\n}$/, '')
  return content + seal(content)
}

/** Whether the text is unchanged since {@link sealManifest} wrote it. */
export function isSealed(text: string): boolean {
  const at = text.lastIndexOf(',\n  "sha256"')
  return at >= 0 && text === text.slice(0, at) + seal(text.slice(0, at))
}
