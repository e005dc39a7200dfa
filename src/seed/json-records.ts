// pure
import { backslash, closeBrace, closeBracket, openBrace, openBracket, quote } from './json-chars.ts'
import type { JsonProblem } from './json-scan.ts'
import type { Place } from './records.ts'

/** One row of a JSON file, as its text. `number` counts rows from 1, and `line` and `column` say where the text starts. */
export type JsonRecord = Place & { number: number; text: string }

/** A row must fit into memory, whatever the length of the file. In UTF-16 units. */
export const longestRow = 16 * 1024 * 1024

/** Takes a file piece by piece, and never keeps more of it than one row. */
export type JsonReader = {
  /** @throws {JsonFileProblem} */
  read(text: string): Iterable<JsonRecord>
  /** The last row, if the file does not end with a line break. @throws {JsonFileProblem} */
  end(): Iterable<JsonRecord>
}

/** What is wrong with a file, and where. */
export class JsonFileProblem extends Error {
  override readonly name = 'JsonFileProblem'
  readonly place: Place
  constructor(place: Place, problem: string) {
    super(problem)
    this.place = place
  }
}

/** Where something is in the file that is at `at` in the text of a row. */
export function placeIn({ line, column, text }: JsonRecord, at: number): Place {
  const before = text.slice(0, at)
  const lineStart = before.lastIndexOf('\n') + 1
  const characters = [...before.slice(lineStart)].length
  return lineStart === 0
    ? { line, column: column + characters }
    : { line: line + before.split('\n').length - 1, column: 1 + characters }
}

/** Adds the place in the file to what is wrong with the text of a row. */
export const inFile = (record: JsonRecord, problem: JsonProblem): JsonFileProblem =>
  new JsonFileProblem(placeIn(record, problem.at), problem.message)

const tooLong = (place: Place) =>
  new JsonFileProblem(place, `the row that starts here is longer than ${longestRow / 1024 / 1024} MiB`)

/** Divides JSON Lines: one object on each line; empty lines do not count. */
export function createLinesReader(): JsonReader {
  let [line, number, rest] = [1, 0, '']

  function* finish(text: string): Generator<JsonRecord> {
    const row = line === 1 && text.startsWith('\uFEFF') ? text.slice(1) : text
    if (row.trim() !== '')
      yield { number: ++number, line, column: 1, text: row.endsWith('\r') ? row.slice(0, -1) : row }
    line++
  }

  return {
    *read(text) {
      let from = 0
      for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', from)) {
        yield* finish(rest + text.slice(from, at))
        rest = ''
        from = at + 1
      }
      rest += text.slice(from)
      if (rest.length > longestRow) throw tooLong({ line, column: 1 })
    },
    *end() {
      if (rest !== '') yield* finish(rest)
    },
  }
}

const notArray = 'a JSON file must be an array of objects: [{"column": value}, …]'

/** Divides a JSON array of objects, without reading it as a whole. */
export function createArrayReader(): JsonReader {
  let state: 'start' | 'first' | 'next' | 'after' | 'done' = 'start'
  let [line, column, number] = [1, 1, 0]
  let row: { place: Place; text: string; depth: number; quoted: boolean; escaped: boolean } | undefined

  const fail = (problem: string) => new JsonFileProblem({ line, column }, problem)

  const move = (text: string) => {
    const lastBreak = text.lastIndexOf('\n')
    if (lastBreak < 0) column += countCharacters(text)
    else {
      line += countBreaks(text)
      column = 1 + countCharacters(text.slice(lastBreak + 1))
    }
  }

  /** What stands between the objects. */
  const between = (character: string) => {
    if (/[ \t\r\n\uFEFF]/.test(character)) return
    if (state === 'start' && character === '[') state = 'first'
    else if (state === 'start') throw fail(notArray)
    else if (state === 'done') throw fail('there is something after the end of the array')
    else if (state === 'after' && character === ',') state = 'next'
    else if (character === ']' && state !== 'next') state = 'done'
    else if (character === '{' && state !== 'after')
      row = { place: { line, column }, text: '', depth: 0, quoted: false, escaped: false }
    else
      throw fail(
        state === 'after'
          ? `${JSON.stringify(character)} where a comma or ] is expected`
          : 'a row must be an object: {"column": value}',
      )
  }

  return {
    *read(text) {
      let from = 0
      while (from < text.length) {
        if (!row) {
          const character = String.fromCodePoint(text.codePointAt(from)!)
          between(character)
          if (row) continue
          move(character)
          from += character.length
          continue
        }
        const end = endOfRow(row, text, from)
        const part = text.slice(from, end ?? text.length)
        row.text += part
        move(part)
        if (row.text.length > longestRow) throw tooLong(row.place)
        if (end === undefined) return
        yield { number: ++number, ...row.place, text: row.text }
        row = undefined
        state = 'after'
        from = end
      }
    },
    end() {
      if (row) throw new JsonFileProblem(row.place, 'the object that starts here is never closed')
      if (state === 'start') throw fail(notArray)
      if (state !== 'done') throw fail('the array is never closed')
      return []
    },
  }
}

/** Where the object ends in this piece of text; undefined when it does not. */
function endOfRow(row: { depth: number; quoted: boolean; escaped: boolean }, text: string, from: number) {
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (row.quoted) {
      if (row.escaped) row.escaped = false
      else if (code === backslash) row.escaped = true
      else if (code === quote) row.quoted = false
    } else if (code === quote) row.quoted = true
    else if (code === openBrace || code === openBracket) row.depth++
    else if ((code === closeBrace || code === closeBracket) && --row.depth === 0) return at + 1
  }
  return undefined
}

function countBreaks(text: string): number {
  let count = 0
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) count++
  return count
}

const countCharacters = (text: string): number => (/[\ud800-\udfff]/.test(text) ? [...text].length : text.length)
