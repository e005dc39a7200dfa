/** One statement of an SQL text. Offsets count UTF-16 units; comments before it are not part of it. */
export type Statement = {
  start: number
  end: number
  /** Its leading unquoted words in lower case, at least the first six; of a COPY all outside parentheses. */
  words: string[]
}

/** What {@link scan} saw. With `unterminated`, the text ends inside the thing that opened at `at`. */
export type Scan = {
  statements: Statement[]
  unterminated: { what: 'comment' | 'string' | 'dollar-quoted string' | 'quoted identifier'; at: number } | undefined
  /** The first backslash outside quotes and comments: a psql command such as `\connect`. */
  backslash: number | undefined
}

/**
 * Finds the statements of an SQL text as PostgreSQL's lexer does: knows strings, escape strings, quoted identifiers,
 * dollar quotes, nested comments and, like psql, semicolons in parentheses and in `begin atomic … end` bodies.
 * Assumes standard_conforming_strings = on.
 *
 * @see https://github.com/postgres/postgres/blob/master/src/fe_utils/psqlscan.l
 */
export function scan(text: string): Scan {
  const result: Scan = { statements: [], unterminated: undefined, backslash: undefined }
  let statement: Statement | undefined
  let parens = 0
  let atomic = 0
  let previous = ''
  let i = 0

  const close = (end: number) => {
    if (statement) result.statements.push({ ...statement, end })
    statement = undefined
    parens = atomic = 0
    previous = ''
  }
  const skipTo = (end: number, what: NonNullable<Scan['unterminated']>['what']) => {
    if (end === -1) result.unterminated = { what, at: i }
    i = end === -1 ? text.length : end
  }

  while (i < text.length) {
    const c = text.charCodeAt(i)
    if (isSpace(c)) i++
    else if (c === minus && text.charCodeAt(i + 1) === minus) i = endOfLine(text, i)
    else if (c === slash && text.charCodeAt(i + 1) === star) skipTo(endOfComment(text, i), 'comment')
    else if (c === semicolon && parens === 0 && atomic === 0) close(i++)
    else {
      statement ??= { start: i, end: i, words: [] }
      if (c === quote) skipTo(endOfQuotes(text, "'", i), 'string')
      else if (c === doubleQuote) skipTo(endOfQuotes(text, '"', i), 'quoted identifier')
      else if (c === dollar) skipTo(endOfDollarQuote(text, i), 'dollar-quoted string')
      else if (isWordStart(c)) {
        const end = endOfWord(text, i)
        if (end === i + 1 && (c | 32) === letterE && text.charCodeAt(end) === quote) {
          skipTo(endOfEscapeString(text, end), 'string')
        } else {
          const { words } = statement
          const inCopy = words[0] === 'copy'
          const inRoutine = isRoutine(words)
          if (words.length < 6 || inCopy || inRoutine) {
            const word = text.slice(i, end).toLowerCase()
            if (words.length < 6 || (inCopy && parens === 0)) words.push(word)
            if (inRoutine) atomic = atomicDepth(atomic, previous, text.charCodeAt(i - 1) === dot ? '' : word)
            previous = word
          }
          i = end
        }
      } else {
        if (c === openParen) parens++
        else if (c === closeParen) parens = Math.max(0, parens - 1)
        else if (c === backslash) result.backslash ??= i
        i++
      }
    }
  }
  close(text.length)
  return result
}

/** Whether the statement begins or ends a transaction or a part of one, which a file that is sent as one message must not. */
export const isTransactionControl = ({ words: [first = '', second] }: Statement) =>
  ['begin', 'commit', 'end', 'rollback', 'abort', 'savepoint', 'release'].includes(first) ||
  ((first === 'start' || first === 'prepare') && second === 'transaction')

/** Whether the statement is a COPY between the table and the client, for which there is nobody at the other end. */
export const isClientCopy = ({ words }: Statement) =>
  words[0] === 'copy' &&
  words.some((word, i) => (word === 'stdin' && words[i - 1] === 'from') || (word === 'stdout' && words[i - 1] === 'to'))

const quote = 39
const doubleQuote = 34
const dollar = 36
const openParen = 40
const closeParen = 41
const star = 42
const minus = 45
const dot = 46
const slash = 47
const semicolon = 59
const backslash = 92
const letterE = 101

const isSpace = (c: number) => c === 32 || (c >= 9 && c <= 13)
const isLetter = (c: number) => (c >= 97 && c <= 122) || (c >= 65 && c <= 90)
const isDigit = (c: number) => c >= 48 && c <= 57
const isWordStart = (c: number) => isLetter(c) || c === 95 || c >= 128

/** `create [or replace] function | procedure`, whose body may be `begin atomic … end`. */
const isRoutine = ([first, second, , fourth]: string[]) =>
  first === 'create' &&
  [second, second === 'or' ? fourth : ''].some((word) => word === 'function' || word === 'procedure')

function atomicDepth(depth: number, previous: string, word: string): number {
  if (depth === 0) return word === 'atomic' && previous === 'begin' ? 1 : 0
  if (previous === 'as') return depth
  return word === 'case' ? depth + 1 : word === 'end' ? depth - 1 : depth
}

function after(text: string, what: string, from: number): number {
  const at = text.indexOf(what, from)
  return at === -1 ? -1 : at + what.length
}

/** A doubled mark inside stands for itself. */
function endOfQuotes(text: string, mark: string, start: number): number {
  let end = after(text, mark, start + 1)
  while (end !== -1 && text[end] === mark) end = after(text, mark, end + 1)
  return end
}

function endOfWord(text: string, start: number): number {
  let i = start + 1
  for (let c = text.charCodeAt(i); isWordStart(c) || isDigit(c) || c === dollar; c = text.charCodeAt(i)) i++
  return i
}

function endOfLine(text: string, start: number): number {
  let i = start
  while (i < text.length && text.charCodeAt(i) !== 10 && text.charCodeAt(i) !== 13) i++
  return i
}

const commentEdge = /\/\*|\*\//g

function endOfComment(text: string, start: number): number {
  commentEdge.lastIndex = start
  let depth = 0
  for (let edge = commentEdge.exec(text); edge; edge = commentEdge.exec(text)) {
    depth += edge[0] === '/*' ? 1 : -1
    if (depth === 0) return commentEdge.lastIndex
  }
  return -1
}

const dollarTag = /\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$/y

/** A lone dollar (`$1`) ends right behind itself. */
function endOfDollarQuote(text: string, start: number): number {
  dollarTag.lastIndex = start
  const tag = dollarTag.exec(text)?.[0]
  return tag === undefined ? start + 1 : after(text, tag, start + tag.length)
}

/** In `E'a'⏎'b\''` the second part is still an escape string. */
const continuation = /(?:[ \t\f\v]|--[^\n\r]*)*[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*[\n\r])*'/y

function endOfEscapeString(text: string, start: number): number {
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
