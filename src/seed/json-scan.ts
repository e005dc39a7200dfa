// pure
import {
  backslash,
  closeBrace,
  closeBracket,
  colon,
  comma,
  letterF,
  letterN,
  letterT,
  openBrace,
  openBracket,
  quote,
} from './json-chars.ts'

/** A value of a JSON text: its own text, unchanged, so that large numbers stay exact. `at`: where it starts. */
export type JsonValue = { kind: 'string' | 'number' | 'literal' | 'null' | 'object' | 'array'; raw: string; at: number }

/** A value with its key. `at`: where the value starts; `keyAt`: where the key does. */
export type JsonField = JsonValue & { name: string; keyAt: number }

/** What is wrong with a JSON text, and where in it, counted from 0. */
export class JsonProblem extends Error {
  override readonly name = 'JsonProblem'
  readonly at: number
  constructor(at: number, problem: string) {
    super(problem)
    this.at = at
  }
}

/** PostgreSQL itself refuses json that is nested much deeper. */
const deepest = 1_000

/**
 * The keys and values of a JSON object, in their order.
 * @throws {JsonProblem} when the text is anything else, or has a key twice
 */
export function parseObject(text: string): JsonField[] {
  const fields: JsonField[] = []
  const start = skipSpace(text, 0)
  if (text.charCodeAt(start) !== openBrace) throw new JsonProblem(start, 'a row must be an object: {"column": value}')
  const end = skipSpace(text, endOfObject(text, start, 0, fields))
  if (end < text.length) throw new JsonProblem(end, 'there is something after the end of the object')
  refuseTwice(fields)
  return fields
}

/** The elements of a JSON array that {@link parseObject} has returned as a value. */
export function parseArray(text: string): JsonValue[] {
  const values: JsonValue[] = []
  endOfArray(text, 0, 0, values)
  return values
}

/** A set takes longer than comparing a few names. */
const fewFields = 12

function refuseTwice(fields: readonly JsonField[]): void {
  const twice = fields.length > fewFields ? findTwice(fields) : fields.find(hasEarlier)
  if (twice) throw new JsonProblem(twice.keyAt, `the key ${JSON.stringify(twice.name)} appears twice`)
}

function hasEarlier({ name }: JsonField, at: number, fields: readonly JsonField[]): boolean {
  for (let earlier = 0; earlier < at; earlier++) if (fields[earlier]!.name === name) return true
  return false
}

function findTwice(fields: readonly JsonField[]): JsonField | undefined {
  const names = new Set<string>()
  return fields.find(({ name }) => names.size === names.add(name).size)
}

/** The text that a JSON string means. */
export const stringOf = (raw: string): string => (raw.includes('\\') ? (JSON.parse(raw) as string) : raw.slice(1, -1))

function skipSpace(text: string, at: number): number {
  let next = at
  for (let code = text.charCodeAt(next); code === 32 || code === 9 || code === 10 || code === 13; )
    code = text.charCodeAt(++next)
  return next
}

const unexpected = (text: string, at: number, wanted: string) =>
  new JsonProblem(
    at,
    at >= text.length
      ? `the JSON ends too early: ${wanted} is missing`
      : `${JSON.stringify(String.fromCodePoint(text.codePointAt(at)!))} where ${wanted} is expected`,
  )

/** @param fields gets what is in the object that starts at `at`, if given */
function endOfObject(text: string, at: number, depth: number, fields?: JsonField[]): number {
  let next = skipSpace(text, at + 1)
  if (text.charCodeAt(next) === closeBrace) return next + 1
  for (;;) {
    if (text.charCodeAt(next) !== quote) throw unexpected(text, next, 'a key in double quotes')
    const keyAt = next
    const keyEnd = endOfString(text, keyAt)
    next = skipSpace(text, keyEnd)
    if (text.charCodeAt(next) !== colon) throw unexpected(text, next, 'a colon')
    const valueAt = skipSpace(text, next + 1)
    const end = endOfValue(text, valueAt, depth + 1)
    fields?.push({
      name: stringOf(text.slice(keyAt, keyEnd)),
      keyAt,
      kind: kindAt(text, valueAt),
      raw: text.slice(valueAt, end),
      at: valueAt,
    })
    next = skipSpace(text, end)
    const code = text.charCodeAt(next)
    if (code === closeBrace) return next + 1
    if (code !== comma) throw unexpected(text, next, 'a comma or }')
    next = skipSpace(text, next + 1)
  }
}

/** @param values gets what is in the array that starts at `at`, if given */
function endOfArray(text: string, at: number, depth: number, values?: JsonValue[]): number {
  let next = skipSpace(text, at + 1)
  if (text.charCodeAt(next) === closeBracket) return next + 1
  for (;;) {
    const start = next
    const end = endOfValue(text, start, depth + 1)
    values?.push({ kind: kindAt(text, start), raw: text.slice(start, end), at: start })
    next = skipSpace(text, end)
    const code = text.charCodeAt(next)
    if (code === closeBracket) return next + 1
    if (code !== comma) throw unexpected(text, next, 'a comma or ]')
    next = skipSpace(text, next + 1)
  }
}

function kindAt(text: string, at: number): JsonValue['kind'] {
  const code = text.charCodeAt(at)
  if (code === quote) return 'string'
  if (code === openBrace) return 'object'
  if (code === openBracket) return 'array'
  if (code === letterN) return 'null'
  return code === letterT || code === letterF ? 'literal' : 'number'
}

const simple = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y

function endOfValue(text: string, at: number, depth: number): number {
  if (depth > deepest) throw new JsonProblem(at, `it is nested more than ${deepest} deep`)
  const first = text.charCodeAt(at)
  if (first === quote) return endOfString(text, at)
  if (first === openBrace) return endOfObject(text, at, depth)
  if (first === openBracket) return endOfArray(text, at, depth)
  simple.lastIndex = at
  if (!simple.test(text)) throw unexpected(text, at, 'a value')
  return simple.lastIndex
}

const escapeSequence = /\\(?:["\\/bfnrt]|u[\da-fA-F]{4})/y

function endOfString(text: string, at: number): number {
  for (let next = at + 1; next < text.length; next++) {
    const code = text.charCodeAt(next)
    if (code === quote) return next + 1
    if (code === backslash) {
      escapeSequence.lastIndex = next
      if (!escapeSequence.test(text)) throw new JsonProblem(next, 'this is no escape of JSON')
      next = escapeSequence.lastIndex - 1
    } else if (code < 32) throw new JsonProblem(next, 'a control character in a string must be escaped')
  }
  throw new JsonProblem(at, 'the quote is never closed')
}
