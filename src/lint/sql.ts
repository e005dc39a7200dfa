// pure
import { scan } from '../sql/scan.ts'
import { visibleSql } from '../text.ts'
import type { TableName } from './types.ts'

/** Words that need quotes to be used as names (pg_get_keywords(), categories R and T). */
const reserved = new Set(
  `all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation column
   concurrently constraint create cross current_catalog current_date current_role current_schema current_time current_timestamp
   current_user default deferrable desc distinct do else end except false fetch for foreign freeze from full grant group having
   ilike in initially inner intersect into is isnull join lateral leading left like limit localtime localtimestamp natural not
   notnull null offset on only or order outer overlaps placing primary references returning right select session_user similar
   some symmetric system_user table tablesample then to trailing true union unique user using variadic verbose when where
   window with`.split(/\s+/),
)

/** A name as an identifier, quoted only if it has to be. */
export const printIdent = (name: string): string =>
  /^[a-z_][a-z0-9_$]*$/.test(name) && !reserved.has(name) ? name : visibleSql(`"${name.replaceAll('"', '""')}"`)

/** `users` or `app.users`. */
export const printName = ({ schema, name }: TableName): string =>
  schema === undefined ? printIdent(name) : `${printIdent(schema)}.${printIdent(name)}`

/** Names separated by commas. */
export const printList = (names: string[]): string => names.map(printIdent).join(', ')

/** A name like those that PostgreSQL generates: the parts joined with `_`, cut to 63 characters. */
export const joinName = (...parts: string[]): string => parts.join('_').slice(0, 63)

/**
 * The parts of a statement between its top-level commas, trimmed: the clauses of an ALTER TABLE, the assignments of an UPDATE.
 * @param from offset of the first part
 */
export function splitClauses(text: string, from = 0): { text: string; start: number }[] {
  const clauses: { text: string; start: number }[] = []
  let start = from
  let depth = 0
  const close = (end: number) => {
    const piece = text.slice(start, end)
    const [first] = scan(piece).statements
    const skip = first?.start ?? 0
    clauses.push({ text: withoutTrailingComments(piece.slice(skip)), start: start + skip })
    start = end + 1
  }
  for (const { mark, at } of marks(text, from)) {
    if (mark === '(' || mark === '[') depth++
    else if (mark === ')' || mark === ']') depth--
    else if (mark === ',' && depth === 0) close(at)
  }
  close(text.length)
  return clauses
}

/** Offset of the end of a list item: the next comma or closing bracket on its own level, or the end of the text. */
export function endOfItem(text: string, from: number): number {
  let depth = 0
  for (const { mark, at } of marks(text, from)) {
    if (mark === '(' || mark === '[') depth++
    else if (depth === 0) return at
    else if (mark !== ',') depth--
  }
  return text.length
}

/** Brackets and commas outside quotes and comments. */
function* marks(text: string, from: number): Generator<{ mark: string; at: number }> {
  for (const { 0: mark, index: at } of text.slice(from).matchAll(token))
    if (mark.length === 1) yield { mark, at: from + at }
}

/** A string, quoted name, dollar-quoted string or comment as one match; otherwise a single bracket or comma. */
const token =
  /\b[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|(\$(?:[A-Za-z_]\w*)?\$)[\s\S]*?\1|--[^\n]*|\/\*[\s\S]*?\*\/|[()[\],]/g

const withoutTrailingComments = (text: string): string => {
  let end = text.trimEnd().length
  for (const { 0: mark, index } of text.matchAll(token))
    if (/^(--|\/\*)/.test(mark) && text.slice(index + mark.length).trim() === '') end = Math.min(end, index)
  return text.slice(0, end).trimEnd()
}
