// pure
/** Converts byte offsets in the UTF-8 text, which PostgreSQL's parser uses, to offsets in UTF-16 units. */
export function byteOffsets(text: string): (bytes: number) => number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: this is how ASCII is spelt
  if (/^[\x00-\x7f]*$/.test(text)) return (bytes) => bytes
  const units: number[] = []
  for (let i = 0; i < text.length; ) {
    const point = text.codePointAt(i) ?? 0
    for (let byte = 0; byte < bytesOf(point); byte++) units.push(i)
    i += point > 0xffff ? 2 : 1
  }
  return (bytes) => units[bytes] ?? text.length
}

/** Offset, in UTF-16 units, of the code point with the number `count`, counted from 0. */
export function codePointOffset(text: string, count: number): number {
  let offset = 0
  for (let i = 0; i < count && offset < text.length; i++) offset += (text.codePointAt(offset) ?? 0) > 0xffff ? 2 : 1
  return offset
}

const bytesOf = (point: number) => (point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4)
