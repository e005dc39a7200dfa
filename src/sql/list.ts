// pure
import { endOfToken, isEscapeString, isWordStart } from './lex.ts'

/** One statement of an SQL text. Offsets count UTF-16 units; comments before it are not part of it. */
export type Statement = {
  start: number
  end: number
  /**
   * Its leading unquoted words in lower case, at most six. For a COPY, all words outside parentheses; for a statement that only reads or
   * writes rows (INSERT, SELECT, …), just the first.
   */
  words: readonly string[]
}

/**
 * The statements of a text. Only their start and end are kept, in eight bytes outside the heap, because a migration may contain a
 * million statements. A {@link Statement} is created each time it is read.
 */
export class StatementList implements Iterable<Statement> {
  readonly #text: string
  #places = new Uint32Array(64)
  #length = 0

  constructor(text: string) {
    this.#text = text
  }

  get length(): number {
    return this.#length
  }

  /** Call this in the order of the text. @param rows whether the first word of the statement is one of {@link rowWords} */
  add(start: number, end: number, rows: boolean): void {
    if (this.#places.length === this.#length * 2) this.#places = larger(this.#places)
    this.#places[this.#length * 2] = rows ? start + ofRows : start
    this.#places[this.#length * 2 + 1] = end
    this.#length++
  }

  /** Statement number `i`, from 0; undefined if there is none. */
  at(i: number): Statement | undefined {
    if (i < 0 || i >= this.#length) return undefined
    const start = this.startOf(i)
    const end = this.endOf(i)
    return { start, end, words: this.#isOfRows(i) ? wordOfRows(this.#text, start) : wordsOf(this.#text, start, end) }
  }

  get last(): Statement | undefined {
    return this.at(this.#length - 1)
  }

  /** Start of statement number `i`. */
  startOf(i: number): number {
    return this.#places[i * 2]! % ofRows
  }

  /** End of statement number `i`. */
  endOf(i: number): number {
    return this.#places[i * 2 + 1]!
  }

  *[Symbol.iterator](): Generator<Statement, undefined> {
    for (let i = 0; i < this.#length; i++) yield this.at(i)!
  }

  /** The statements that do more than read or write rows, for callers that do not need to look at a million INSERTs. */
  *commands(): Generator<Statement, undefined> {
    for (let i = 0; i < this.#length; i++) if (!this.#isOfRows(i)) yield this.at(i)!
  }

  findCommand(test: (command: Statement) => boolean): Statement | undefined {
    for (const command of this.commands()) if (test(command)) return command
    return undefined
  }

  map<T>(use: (statement: Statement, i: number) => T): T[] {
    return Array.from(this, use)
  }

  /** Number of the first match from `from` to before `to`; -1 if there is none. */
  findIndex(test: (statement: Statement) => boolean, from = 0, to = this.#length): number {
    for (let i = from; i < to; i++) if (test(this.at(i)!)) return i
    return -1
  }

  #isOfRows(i: number): boolean {
    return this.#places[i * 2]! >= ofRows
  }
}

/** First words of statements of which nothing else matters. There may be very many of them. */
export const rowWords: ReadonlySet<string> = new Set(['insert', 'select', 'update', 'delete', 'values'])

/** Added to the start of a statement as a flag; no string is this long. */
const ofRows = 2 ** 31

function larger(places: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const copy = new Uint32Array(places.length * 2)
  copy.set(places)
  return copy
}

const leading = 6

function wordsOf(text: string, start: number, end: number): readonly string[] {
  const words: string[] = []
  let parens = 0
  for (let i = start; i < end && (words.length < leading || words[0] === 'copy'); ) {
    const c = text.charCodeAt(i)
    const next = endOfToken(text, i)
    if (c === 40) parens++
    else if (c === 41) parens--
    else if (isWordStart(c) && !isEscapeString(text, i) && (parens === 0 || words[0] !== 'copy'))
      words.push(text.slice(i, next).toLowerCase())
    i = next === -1 ? end : next
  }
  return words
}

/** The words begin with different letters. */
const byLetter = new Map([...rowWords].map((word) => [word.charCodeAt(0), [word]]))
const wordOfRows = (text: string, start: number): readonly string[] => byLetter.get(text.charCodeAt(start) | 32) ?? []
