import { setFlagsFromString } from 'node:v8'
import type { Node } from 'libpg-query'
import { scan } from '../sql/scan.ts'
import { byteOffsets, codePointOffset } from './offsets.ts'
import type { LintStatement, NameToken, ParsedFile, Parser } from './statement.ts'

/** The part of libpg-query that we use. */
type Library = {
  loadModule(): Promise<void>
  parseSync(text: string): { stmts?: { stmt?: Node; stmt_location?: number; stmt_len?: number }[] }
  scanSync(text: string): { tokens: { start: number; end: number; text: string; tokenName: string }[] }
}

let loaded: Promise<Parser> | undefined

/**
 * Loads PostgreSQL's own grammar (libpg-query; see `grammarMajor`), once.
 *
 * The flags must be set first: otherwise V8 compiles the one huge function of the grammar with its optimizing compiler, which takes 600 MB.
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
    longNames: (text) =>
      [...partsOf(text)].flatMap(({ start, end }) => longNamesIn(scanSync, text.slice(start, end), start)),
  }
}

type ParseSync = Library['parseSync']

/** UTF-16 units; a long text is parsed in parts of about this length, since a tree takes forty times the memory of its text. */
const partLength = 64 * 1024

/** How many INSERTs of a long file are linted; the trees of the others are dropped once they have parsed without an error. */
const keptInserts = 1_000

function parse(parseSync: ParseSync, text: string): ParsedFile {
  if (text.length <= 4 * partLength) return parsePart(parseSync, text)
  const parsed: ParsedFile = { statements: [], errors: [] }
  let inserts = 0
  for (const { start, end } of partsOf(text)) {
    const { statements, errors } = parsePart(parseSync, text.slice(start, end), start)
    parsed.errors.push(...errors)
    for (const statement of statements)
      if (!('InsertStmt' in statement.node) || inserts++ < keptInserts) parsed.statements.push(statement)
  }
  return parsed
}

/** Parts of a text, each of whole statements. */
function* partsOf(text: string): Generator<{ start: number; end: number }> {
  const { statements } = scan(text)
  let start = 0
  for (let i = 0; i < statements.length; i++) {
    if (statements.endOf(i) - start < partLength) continue
    yield { start, end: statements.endOf(i) + 1 }
    start = statements.endOf(i) + 1
  }
  yield { start, end: text.length }
}

/** After a syntax error, parses the statements one by one, so that the others are still linted. @param offset of the text in the file */
function parsePart(parseSync: ParseSync, text: string, offset = 0): ParsedFile {
  const whole = tryParse(parseSync, text, offset)
  if (whole.errors.length === 0) return whole
  const parts = scan(text).statements.map(({ start, end }) =>
    tryParse(parseSync, text.slice(start, end), offset + start),
  )
  const errors = parts.flatMap(({ errors }) => errors)
  return {
    statements: parts.flatMap(({ statements }) => statements),
    errors: errors.length > 0 ? errors : whole.errors,
  }
}

/** @param offset of the text in the file */
function tryParse(parseSync: ParseSync, text: string, offset: number): ParsedFile {
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
    // Unlike the locations in a tree, this position counts code points.
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
): LintStatement {
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

/**
 * Names that are too long. The lexer costs as much as the parser, so it only runs if there may be such a name. Its JSON does not
 * escape every control character, so those are replaced by blanks, which keeps the offsets.
 */
function longNamesIn(scanSync: Library['scanSync'], text: string, offset: number): NameToken[] {
  if (!/[\p{L}\p{N}_$]{16,}|"[^"]{16,}"/u.test(text)) return []
  const toUnits = byteOffsets(text)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return scanSync(text.replaceAll(/[\x01-\x08\x0b\x0c\x0e-\x1f]/g, ' '))
    .tokens.filter(({ tokenName }) => tokenName === 'IDENT')
    .map(({ start, end }) => {
      const at = toUnits(start)
      const source = text.slice(at, toUnits(end))
      const name = source.startsWith('"') ? source.slice(1, -1).replaceAll('""', '"') : source
      return { text: name, at: offset + at, bytes: Buffer.byteLength(name) }
    })
    .filter(({ bytes }) => bytes > 63)
}
