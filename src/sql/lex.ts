// pure
/** Where the lexical elements of PostgreSQL end. Offsets count UTF-16 units; -1: the text ends inside the element. */

const quote = 39
const doubleQuote = 34
const dollar = 36
const backslash = 92
const letterE = 101

/** White space for PostgreSQL's lexer. */
export const isSpace = (c: number) => c === 32 || (c >= 9 && c <= 13)

/** For characters below 128: 2 if a word can begin with it, 1 if it can otherwise be in one. A table is twice as fast as comparisons. */
const inWords = Uint8Array.from({ length: 128 }, (_, c) => {
  const character = String.fromCharCode(c)
  return /[a-z_]/i.test(character) ? 2 : /[0-9$]/.test(character) ? 1 : 0
})

/** Whether a key word or an unquoted identifier begins with the character. */
export const isWordStart = (c: number) => c >= 128 || inWords[c] === 2

/** End of the word that begins at `start`. */
export function endOfWord(text: string, start: number): number {
  let i = start + 1
  for (; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c < 128 && inWords[c] === 0) break
  }
  return i
}

/** End of a `--` comment: the end of the line, or of the text. */
export function endOfLine(text: string, start: number): number {
  let i = start
  while (i < text.length && text.charCodeAt(i) !== 10 && text.charCodeAt(i) !== 13) i++
  return i
}

/** End of a quoted identifier or a plain string. A doubled quote inside stands for one quote. */
export function endOfQuotes(text: string, mark: string, start: number): number {
  let end = after(text, mark, start + 1)
  while (end !== -1 && text[end] === mark) end = after(text, mark, end + 1)
  return end
}

function after(text: string, what: string, from: number): number {
  const at = text.indexOf(what, from)
  return at === -1 ? -1 : at + what.length
}

const commentEdge = /\/\*|\*\//g

/** End of a comment, which may contain nested comments. */
export function endOfComment(text: string, start: number): number {
  commentEdge.lastIndex = start
  let depth = 0
  for (let edge = commentEdge.exec(text); edge; edge = commentEdge.exec(text)) {
    depth += edge[0] === '/*' ? 1 : -1
    if (depth === 0) return commentEdge.lastIndex
  }
  return -1
}

const dollarTag = /\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$/y

/** End of a dollar-quoted string. A single dollar sign (`$1`) ends right after itself. */
export function endOfDollarQuote(text: string, start: number): number {
  dollarTag.lastIndex = start
  const tag = dollarTag.exec(text)?.[0]
  return tag === undefined ? start + 1 : after(text, tag, start + tag.length)
}

/** In `E'a'⏎'b\''`, the second part is still an escape string. One comment a line: a looser pattern takes exponential time. */
const continuation = /[ \t\f\v]*(?:--[^\n\r]*)?[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*[\n\r])*'/y

/** End of an escape string. @param start the quote after the E */
export function endOfEscapeString(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c === backslash) i++
    else if (c === quote) {
      continuation.lastIndex = i + 1
      if (text.charCodeAt(i + 1) === quote) i++
      else if (continuation.test(text)) i = continuation.lastIndex - 1
      else return i + 1
    }
  }
  return -1
}

/**
 * The tokens of one statement: words in lower case, quoted identifiers and strings with their quotes, every other character on its own.
 * Comments and white space are left out.
 */
export const tokensOf = (text: string, start: number, end: number): string[] => [...tokensIn(text, start, end)]

/** The same, one at a time, for statements that may be long: an INSERT of a million rows. */
function* tokensIn(text: string, start: number, end: number): Generator<string> {
  for (let i = start; i < end; ) {
    const next = endOfToken(text, i)
    const to = next === -1 || next > end ? end : next
    if (!isBlank(text, i)) {
      const token = text.slice(i, to)
      yield isWordStart(text.charCodeAt(i)) ? folded(token) : token
    }
    i = to
  }
}

/** Folds an unquoted name like PostgreSQL: only ASCII letters. */
export const folded = (word: string) => word.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())

const isBlank = (text: string, i: number) =>
  isSpace(text.charCodeAt(i)) || text.startsWith('--', i) || text.startsWith('/*', i)

/** Whether the E of an escape string is at this offset. */
export const isEscapeString = (text: string, i: number) =>
  (text.charCodeAt(i) | 32) === letterE && text.charCodeAt(i + 1) === quote

/** End of the token that begins at `i`: a word, a string, a comment, or a single character; -1: the text ends inside it. */
export function endOfToken(text: string, i: number): number {
  const c = text.charCodeAt(i)
  if (text.startsWith('--', i)) return endOfLine(text, i)
  if (text.startsWith('/*', i)) return endOfComment(text, i)
  if (c === quote) return endOfQuotes(text, "'", i)
  if (c === doubleQuote) return endOfQuotes(text, '"', i)
  if (c === dollar) return endOfDollarQuote(text, i)
  if (!isWordStart(c)) return i + 1
  return isEscapeString(text, i) ? endOfEscapeString(text, i + 1) : endOfWord(text, i)
}
