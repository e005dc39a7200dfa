/** A place in a text: line and column count from 1, the column in code points. */
export type TextPlace = { line: number; column: number }

const lineEnd = /\r\n|\r|\n/g

/** Line and column of an offset (UTF-16 units) in a text. */
export function placeAt(text: string, offset: number): TextPlace {
  const before = text.slice(0, offset).split(lineEnd)
  return { line: before.length, column: [...(before.at(-1) ?? '')].length + 1 }
}

/** Offset in UTF-16 units of the code point number `count` (from 0), which is how the server counts. */
export function offsetOfCodePoint(text: string, count: number): number {
  let offset = 0
  for (let i = 0; i < count && offset < text.length; i++) offset += (text.codePointAt(offset) ?? 0) > 0xffff ? 2 : 1
  return offset
}

const shownWidth = 120

/**
 * The line of a place with its number, and a caret under the column:
 *
 *     3 | alter tabel users
 *       |       ^
 *
 * A long line is cut around the column. The literal of a `password '…'` is hidden.
 */
export function excerptAt(text: string, { line, column }: TextPlace): string {
  const points = [...hidePasswords(text.split(lineEnd)[line - 1] ?? '')]
  const from = points.length > shownWidth ? Math.max(0, column - shownWidth / 2) : 0
  const shown = points.slice(from, from + shownWidth)
  const padding = shown.slice(0, column - 1 - from).map((point) => (point === '\t' ? '\t' : ' '))
  const number = String(line)
  return `${number} | ${shown.join('')}\n${' '.repeat(number.length)} | ${padding.join('')}^`
}

const hidePasswords = (line: string) =>
  line.replace(/(\bpassword\s+)(e?'(?:[^']|'')*'?)/gi, (_, before: string, literal: string) => before + '*'.repeat(literal.length))
