import type { Node } from 'libpg-query'

/** One statement with its parse tree. Offsets count UTF-16 units of the file's text. */
export type Statement = {
  node: Node
  /** Without the semicolon and without comments in front. */
  text: string
  start: number
  end: number
  /** Offset of a place in the tree, which counts bytes. Without one, that of the statement. */
  at(location: number | undefined): number
}

/** What PostgreSQL's parser says about a text. */
export type Parsed = { statements: Statement[]; errors: SyntaxProblem[] }

export type SyntaxProblem = { message: string; at: number }

/** An identifier token and the number of its bytes. */
export type NameToken = { text: string; at: number; bytes: number }

/** The parser, as loaded by parse.ts. */
export type Parser = {
  parse(text: string): Parsed
  /** Identifiers with more bytes than PostgreSQL keeps, of a text that must be free of syntax errors. */
  longNames(text: string): NameToken[]
}
