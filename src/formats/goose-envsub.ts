// pure
import { isUtf8 } from 'node:buffer'

export type Environment = Readonly<Record<string, string | undefined>>

/** `used` is false inside a default that is not needed: it is parsed, but a variable that is not set is no error. */
type Cursor = { text: string; at: number; environment: Environment; used: boolean }

/** What is wrong with a `$…`; the caller, who knows file and line, turns it into an AppError. */
export class EnvsubError extends Error {}

/**
 * Substitutes environment variables in a line, as goose does between `ENVSUB ON` and `ENVSUB OFF`: `$VAR`, `${VAR}`, `${VAR:-default}`
 * (also if empty), `${VAR-default}`, `${VAR:offset}`, `${VAR:offset:length}` (in bytes), `${VAR?message}`. A variable that is not set
 * is empty. `$$` and `\$` become one `$`, and `$(` stays: a function body between `$$` is broken by this, with goose as well as here.
 *
 * @throws {EnvsubError}
 * @see https://github.com/mfridman/interpolate
 */
export function envsub(line: string, environment: Environment): string {
  return line.includes('$') ? expression({ text: line, at: 0, environment, used: true }, '') : line
}

/** Text and variables up to the character `stop`, or to the end. */
function expression(cursor: Cursor, stop: string): string {
  const { text } = cursor
  let out = ''
  while (cursor.at < text.length && !(stop !== '' && text[cursor.at] === stop)) {
    const two = text.slice(cursor.at, cursor.at + 2)
    if (two === '\\\\' || two === '$(') out += take(cursor, two)
    else if (two === '\\$' || two === '$$') out += take(cursor, two) && '$'
    else if (two[0] === '$' && two.length === 2) out += variable(cursor)
    else out += take(cursor, two[0] ?? '')
  }
  return out
}

function take(cursor: Cursor, what: string): string {
  cursor.at += what.length
  return what
}

function variable(cursor: Cursor): string {
  take(cursor, '$')
  if (cursor.text[cursor.at] !== '{') return lookUp(cursor, identifier(cursor)) ?? ''
  take(cursor, '{')
  const value = braced(cursor, identifier(cursor))
  if (cursor.text[cursor.at] !== '}') throw new EnvsubError('a `${` is not closed')
  take(cursor, '}')
  return value
}

const identifierPattern = /\p{L}[\p{L}\p{N}_]*/uy

function identifier(cursor: Cursor): string {
  identifierPattern.lastIndex = cursor.at
  const found = identifierPattern.exec(cursor.text)?.[0]
  if (found === undefined) {
    const next = String.fromCodePoint(cursor.text.codePointAt(cursor.at) ?? 32)
    throw new EnvsubError(`\`$\` is followed by "${next}", which is not the name of a variable`)
  }
  return take(cursor, found)
}

const lookUp = ({ environment }: Cursor, name: string) =>
  Object.hasOwn(environment, name) ? environment[name] : undefined

/** What is between the name and the closing brace decides what happens to the value. */
function braced(cursor: Cursor, name: string): string {
  const value = lookUp(cursor, name)
  const { text, at } = cursor
  if (text[at] === '}') return value ?? ''
  if (text.startsWith(':-', at)) return orElse(cursor, ':-', value === '' ? undefined : value)
  if (text[at] === '-') return orElse(cursor, '-', value)
  if (text[at] === ':') return part(cursor, value ?? '')
  if (text[at] !== '?')
    throw new EnvsubError(`\`\${${name}\` is followed by "${text[at] ?? ''}", which is not an operator`)
  take(cursor, '?')
  const message = passed(cursor, { environment: {}, used: false })
  if (value === undefined && cursor.used) throw new EnvsubError(`$${name}: ${message || 'not set'}`)
  return value ?? ''
}

function orElse(cursor: Cursor, operator: string, value: string | undefined): string {
  take(cursor, operator)
  const other = passed(cursor, { used: cursor.used && value === undefined })
  return value ?? other
}

/** The text before the closing brace, with changed settings. Variables in an error message are not substituted: a value may be a secret. */
function passed(cursor: Cursor, how: Partial<Cursor>): string {
  const inner = { ...cursor, ...how }
  const value = expression(inner, '}')
  cursor.at = inner.at
  return value
}

const partPattern = /([^:}]*)(?::([^}]*))?/y

/** `offset` or `offset:length`, in bytes; a negative one counts from the end. */
function part(cursor: Cursor, value: string): string {
  take(cursor, ':')
  partPattern.lastIndex = cursor.at
  const [whole = '', offset = '', length] = partPattern.exec(cursor.text) ?? []
  take(cursor, whole)
  const bytes = Buffer.from(value)
  const from = Math.min(fromEnd(integer(offset), bytes.length), bytes.length)
  const cut = bytes.subarray(from, length === undefined ? bytes.length : endOf(from, integer(length), bytes.length))
  if (!isUtf8(cut)) throw new EnvsubError('the part of a variable cuts a character in two')
  return cut.toString('utf8')
}

const fromEnd = (offset: number, size: number) => (offset < 0 ? Math.max(0, offset + size) : offset)

const endOf = (from: number, length: number, size: number) =>
  length < 0 ? Math.max(from, length + size) : from + length

function integer(text: string): number {
  if (!/^\s*[+-]?\d+\s*$/.test(text)) throw new EnvsubError(`"${text}" is not a number`)
  return Number(text)
}
