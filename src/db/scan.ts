import {
  endOfComment,
  endOfDollarQuote,
  endOfEscapeString,
  endOfLine,
  endOfQuotes,
  endOfWord,
  isSpace,
  isWordStart,
} from './lex.ts'

/** One statement of an SQL text. Offsets count UTF-16 units; comments before it are not part of it. */
export type Statement = {
  start: number
  end: number
  /** Its leading unquoted words in lower case, at least the first six; of a COPY all outside parentheses. */
  words: string[]
}

/** The lines behind a `copy … from stdin;`, which are data and not SQL. */
export type CopyData = {
  /** Index of the COPY in `statements`. */
  statement: number
  start: number
  end: number
  /** Whether a line `\.` ends them; otherwise the end of the text does, as in a dump that was cut off. */
  closed: boolean
  /** Where the SQL goes on. */
  next: number
}

/** What {@link scan} saw. With `unterminated`, the text ends inside the thing that opened at `at`. */
export type Scan = {
  statements: Statement[]
  unterminated: { what: 'comment' | 'string' | 'dollar-quoted string' | 'quoted identifier'; at: number } | undefined
  /** The first backslash outside quotes, comments and data: a psql command such as `\connect`, but none of `restricts`. */
  backslash: number | undefined
  /** The lines `\restrict TOKEN` and `\unrestrict TOKEN` of pg_dump between statements, without their ends. */
  restricts: { start: number; end: number }[]
  copies: CopyData[]
}

/**
 * Finds the statements of an SQL text as PostgreSQL's lexer does: knows strings, escape strings, quoted identifiers,
 * dollar quotes, nested comments and, like psql, semicolons in parentheses and in `begin atomic … end` bodies, the data
 * of a COPY from the lines behind it, and the commands that pg_dump writes. Assumes standard_conforming_strings = on.
 *
 * @see https://github.com/postgres/postgres/blob/master/src/fe_utils/psqlscan.l
 */
export function scan(text: string): Scan {
  const result: Scan = { statements: [], unterminated: undefined, backslash: undefined, restricts: [], copies: [] }
  let statement: Statement | undefined
  let parens = 0
  let atomic = 0
  let inRoutine = false
  let previous = ''
  let i = 0

  const close = (end: number) => {
    if (statement) result.statements.push({ ...statement, end })
    statement = undefined
    parens = atomic = 0
    inRoutine = false
    previous = ''
  }
  const closeAtSemicolon = () => {
    const copy = statement && isCopyFrom(statement) ? dataBehind(text, i + 1) : undefined
    close(i)
    if (copy) result.copies.push({ statement: result.statements.length - 1, ...copy })
    i = copy?.next ?? i + 1
  }
  const isRestrict = () => {
    const end = statement === undefined ? endOfRestrict(text, i) : -1
    if (end === -1) return false
    result.restricts.push({ start: i, end })
    i = end
    return true
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
    else if (c === semicolon && parens === 0 && atomic === 0) closeAtSemicolon()
    else if (c !== backslash || !isRestrict()) {
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
          if (words.length <= 4) inRoutine = isRoutine(words)
          if (words.length < 6 || inCopy || inRoutine) {
            const word = text.slice(i, end).toLowerCase()
            if (inCopy ? parens === 0 : words.length < 6) words.push(word)
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
export const isClientCopy = (statement: Statement) =>
  isCopyFrom(statement) || (statement.words[0] === 'copy' && hasPair(statement.words, 'to', 'stdout'))

const isCopyFrom = ({ words }: Statement) => words[0] === 'copy' && hasPair(words, 'from', 'stdin')

const hasPair = (words: string[], first: string, second: string) =>
  words.some((word, i) => word === second && words[i - 1] === first)

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

/** `create [or replace] function | procedure`, whose body may be `begin atomic … end`. */
const isRoutine = ([first, second, , fourth]: string[]) =>
  first === 'create' &&
  [second, second === 'or' ? fourth : ''].some((word) => word === 'function' || word === 'procedure')

function atomicDepth(depth: number, previous: string, word: string): number {
  if (depth === 0) return word === 'atomic' && previous === 'begin' ? 1 : 0
  if (previous === 'as') return depth
  return word === 'case' ? depth + 1 : word === 'end' ? depth - 1 : depth
}

/** Nothing but a comment may follow in the line of the COPY: psql would run it after the data. */
const restOfLine = /[ \t\f\v]*(?:--[^\n\r]*)?(?:\r?\n|$)/y

/** As psql does: up to a line that is exactly `\.`, in whatever format the data is. */
function dataBehind(text: string, semicolonEnd: number): Omit<CopyData, 'statement'> | undefined {
  restOfLine.lastIndex = semicolonEnd
  if (!restOfLine.test(text)) return undefined
  const start = restOfLine.lastIndex
  for (let mark = start - 1; mark !== -1; mark = text.indexOf('\n\\.', mark + 1)) {
    const next = endOfMark(text, mark + 1)
    if (next !== -1) return { start, end: mark + 1, closed: true, next }
  }
  return { start, end: text.length, closed: false, next: text.length }
}

const endMark = /\\\.(?:\r?\n|\r?$)/y

function endOfMark(text: string, start: number): number {
  endMark.lastIndex = start
  return endMark.test(text) ? endMark.lastIndex : -1
}

/** The token is what pg_dump accepts as one: nothing in it that psql would expand. */
const restrict = /\\(?:un)?restrict[ \t]+[A-Za-z0-9]+[ \t]*(?=\r?\n|\r?$)/y

function endOfRestrict(text: string, start: number): number {
  if (start > 0 && text[start - 1] !== '\n') return -1
  restrict.lastIndex = start
  return restrict.test(text) ? restrict.lastIndex : -1
}

/** The text without a statement and its semicolon: blanks instead, so that lines and offsets stay right. */
export function blanked(text: string, { start, end }: Pick<Statement, 'start' | 'end'>): string {
  const behind = text[end] === ';' ? end + 1 : end
  return text.slice(0, start) + text.slice(start, behind).replace(/[^\r\n]/g, ' ') + text.slice(behind)
}
