// pure
import { visible } from '../text.ts'

/** A place in a text: line and column count from 1, the column in code points. */
export type TextPlace = { line: number; column: number }

/** How many code points of a text stand before an offset in UTF-16 units. */
export function codePoints(text: string, end: number): number {
  let count = 0
  for (let i = 0; i < end; count++) i += (text.codePointAt(i) ?? 0) > 0xffff ? 2 : 1
  return count
}

/** Where line number `line`, from 1, begins and ends; undefined behind the last one. Counted, not split: a text may be long. */
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

const lineOf = (text: string, line: number): string => {
  const found = lineAt(text, line)
  return found ? text.slice(found.start, found.end) : ''
}

/**
 * Line and column of a server's position in a text.
 * A position at the end of the input moves back to behind the last thing that can be seen.
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
  // Between CR and LF it is at the end of the line.
  return { line, column: codePoints(text.slice(start, offset), offset - start) + 1 }
}

/**
 * The place in a text that may be shown instead of the one that was sent, because values were put into that which may be secret.
 * Both have the same lines; where a line differs, its columns mean nothing.
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
 * The line of a place with its number, and a caret below the column. A long line is cut around it;
 * what does not show as itself is replaced, so that nothing steers the terminal.
 * @param linesBefore of the file before the text, for the number that is shown
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

/** Blanks as wide as a text on a terminal. */
const padding = (text: string) =>
  [...text].map((point) => (point === '\t' ? '\t' : ' '.repeat(widthOf(point)))).join('')

/** The expressions stand in the function: compiling them takes two milliseconds, which only an error is worth. */
function widthOf(point: string): number {
  if (/\p{Mn}|\p{Me}|\p{Cf}/u.test(point)) return 0
  const wide =
    /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u
  return wide.test(point) ? 2 : 1
}
