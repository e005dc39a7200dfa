// pure
import { visible } from '../text.ts'

/** A place in a text: line and column count from 1, the column in code points. */
export type TextPlace = { line: number; column: number }

/** How many code points a text has before an offset in UTF-16 units. */
export function codePoints(text: string, end: number): number {
  let count = 0
  for (let i = 0; i < end; count++) i += (text.codePointAt(i) ?? 0) > 0xffff ? 2 : 1
  return count
}

/** Start and end of line number `line`, from 1; undefined after the last one. The text is not split, because it may be long. */
function lineAt(text: string, line: number): { start: number; end: number } | undefined {
  const lineEnd = /\r\n|\r|\n/g
  let start = 0
  for (let number = 1; number < line; number++) {
    if (!lineEnd.test(text)) return undefined
    start = lineEnd.lastIndex
  }
  lineEnd.lastIndex = start
  return { start, end: lineEnd.exec(text)?.index ?? text.length }
}

/** Line number `line` of a text, from 1; empty after the last one. */
export const lineOf = (text: string, line: number): string => {
  const found = lineAt(text, line)
  return found ? text.slice(found.start, found.end) : ''
}

/**
 * Line and column of a position that the server gave.
 * A position at the end of the input moves back to just after the last visible character.
 * @param position code points, from 1
 */
export function placeOf(text: string, position: number): TextPlace {
  const offset = Math.min(offsetOf(text, position - 1), text.trimEnd().length)
  const lineEnd = /\r\n|\r|\n/g
  let line = 1
  let start = 0
  while (lineEnd.test(text) && lineEnd.lastIndex <= offset) {
    line++
    start = lineEnd.lastIndex
  }
  // A position between CR and LF is at the end of the line.
  return { line, column: codePoints(text.slice(start, offset), offset - start) + 1 }
}

/**
 * The place in the text to show, which replaces the text that was sent if that contains values that may be secret. Both have the same
 * number of lines. If the line differs, its columns do not match, and the place is at its beginning.
 */
export function shownPlace(
  text: string,
  shown: string | undefined,
  place: TextPlace,
): { text: string; place: TextPlace } {
  if (shown === undefined) return { text, place }
  const isSame = lineOf(text, place.line) === lineOf(shown, place.line)
  return { text: shown, place: isSame ? place : { line: place.line, column: 1 } }
}

/** Offset in UTF-16 units of the code point number `count`, from 0. */
function offsetOf(text: string, count: number): number {
  let offset = 0
  for (let i = 0; i < count && offset < text.length; i++) offset += (text.codePointAt(offset) ?? 0) > 0xffff ? 2 : 1
  return offset
}

const shownWidth = 100

/**
 * The line of a place with its number, and a caret below the column. A long line is cut around the caret. Characters that are not
 * visible are replaced, so that nothing can control the terminal.
 * @param linesBefore number of lines in the file before the text, for the line number
 */
export function excerptOf(text: string, { line, column }: TextPlace, linesBefore = 0): string {
  const whole = lineOf(text, line)
  const isLong = codePoints(whole, whole.length) > shownWidth
  const from = isLong ? Math.max(0, column - 1 - shownWidth / 2) : 0
  const end = offsetOf(whole, from + shownWidth)
  const points = [...whole.slice(offsetOf(whole, from), end)].map((point) => (visible(point) === point ? point : '·'))
  const before = (from > 0 ? '…' : '') + points.slice(0, column - 1 - from).join('')
  const after = points.slice(column - 1 - from).join('') + (end < whole.length ? '…' : '')
  const number = String(line + linesBefore)
  return `  ${number} | ${before}${after}\n  ${' '.repeat(number.length)} | ${padding(before)}^`
}

/** Spaces as wide as a text on a terminal. */
const padding = (text: string) =>
  [...text].map((point) => (point === '\t' ? '\t' : ' '.repeat(widthOf(point)))).join('')

/** The regular expressions are inside the function, because compiling them takes two milliseconds, and only errors need them. */
function widthOf(point: string): number {
  if (/\p{Mn}|\p{Me}|\p{Cf}/u.test(point)) return 0
  const wide =
    /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u
  return wide.test(point) ? 2 : 1
}
