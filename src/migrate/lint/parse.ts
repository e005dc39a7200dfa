import { setFlagsFromString } from 'node:v8'
import type { Node } from 'libpg-query'
import { scan } from '../../db/scan.ts'
import { byteOffsets, codePointOffset } from './offsets.ts'
import type { NameToken, Parsed, Parser, Statement } from './statement.ts'

/** What we use of libpg-query. */
type Library = {
  loadModule(): Promise<void>
  parseSync(text: string): { stmts?: { stmt?: Node; stmt_location?: number; stmt_len?: number }[] }
  scanSync(text: string): { tokens: { start: number; end: number; text: string; tokenName: string }[] }
}

let loaded: Promise<Parser> | undefined

/**
 * Loads PostgreSQL's own grammar (libpg-query, 18), once.
 *
 * The flags come first: otherwise V8 compiles the grammar's one huge function with its optimizing compiler, in 600 MB.
 */
export function loadParser(): Promise<Parser> {
  loaded ??= load()
  return loaded
}

async function load(): Promise<Parser> {
  setFlagsFromString('--no-wasm-tier-up')
  setFlagsFromString('--no-wasm-dynamic-tiering')
  const library = (await import('libpg-query')) as unknown as Library & { default?: Library }
  const { loadModule, parseSync, scanSync } = library.default ?? library
  await loadModule()
  return {
    parse: (text) => parse(parseSync, text),
    names: (text) => namesIn(scanSync, text),
  }
}

type ParseSync = Library['parseSync']

/** After a syntax error the statements are parsed one by one: the others still deserve a look. */
function parse(parseSync: ParseSync, text: string): Parsed {
  const whole = tryParse(parseSync, text, 0)
  if (whole.errors.length === 0) return whole
  const parts = scan(text).statements.map(({ start, end }) => tryParse(parseSync, text.slice(start, end), start))
  const errors = parts.flatMap(({ errors }) => errors)
  return {
    statements: parts.flatMap(({ statements }) => statements),
    errors: errors.length > 0 ? errors : whole.errors,
  }
}

/** @param offset of the text in the file */
function tryParse(parseSync: ParseSync, text: string, offset: number): Parsed {
  if (text.trim() === '') return { statements: [], errors: [] }
  try {
    const { stmts = [] } = parseSync(text)
    const toUnits = byteOffsets(text)
    const statements = stmts.flatMap(({ stmt, stmt_location: from = 0, stmt_len: length }) => {
      if (!stmt) return []
      const end = length === undefined ? text.length : toUnits(from + length)
      return [statementOf(stmt, text, toUnits(from), end, offset, toUnits)]
    })
    return { statements, errors: [] }
  } catch (error) {
    const { message, sqlDetails } = error as Error & { sqlDetails?: { cursorPosition: number } }
    if (!sqlDetails) throw error
    // Unlike the places in a tree, this one counts code points.
    return { statements: [], errors: [{ message, at: offset + codePointOffset(text, sqlDetails.cursorPosition) }] }
  }
}

function statementOf(
  node: Node,
  text: string,
  from: number,
  to: number,
  offset: number,
  toUnits: (bytes: number) => number,
): Statement {
  const body = text.slice(from, to)
  const start = from + leadingSpace(body)
  const end = to - (body.length - body.trimEnd().length)
  return {
    node,
    text: text.slice(start, end),
    start: offset + start,
    end: offset + end,
    at: (location) => offset + (location === undefined || location < 0 ? start : toUnits(location)),
  }
}

/** Length of the blanks and comments in front of a statement. */
function leadingSpace(text: string): number {
  const [first] = scan(text).statements
  return first?.start ?? text.length
}

/** The JSON of the lexer does not escape every control character; a blank in its place leaves the offsets as they are. */
function namesIn(scanSync: Library['scanSync'], text: string): NameToken[] {
  const toUnits = byteOffsets(text)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return scanSync(text.replaceAll(/[\x01-\x08\x0b\x0c\x0e-\x1f]/g, ' '))
    .tokens.filter(({ tokenName }) => tokenName === 'IDENT')
    .map(({ start, end }) => {
      const at = toUnits(start)
      const source = text.slice(at, toUnits(end))
      const name = source.startsWith('"') ? source.slice(1, -1).replaceAll('""', '"') : source
      return { text: name, at, bytes: new TextEncoder().encode(name).length }
    })
}
