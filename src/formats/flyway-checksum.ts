// pure
import { crc32 } from 'node:zlib'
import { partsOf } from './checksum.ts'

/**
 * Flyway's checksum of a text: CRC-32 of its lines without line endings, as a signed 32-bit number in decimal.
 * The kind of line endings does not matter, nor does one at the end of the file.
 *
 * @param text without byte order mark
 * @see ChecksumCalculator of flyway-core
 */
export function flywayChecksum(text: string): string {
  let crc = 0
  for (const part of partsOf(text)) crc = crc32(part.replace(/[\r\n]+/g, ''), crc)
  return signed(crc)
}

/** Whether a checksum is that of early versions of Flyway, which included the line endings, of whichever kind. */
export function isLegacyChecksum(recorded: string, bytes: Buffer, text: string): boolean {
  const lines = text.replace(/\r\n?/g, '\n')
  return [bytes, lines, lines.replaceAll('\n', '\r\n')].some((content) => signed(crc32(content)) === recorded)
}

const signed = (crc: number) => String(crc | 0)

/** Java's `String.hashCode()`: a signed 32-bit number. */
export function javaHash(text: string): number {
  let hash = 0
  for (let i = 0; i < text.length; i++) hash = (Math.imul(31, hash) + text.charCodeAt(i)) | 0
  return hash
}
