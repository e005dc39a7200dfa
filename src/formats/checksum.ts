// pure
import { createHash, hash } from 'node:crypto'

const largeBytes = 1024 * 1024

/** Our checksum: sha256 of the UTF-8 text with CRLF and CR turned into LF, as 64 hexadecimal digits. */
export function checksum(text: string): string {
  if (text.length <= largeBytes) return hash('sha256', unified(text))
  const sum = createHash('sha256')
  for (const part of partsOf(text)) sum.update(unified(part))
  return sum.digest('hex')
}

const unified = (text: string) => (text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text)

/** The text in parts, so that a second copy is never in memory as a whole. No part ends inside a line ending or a character. */
export function* partsOf(text: string): Generator<string> {
  for (let from = 0; from < text.length; ) {
    let to = Math.min(from + largeBytes, text.length)
    while (to < text.length && /[\r\ud800-\udbff]/.test(text[to - 1]!)) to++
    yield text.slice(from, to)
    from = to
  }
}
