import { visible } from '../text.ts'

/** A place in a text: line and column count from 1, the column in code points. */
export type TextPlace = { line: number; column: number }

const lineEnd = /\r\n|\r|\n/

/**
 * Line and column of a server's position in a text.
 * A position at the end of the input moves back to behind the last thing that can be seen.
 * @param position code points, from 1
 */
export function placeOf(text: string, position: number): TextPlace {
  const offset = Math.min(offsetOf(text, position - 1), text.trimEnd().length)
  const lines = text.slice(0, offset).split(lineEnd)
  return { line: lines.length, column: [...(lines.at(-1) ?? '')].length + 1 }
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
  const lineOf = (whole: string) => whole.split(lineEnd)[place.line - 1]
  return { text: shown, place: lineOf(text) === lineOf(shown) ? place : { line: place.line, column: 1 } }
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
  const points = [...(text.split(lineEnd)[line - 1] ?? '')].map((point) => (visible(point) === point ? point : '·'))
  const from = points.length > shownWidth ? Math.max(0, column - 1 - shownWidth / 2) : 0
  const to = from + shownWidth
  const before = (from > 0 ? '…' : '') + points.slice(from, column - 1).join('')
  const after = points.slice(column - 1, to).join('') + (points.length > to ? '…' : '')
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
