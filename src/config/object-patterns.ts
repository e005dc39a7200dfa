// pure
import { matches } from './wildcards.ts'

/** A piece of a name: text that stands for itself, `*` for any characters, `?` for one. */
type Piece = { text: string } | '*' | '?'

/** A name that may be a pattern. */
export type NamePattern = readonly Piece[]

/** A part as it is written: quoted as in SQL, or without quotes and dots. */
const part = /"((?:[^"]|"")+)"|([^".]+)/y

/**
 * The parts of `name`, `schema.name` or either quoted as in SQL: in quotes, everything stands for itself. Case is never folded.
 * Undefined for a text that is none.
 */
function partsOf(text: string): NamePattern[] | undefined {
  const parts: NamePattern[] = []
  for (let at = 0; ; at++) {
    part.lastIndex = at
    const found = part.exec(text)
    if (!found) return undefined
    const [whole, quoted, plain = ''] = found
    parts.push(quoted === undefined ? piecesOf(plain) : [{ text: quoted.replaceAll('""', '"') }])
    at += whole.length
    if (at === text.length) return parts
    if (text[at] !== '.') return undefined
  }
}

const piecesOf = (plain: string): NamePattern =>
  [...plain.matchAll(/[^*?]+|[*?]/g)].map(([piece]) => (piece === '*' || piece === '?' ? piece : { text: piece }))

/** A schema, or a pattern for schemas; undefined for a text that is neither. */
export function parseSchemaPattern(text: string): NamePattern | undefined {
  const parts = partsOf(text)
  return parts?.length === 1 ? parts[0] : undefined
}

/** A table in schema `public`, `schema.table`, or a pattern for them; undefined for a text that is neither. */
export function parseTablePattern(text: string): { schema: NamePattern; name: NamePattern } | undefined {
  const [first, second, ...more] = partsOf(text) ?? []
  if (first === undefined || more.length > 0) return undefined
  return second === undefined ? { schema: [{ text: 'public' }], name: first } : { schema: first, name: second }
}

/** Whether the pattern matches the whole of a name. A part is either in quotes or not, so what is in quotes is all of it. */
export function matchesName(pattern: NamePattern, name: string): boolean {
  const [only] = pattern
  if (pattern.length === 1 && typeof only === 'object') return only.text === name
  return matches(pattern.map((piece) => (typeof piece === 'string' ? piece : piece.text)).join(''), name)
}

/**
 * The same for pg_dump, which folds the case of what is not quoted, and takes `.`, `*`, `?`, `[`, `$` and more as part of a pattern: so
 * all text is quoted.
 */
export const forPgDump = (pattern: NamePattern): string =>
  pattern.map((piece) => (typeof piece === 'string' ? piece : `"${piece.text.replaceAll('"', '""')}"`)).join('')
