// pure
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
  const start = skipSpace(text, 0)
  if (text[start] !== '{') throw new JsonProblem(start, 'a row must be an object: {"column": value}')
  const fields: JsonField[] = []
  const names = new Set<string>()
  const end = members(text, start, 0, (name, keyAt, value) => {
    if (names.has(name)) throw new JsonProblem(keyAt, `the key ${JSON.stringify(name)} appears twice`)
    names.add(name)
    fields.push({ ...value(), name, keyAt })
  })
  refuseRest(text, end)
  return fields
}

/** The elements of a JSON array that {@link parseObject} has returned as a value. */
export function parseArray(text: string): JsonValue[] {
  const values: JsonValue[] = []
  elements(text, 0, 0, (value) => values.push(value()))
  return values
}

/** The text that a JSON string means. */
export const stringOf = (raw: string): string => (raw.includes('\\') ? (JSON.parse(raw) as string) : raw.slice(1, -1))

type Value = () => JsonValue

function refuseRest(text: string, from: number): void {
  const at = skipSpace(text, from)
  if (at < text.length) throw new JsonProblem(at, 'there is something after the end of the object')
}

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

/** Reads an object that starts at `at`; returns where it ends. */
function members(
  text: string,
  at: number,
  depth: number,
  found?: (name: string, keyAt: number, value: Value) => void,
): number {
  let next = skipSpace(text, at + 1)
  if (text[next] === '}') return next + 1
  for (;;) {
    if (text[next] !== '"') throw unexpected(text, next, 'a key in double quotes')
    const keyAt = next
    next = endOfString(text, next)
    const key = text.slice(keyAt, next)
    next = skipSpace(text, next)
    if (text[next] !== ':') throw unexpected(text, next, 'a colon')
    const valueAt = skipSpace(text, next + 1)
    const end = endOfValue(text, valueAt, depth + 1)
    found?.(stringOf(key), keyAt, () => valueFrom(text, valueAt, end))
    next = skipSpace(text, end)
    if (text[next] === '}') return next + 1
    if (text[next] !== ',') throw unexpected(text, next, 'a comma or }')
    next = skipSpace(text, next + 1)
  }
}

/** Reads an array that starts at `at`; returns where it ends. */
function elements(text: string, at: number, depth: number, found?: (value: Value) => void): number {
  let next = skipSpace(text, at + 1)
  if (text[next] === ']') return next + 1
  for (;;) {
    const start = next
    const end = endOfValue(text, start, depth + 1)
    found?.(() => valueFrom(text, start, end))
    next = skipSpace(text, end)
    if (text[next] === ']') return next + 1
    if (text[next] !== ',') throw unexpected(text, next, 'a comma or ]')
    next = skipSpace(text, next + 1)
  }
}

const kinds: Record<string, JsonValue['kind']> = {
  '"': 'string',
  '{': 'object',
  '[': 'array',
  t: 'literal',
  f: 'literal',
  n: 'null',
}

const valueFrom = (text: string, at: number, end: number): JsonValue => ({
  kind: kinds[text[at]!] ?? 'number',
  raw: text.slice(at, end),
  at,
})

const simple = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y

function endOfValue(text: string, at: number, depth: number): number {
  if (depth > deepest) throw new JsonProblem(at, `it is nested more than ${deepest} deep`)
  const first = text[at]
  if (first === '"') return endOfString(text, at)
  if (first === '{') return members(text, at, depth)
  if (first === '[') return elements(text, at, depth)
  simple.lastIndex = at
  if (!simple.test(text)) throw unexpected(text, at, 'a value')
  return simple.lastIndex
}

const special = /["\\\p{Cc}]/gu
const escapeSequence = /\\(?:["\\/bfnrt]|u[\da-fA-F]{4})/y

function endOfString(text: string, at: number): number {
  special.lastIndex = at + 1
  for (;;) {
    const found = special.exec(text)
    if (!found) throw new JsonProblem(at, 'the quote is never closed')
    if (found[0] === '"') return found.index + 1
    if (found[0] === '\\') {
      escapeSequence.lastIndex = found.index
      if (!escapeSequence.test(text)) throw new JsonProblem(found.index, 'this is no escape of JSON')
      special.lastIndex = escapeSequence.lastIndex
    } else if (found[0] < ' ') throw new JsonProblem(found.index, 'a control character in a string must be escaped')
  }
}
