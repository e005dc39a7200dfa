// pure
const quote = 0x22
/** What may stand before a quote that opens a value, and after one that closes it: a comma or a line break. */
const isBoundary = (byte: number | undefined) => byte === 0x2c || byte === 0x0a || byte === 0x0d

/**
 * Looks at a CSV file piece by piece, at its quotes only. Returns whether one has opened within a value, or closed before its end: COPY
 * takes such quotes away, and everything between two of them, line breaks too, for one value.
 */
export function createStrayScan(): (bytes: Uint8Array) => boolean {
  /** The last byte of the piece before; the file begins like a line. */
  let last: number | undefined = 0x0a
  let quoted = false
  /** The piece before ended with a quote: what follows decides whether it has closed the value, or is the first of two. */
  let undecided = false
  return (bytes) => {
    if (bytes.length === 0) return false
    let at = 0
    if (undecided) {
      undecided = false
      if (bytes[0] === quote) at = 1
      else if (isBoundary(bytes[0])) quoted = false
      else return true
    }
    for (;;) {
      const found = bytes.indexOf(quote, at)
      if (found < 0) break
      at = found + 1
      if (!quoted) {
        if (!isBoundary(found === 0 ? last : bytes[found - 1])) return true
        quoted = true
      } else if (at === bytes.length) undecided = true
      else if (bytes[at] === quote) at++
      else if (isBoundary(bytes[at])) quoted = false
      else return true
    }
    last = bytes.at(-1)
    return false
  }
}
