import type { Node } from 'libpg-query'

/** One statement with its parse tree. Offsets count UTF-16 units of the file's text. */
export type LintStatement = {
  node: Node
  /** Without the semicolon and without leading comments. */
  text: string
  start: number
  end: number
  /** Offset of a `location` in the tree, which counts bytes. Without a location: the start of the statement. */
  at(location: number | undefined): number
}

/** The result of PostgreSQL's parser. */
export type ParsedFile = { statements: LintStatement[]; errors: SyntaxProblem[] }

export type SyntaxProblem = { message: string; at: number }

/** An identifier token and the number of its bytes. */
export type NameToken = { text: string; at: number; bytes: number }

/** The parser that parse.ts loads. */
export type Parser = {
  parse(text: string): ParsedFile
  /** Identifiers longer than 63 bytes, which PostgreSQL truncates. The text must be free of syntax errors. */
  longNames(text: string): NameToken[]
}
