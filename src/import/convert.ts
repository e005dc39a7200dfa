// pure
import type { Kind, PgType, Unit } from './kinds.ts'
import { decimalText, doubleText, fitsNumeric, timeText, uuidText, type Value } from './values.ts'

/** How the values of a column are converted. `byLine`: because of a line under `types`, which also lets text become numbers. */
export type Conversion = { type: PgType; unit: Unit | undefined; byLine: boolean }

/** The least and the greatest number of each kind without fraction. */
export const ranges: Partial<Record<Kind, readonly [bigint, bigint]>> = {
  int2: [-32_768n, 32_767n],
  int4: [-2_147_483_648n, 2_147_483_647n],
  int8: [-(2n ** 63n), 2n ** 63n - 1n],
}

/** Whether a column of that kind has numbers without fraction. */
export const isInteger = (kind: Kind): boolean => ranges[kind] !== undefined

/**
 * A value as PostgreSQL reads it, not escaped; undefined where that type cannot hold it exactly. NULL is not for this function.
 */
export function convertValue({ type, unit, byLine }: Conversion, value: Value): string | undefined {
  const { kind } = type
  if (typeof value === 'string' && value.includes('\0') && kind !== 'bytea') return undefined
  switch (kind) {
    case 'int2':
    case 'int4':
    case 'int8':
      return integerText(kind, typeof value === 'string' && !byLine ? null : value)
    case 'float4':
    case 'float8':
      return floatText(kind, typeof value === 'string' && !byLine ? null : value)
    case 'numeric': {
      if (typeof value === 'string' && !byLine) return undefined
      const decimal = decimalText(value)
      return decimal !== undefined && fitsNumeric(decimal, type.precision, type.scale) ? decimal : undefined
    }
    case 'bool':
      return booleanText(value)
    case 'bytea':
      if (typeof value === 'string') return `\\x${Buffer.from(value).toString('hex')}`
      return value instanceof Uint8Array ? `\\x${Buffer.from(value).toString('hex')}` : undefined
    case 'date':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return timeText(value, kind, unit)
    case 'uuid':
      return value instanceof Uint8Array && !byLine ? undefined : uuidText(value)
    case 'json':
    case 'jsonb':
      return typeof value === 'string' && isJson(value) ? value : undefined
    default:
      return fitting(plainText(value), type.length)
  }
}

function integerText(kind: Kind, value: Value): string | undefined {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) return undefined
  const decimal = decimalText(value)
  if (decimal === undefined || decimal.includes('.')) return undefined
  const number = BigInt(decimal)
  const [least, most] = ranges[kind]!
  return number >= least && number <= most ? decimal : undefined
}

function floatText(kind: Kind, value: Value): string | undefined {
  if (value === null || value instanceof Uint8Array) return undefined
  const number = Number(value)
  // An integer, or a text, must be what the double says.
  if (typeof value === 'bigint' && BigInt(number) !== value) return undefined
  if (typeof value === 'string' && (decimalText(value) === undefined || decimalText(value) !== decimalText(number)))
    return undefined
  if (Number.isNaN(number) || (kind === 'float4' && Math.fround(number) !== number)) return undefined
  return doubleText(number)
}

function booleanText(value: Value): string | undefined {
  const text = typeof value === 'string' ? value.toLowerCase() : value
  if (text === 1n || text === 'true' || text === 't' || text === '1') return 'true'
  return text === 0n || text === 'false' || text === 'f' || text === '0' ? 'false' : undefined
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

const plainText = (value: Value): string | undefined =>
  typeof value === 'string'
    ? value
    : typeof value === 'bigint'
      ? String(value)
      : typeof value === 'number'
        ? doubleText(value)
        : undefined

const fitting = (text: string | undefined, length: number | undefined) =>
  text !== undefined && length !== undefined && [...text].length > length ? undefined : text

/** How the fields of COPY are told apart, and what NULL is: characters that text hardly ever contains. As options of COPY. */
export const copyOptions = `(delimiter E'\\x01', null E'\\x02')`

/** Text as a field of COPY's text format, with {@link copyOptions}. */
export const escaped = (text: string) =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones that COPY reads
  text.replaceAll(/[\\\n\r\x01\x02]/g, (one) => ({ '\n': '\\n', '\r': '\\r' })[one] ?? `\\${one}`)
