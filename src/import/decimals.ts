// pure
/** Sum and extremes of decimals, as integers with so many digits after the point; undefined while there is none. */
export type Decimals = { scale: number; sum: bigint; least: bigint | undefined; most: bigint | undefined }

export const noDecimals = (): Decimals => ({ scale: 0, sum: 0n, least: undefined, most: undefined })

/** @param text of `decimalText` */
export function addDecimal(sums: Decimals, text: string): Decimals {
  const [whole = '0', fraction = ''] = text.split('.')
  const scale = Math.max(sums.scale, fraction.length)
  const up = (value: bigint) => value * 10n ** BigInt(scale - sums.scale)
  const value = BigInt(whole + fraction.padEnd(scale, '0'))
  const [least = value, most = value] = [sums.least, sums.most].map((one) => (one === undefined ? undefined : up(one)))
  return {
    scale,
    sum: up(sums.sum) + value,
    least: value < least ? value : least,
    most: value > most ? value : most,
  }
}

/** As JSON, because an aggregate of SQLite returns one value. */
export const renderDecimals = ({ scale, sum, least, most }: Decimals): string =>
  JSON.stringify(
    least === undefined ? {} : { sum: render(sum, scale), least: render(least, scale), most: render(most!, scale) },
  )

/** Without zeros at the end, as trim_scale. */
function render(value: bigint, scale: number): string {
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, '0')
  const fraction = digits.slice(digits.length - scale).replace(/0+$/, '')
  const whole = digits.slice(0, digits.length - scale)
  const text = scale === 0 || fraction === '' ? whole : `${whole}.${fraction}`
  return value < 0n ? `-${text}` : text
}
