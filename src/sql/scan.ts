// pure
import {
  endOfComment,
  endOfDollarQuote,
  endOfEscapeString,
  endOfLine,
  endOfQuotes,
  endOfWord,
  isEscapeString,
  isSpace,
  isWordStart,
} from './lex.ts'
import { rowWords, type Statement, StatementList } from './list.ts'

export type { Statement }

/** The lines after a `copy … from stdin;`, which are data and not SQL. */
export type CopyData = {
  /** Index of the COPY in `statements`. */
  statement: number
  start: number
  end: number
  /** Whether a line `\.` ends them; otherwise the end of the text does, as in a dump that was cut off. */
  closed: boolean
  /** Where the SQL continues. */
  next: number
}

/** Result of {@link scan}. With `unterminated`, the text ends inside the element that begins at `at`. */
export type Scan = {
  statements: StatementList
  unterminated: { what: 'comment' | 'string' | 'dollar-quoted string' | 'quoted identifier'; at: number } | undefined
  /** The first backslash outside quotes, comments and data: a psql command such as `\connect`, except those in `restricts`. */
  backslash: number | undefined
  /** The lines `\restrict TOKEN` and `\unrestrict TOKEN` of pg_dump between statements, without their line ends. */
  restricts: { start: number; end: number }[]
  copies: CopyData[]
}

/**
 * Finds the statements of an SQL text like PostgreSQL's lexer. It knows strings, escape strings, quoted identifiers, dollar quotes and
 * nested comments. Like psql, it also knows semicolons in parentheses and in `begin atomic … end` bodies, the data lines after a COPY,
 * and the commands that pg_dump writes. Assumes standard_conforming_strings = on.
 *
 * @see https://github.com/postgres/postgres/blob/master/src/fe_utils/psqlscan.l
 */
export function scan(text: string): Scan {
  const statements = new StatementList(text)
  const result: Scan = { statements, unterminated: undefined, backslash: undefined, restricts: [], copies: [] }
  // Start of the current statement; -1 between statements.
  let start = -1
  let opening: Opening = 'other'
  let head: string[] = []
  let inRoutine = false
  let previous = ''
  let parens = 0
  let atomic = 0
  let i = 0

  const open = () => {
    start = i
    opening = 'other'
    head = []
    inRoutine = false
    previous = ''
    parens = atomic = 0
  }
  const close = (end: number) => {
    if (start !== -1) statements.add(start, end, opening === 'rows')
    start = -1
    parens = atomic = 0
  }
  const closeAtSemicolon = () => {
    const isCopy = start !== -1 && opening === 'copy'
    close(i)
    const copy = isCopy && isCopyFromClient(statements.last!) ? dataBehind(text, i + 1) : undefined
    if (copy) result.copies.push({ statement: statements.length - 1, ...copy })
    i = copy?.next ?? i + 1
  }
  const isRestrict = () => {
    const end = start === -1 ? endOfRestrict(text, i) : -1
    if (end === -1) return false
    result.restricts.push({ start: i, end })
    i = end
    return true
  }
  const skipTo = (end: number, what: NonNullable<Scan['unterminated']>['what']) => {
    if (end === -1) result.unterminated = { what, at: i }
    i = end === -1 ? text.length : end
  }
  const skipWord = () => {
    if (isEscapeString(text, i)) return skipTo(endOfEscapeString(text, i + 1), 'string')
    const end = endOfWord(text, i)
    if (i === start) opening = openingOf(text, i, end)
    if (opening === 'create') lookAt(text.slice(i, end).toLowerCase())
    i = end
  }
  const lookAt = (word: string) => {
    if (head.length < 4) {
      head.push(word)
      inRoutine = isRoutine(head)
    }
    if (inRoutine) atomic = atomicDepth(atomic, previous, text.charCodeAt(i - 1) === dot ? '' : word)
    previous = word
  }

  while (i < text.length) {
    const c = text.charCodeAt(i)
    if (isWordStart(c)) {
      if (start === -1) open()
      skipWord()
    } else if (isSpace(c)) i++
    else if (c === minus && text.charCodeAt(i + 1) === minus) i = endOfLine(text, i)
    else if (c === slash && text.charCodeAt(i + 1) === star) skipTo(endOfComment(text, i), 'comment')
    else if (c === semicolon && parens === 0 && atomic === 0) closeAtSemicolon()
    else if (c !== backslash || !isRestrict()) {
      if (start === -1) open()
      if (c === quote) skipTo(endOfQuotes(text, "'", i), 'string')
      else if (c === doubleQuote) skipTo(endOfQuotes(text, '"', i), 'quoted identifier')
      else if (c === dollar) skipTo(endOfDollarQuote(text, i), 'dollar-quoted string')
      else {
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

/** How to read the rest of a statement, according to its first word. */
function openingOf(text: string, start: number, end: number): Opening {
  const length = end - start
  if (length !== 4 && length !== 6) return 'other'
  const word = text.slice(start, end).toLowerCase()
  if (rowWords.has(word)) return 'rows'
  return word === 'copy' || word === 'create' ? word : 'other'
}

type Opening = 'copy' | 'create' | 'rows' | 'other'

/** Whether the statement begins or ends a transaction or a part of one, which a file that is sent as one message must not do. */
export const isTransactionControl = ({ words: [first = '', second] }: Statement) =>
  ['begin', 'commit', 'end', 'rollback', 'abort', 'savepoint', 'release'].includes(first) ||
  ((first === 'start' || first === 'prepare') && second === 'transaction')

/** Whether the statement is a COPY between the table and the client. */
export const isClientCopy = (statement: Statement) =>
  isCopyFromClient(statement) || (statement.words[0] === 'copy' && hasPair(statement.words, 'to', 'stdout'))

/** Whether the statement is a COPY from the client, whose rows stand below it. */
export const isCopyFromClient = ({ words }: Statement) => words[0] === 'copy' && hasPair(words, 'from', 'stdin')

const hasPair = (words: readonly string[], first: string, second: string) =>
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

/** `create [or replace] function | procedure`, whose body may be `begin atomic … end`. */
const isRoutine = ([first, second, , fourth]: string[]) =>
  first === 'create' &&
  [second, second === 'or' ? fourth : ''].some((word) => word === 'function' || word === 'procedure')

function atomicDepth(depth: number, previous: string, word: string): number {
  if (depth === 0) return word === 'atomic' && previous === 'begin' ? 1 : 0
  if (previous === 'as') return depth
  return word === 'case' ? depth + 1 : word === 'end' ? depth - 1 : depth
}

/** Only a comment may follow on the line of the COPY: psql would run anything else after the data. */
const restOfLine = /[ \t\f\v]*(?:--[^\n\r]*)?(?:\r?\n|$)/y

/** Like psql: up to a line that is exactly `\.`, whatever the format of the data. */
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

/** The token is one that pg_dump accepts: it contains nothing that psql would expand. */
const restrict = /\\(?:un)?restrict[ \t]+[A-Za-z0-9]+[ \t]*(?=\r?\n|\r?$)/y

function endOfRestrict(text: string, start: number): number {
  if (start > 0 && text[start - 1] !== '\n') return -1
  restrict.lastIndex = start
  return restrict.test(text) ? restrict.lastIndex : -1
}

/** The text with spaces instead of a statement and its semicolon, so that lines and offsets stay the same. */
export function blanked(text: string, { start, end }: Pick<Statement, 'start' | 'end'>): string {
  const behind = text[end] === ';' ? end + 1 : end
  return text.slice(0, start) + text.slice(start, behind).replace(/[^\r\n]/g, ' ') + text.slice(behind)
}
