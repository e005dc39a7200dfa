// pure
import { createHash } from 'node:crypto'
import type { Manifest } from './manifest.ts'

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

/** The end of a sealed document: the SHA-256 of everything before it. */
const seal = (content: string) => `,\n  "sha256": "${sha256(content)}"\n}\n`

/** A manifest as text, ending in its own checksum: not one bit of it can change unnoticed. */
export function sealManifest(manifest: Manifest): string {
  const content = JSON.stringify({ ...manifest, sha256: undefined }, undefined, 2).replace(/\n}$/, '')
  return content + seal(content)
}

/** Whether the text is what {@link sealManifest} made. */
export function isSealed(text: string): boolean {
  const at = text.lastIndexOf(',\n  "sha256"')
  return at >= 0 && text === text.slice(0, at) + seal(text.slice(0, at))
}
