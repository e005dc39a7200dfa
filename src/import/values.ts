// pure
import type { Kind, Unit } from './kinds.ts'

/** A value as SQLite returns it, with integers as bigint. */
export type Value = bigint | number | string | Uint8Array | null

/** The shortest text that PostgreSQL reads as the same double. */
export const doubleText = (value: number) => (Object.is(value, -0) ? '-0' : String(value))

/**
 * A number, or the text of one, as plain decimal digits without an exponent and without zeros at the end: `12.5`. Undefined for anything
 * else. A double is taken as its shortest spelling, which is what somebody wrote into a column of NUMERIC affinity.
 */
export function decimalText(value: Value): string | undefined {
  if (typeof value === 'bigint') return String(value)
  const text = typeof value === 'number' ? String(value) : typeof value === 'string' ? value.trim() : ''
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^([+-]?)(\d+)(?:\.(\d*))?(?:e([+-]?\d{1,3}))?$/i.exec(text) ?? []
  if (whole === '') return undefined
  const shift = Number(exponent)
  const digits = whole + fraction
  const point = whole.length + shift
  const padded = point <= 0 ? `${'0'.repeat(1 - point)}${digits}` : digits.padEnd(point, '0')
  const at = Math.max(point, 1)
  const left = padded.slice(0, at).replace(/^0+(?=\d)/, '')
  const right = padded.slice(at).replace(/0+$/, '')
  const number = right === '' ? left : `${left}.${right}`
  return sign === '-' && number !== '0' ? `-${number}` : number
}

/** Whether numeric(precision, scale) stores the digits without rounding. @param decimal of {@link decimalText} */
export function fitsNumeric(decimal: string, precision: number | undefined, scale = 0): boolean {
  if (precision === undefined) return true
  const [whole = '', fraction = ''] = decimal.replace('-', '').split('.')
  const left = whole === '0' ? 0 : whole.length
  if (scale < 0) return fraction === '' && /^0*$/.test(whole.slice(scale)) && left <= precision - scale
  return fraction.length <= scale && left <= precision - scale
}

const dates = String.raw`(\d{4})-(\d{2})-(\d{2})`
const times = String.raw`(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d+))?)?`
const zones = String.raw`(Z|[+-]\d{2}(?::?\d{2})?)?`
const shapes = {
  date: new RegExp(`^${dates}$`),
  time: new RegExp(`^${times}$`),
  instant: new RegExp(`^${dates}(?:[ T]${times} ?${zones})?$`),
}

/**
 * A date, a time or an instant in the one spelling that is sent and compared: `2024-01-02`, `03:04:05.000000`,
 * `2024-01-02 03:04:05.000000`, that of a timestamptz in UTC. Undefined where it is none, or could only be rounded: ISO 8601 is read,
 * numbers only with a unit.
 */
export function timeText(value: Value, kind: Kind, unit: Unit | undefined): string | undefined {
  if (typeof value === 'bigint') return unit === undefined ? undefined : instantText(value * micros[unit])
  if (typeof value !== 'string') return undefined
  if (kind === 'date') {
    const [, year = '', month = '', day = ''] = shapes.date.exec(value) ?? []
    return isDate(year, month, day) ? value : undefined
  }
  if (kind === 'time') {
    const [found, hour = '', minute = '', second = '00', fraction = ''] = shapes.time.exec(value) ?? []
    const exact = sixDigits(fraction)
    return found !== undefined && isTime(hour, minute, second) && exact !== undefined
      ? `${hour}:${minute}:${second}.${exact}`
      : undefined
  }
  return readInstant(value, kind)
}

const micros: Record<Unit, bigint> = { s: 1_000_000n, ms: 1_000n, us: 1n }

function readInstant(value: string, kind: Kind): string | undefined {
  const [found, year = '', month = '', day = '', hour = '00', minute = '00', second = '00', fraction = '', zone] =
    shapes.instant.exec(value) ?? []
  const exact = sixDigits(fraction)
  if (found === undefined || exact === undefined || !isDate(year, month, day) || !isTime(hour, minute, second))
    return undefined
  const local = `${year}-${month}-${day} ${hour}:${minute}:${second}.${exact}`
  if (zone === undefined) return local
  // PostgreSQL would drop the zone of a timestamp without a word.
  if (kind !== 'timestamptz') return undefined
  const [, sign, hours = '0', minutes = '0'] = /^([+-])(\d{2}):?(\d{2})?$/.exec(zone) ?? []
  if (Number(hours) > 15 || Number(minutes) > 59) return undefined
  const offset = (Number(hours) * 60 + Number(minutes)) * (sign === '-' ? -1 : 1)
  const at = BigInt(Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`) - offset * 60_000)
  return instantText(at * 1000n + BigInt(exact))
}

/** @param at microseconds since 1970; undefined outside of the years 1 to 9999 */
function instantText(at: bigint): string | undefined {
  const ms = at / 1000n - (at % 1000n < 0n ? 1n : 0n)
  if (ms < -62_135_596_800_000n || ms > 253_402_300_799_999n) return undefined
  const text = new Date(Number(ms)).toISOString()
  return `${text.slice(0, 10)} ${text.slice(11, 23)}${String(at - ms * 1000n).padStart(3, '0')}`
}

/** Six digits of a second; undefined where more of them are not zero. */
const sixDigits = (fraction: string) =>
  /^0*$/.test(fraction.slice(6)) ? fraction.slice(0, 6).padEnd(6, '0') : undefined

const isTime = (hour: string, minute: string, second: string) =>
  Number(hour) < 24 && Number(minute) < 60 && Number(second) < 60

function isDate(year: string, month: string, day: string): boolean {
  if (Number(year) < 1 || Number(month) < 1 || Number(month) > 12) return false
  return (
    Number(day) >= 1 && Number(day) <= new Date(Date.UTC(2000 + (Number(year) % 400), Number(month), 0)).getUTCDate()
  )
}

/** A UUID in the spelling of PostgreSQL: of its text with or without hyphens and braces, or of 16 bytes. */
export function uuidText(value: Value): string | undefined {
  const text = value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value
  if (typeof text !== 'string') return undefined
  const [, hex] = /^\{?([0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12})\}?$/i.exec(text) ?? []
  return hex
    ?.replaceAll('-', '')
    .toLowerCase()
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}
