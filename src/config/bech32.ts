// pure
const alphabet = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l'
const generator = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3]

/**
 * Whether a text is Bech32 with this prefix and a right checksum, which notices every mistyped character.
 * @see https://github.com/bitcoin/bips/blob/master/bip-0173.mediawiki
 */
export function isBech32(text: string, prefix: string): boolean {
  if (!text.startsWith(`${prefix}1`)) return false
  const values = [...text.slice(prefix.length + 1)].map((char) => alphabet.indexOf(char))
  if (values.includes(-1)) return false
  const codes = [...prefix].map((char) => char.charCodeAt(0))
  return checksum([...codes.map((code) => code >> 5), 0, ...codes.map((code) => code & 31), ...values]) === 1
}

const checksum = (values: number[]) =>
  values.reduce((sum, value) => {
    const top = sum >>> 25
    return generator.reduce(
      (mixed, part, i) => ((top >> i) & 1 ? mixed ^ part : mixed),
      ((sum & 0x1ffffff) << 5) ^ value,
    )
  }, 1)
