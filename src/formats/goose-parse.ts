// pure
import { usage } from '../errors.ts'
import { type Annotation, annotationOf, isAnnotation, isComment } from './goose-annotation.ts'
import { type Environment, EnvsubError, envsub } from './goose-envsub.ts'

type Direction = 'up' | 'down'

/** One section of a goose file, ready to be sent. */
export type GooseSection = {
  /** Its lines end in line feeds, whatever they are in the file: goose sends them like that, and it shows in the body of a function. */
  text: string
  /** The text before variables were substituted, if there were any. */
  shown?: string
  /** Line of the file, counted from 1, where it starts. */
  line: number
  /** The same for both sections. */
  transactional: boolean
  /** Whether the file has a section that undoes it. */
  hasDown: boolean
}

/** The size of goose's buffer for one line, including its line ending. */
const longestLineBytes = 4 * 1024 * 1024

/** The state of the parser. `block` stays `ended` until the line after a `StatementEnd` that closed an empty block. */
type State = {
  path: string
  direction: Direction
  environment: Environment
  section: Direction | undefined
  block: 'none' | 'open' | 'ended'
  envsub: boolean
  transactional: boolean
  hasDown: boolean
  /** Whether part of the current statement was read; `statement`: its first line that is not blank. */
  begun: boolean
  statement: number | undefined
  /** Whether the last line of the current statement certainly ends it. */
  terminated: boolean
  /** Lines of the section, as sent and as in the file. */
  out: { sent: string; shown: string }[]
  firstLine: number
}

/**
 * Parses one direction of a goose file by goose's own rules. The lines are those of the file, comments and annotations included,
 * except an annotation inside a statement, which goose removes. A block without a semicolon at its end gets one.
 *
 * @throws {AppError} `usage` for everything that goose refuses, naming the line
 * @see https://github.com/pressly/goose/blob/main/internal/sqlparser/parser.go
 */
export function parseGoose(path: string, text: string, direction: Direction, environment: Environment): GooseSection {
  const state: State = {
    path,
    direction,
    environment,
    section: undefined,
    block: 'none',
    envsub: false,
    transactional: true,
    hasDown: false,
    begun: false,
    statement: undefined,
    terminated: true,
    out: [],
    firstLine: 1,
  }
  const lines = text.split('\n')
  for (const [i, line] of lines.entries()) {
    const read = isAnnotation(line) ? readAnnotation : readLine
    read(state, line.endsWith('\r') ? line.slice(0, -1) : line, i + 1)
  }
  refuseUnfinished(state, lines.length)
  const { out, firstLine, transactional, hasDown } = state
  const sent = out.map((line) => line.sent).join('\n')
  const shown = out.map((line) => line.shown).join('\n')
  return { text: sent, ...(shown !== sent && { shown }), line: firstLine, transactional, hasDown }
}

function put(state: State, sent: string, shown = sent): void {
  state.out.push({ sent, shown })
}

function readLine(state: State, line: string, number: number): void {
  if (line.length * 3 >= longestLineBytes && Buffer.byteLength(line) >= longestLineBytes) {
    throw refused(state, number, `is longer than goose can read: a line must be shorter than 4 MiB`, 'split it')
  }
  const skipped = !state.begun && (isComment(line) || line === '')
  const own = state.section === state.direction
  if (state.section === undefined && line.trim() !== '' && !skipped) {
    throw refused(state, number, 'is before `-- +goose Up`', 'move it below')
  }
  if (skipped || state.section === undefined) {
    if (own) put(state, line)
  } else if (state.block === 'ended') readBehindEmptyBlock(state, line, number)
  else readStatement(state, line, number)
}

/** goose silently skips the first line after a block without a statement. */
function readBehindEmptyBlock(state: State, line: string, number: number): void {
  if (state.section !== state.direction) return
  if (line.trim() !== '') {
    throw refused(
      state,
      number,
      'follows a `StatementBegin` and `StatementEnd` with nothing between them: goose would skip it',
      'remove the empty pair of annotations',
    )
  }
  state.block = 'none'
  put(state, line)
}

/** A statement ends with a line that ends in a semicolon, comments aside. goose ignores quotes. */
function readStatement(state: State, shown: string, number: number): void {
  const line = state.envsub ? substituted(state, shown, number) : shown
  if (state.section !== state.direction) return
  put(state, line, shown)
  state.begun = true
  if (line.trim() !== '') state.statement ??= number
  if (line.trim() !== '') state.terminated = /;\s*$/.test(line) && !line.includes('--')
  if (state.block === 'none' && endsWithSemicolon(line)) endStatement(state)
}

function endStatement(state: State): void {
  state.begun = false
  state.statement = undefined
  state.terminated = true
}

function endsWithSemicolon(line: string): boolean {
  const words = line.split(/\s+/).filter((word) => word !== '')
  const comment = words.findIndex((word) => word.startsWith('--'))
  return (comment < 0 ? words : words.slice(0, comment)).at(-1)?.endsWith(';') ?? false
}

function substituted(state: State, line: string, number: number): string {
  try {
    return envsub(line, state.environment)
  } catch (error) {
    if (!(error instanceof EnvsubError)) throw error
    throw refused(
      state,
      number,
      `has a variable that cannot be substituted: ${error.message}`,
      'set the variable, or write `$$` for a dollar',
    )
  }
}

function readAnnotation(state: State, line: string, number: number): void {
  const { section, direction } = state
  const annotation = annotationOf(line)
  if (annotation === undefined) {
    throw refused(
      state,
      number,
      'is not an annotation that goose knows: any comment with "+goose" counts as one',
      'write `-- +goose` and one of Up, Down, StatementBegin, StatementEnd, NO TRANSACTION, ENVSUB ON, ENVSUB OFF',
    )
  }
  apply[annotation](state, number)
  const own = state.section === direction
  if (own && state.section !== section) state.firstLine = number + 1
  else if (section === direction && !own) put(state, '')
  else if (own && annotation === 'statementend') endBlock(state, line)
  else if (own && state.statement === undefined) put(state, line)
}

/** Adds a missing semicolon: two blocks without one would be a single statement. */
function endBlock(state: State, line: string): void {
  put(state, state.terminated ? line : `; ${line}`)
  if (state.begun) state.block = 'none'
  endStatement(state)
}

const apply: Record<Annotation, (state: State, number: number) => void> = {
  up(state, number) {
    if (state.section) throw refused(state, number, 'is a second `-- +goose Up`', 'remove it: a file has only one')
    state.section = 'up'
  },
  down(state, number) {
    if (state.section !== 'up' || state.block === 'open') {
      throw refused(
        state,
        number,
        'is a `-- +goose Down` in the wrong place',
        'write it once, after everything that belongs to `-- +goose Up`',
      )
    }
    refuseStatement(state)
    state.section = 'down'
    state.block = 'none'
    state.begun = false
    state.hasDown = true
  },
  statementbegin(state, number) {
    if (!state.section || state.block === 'open') {
      throw refused(
        state,
        number,
        'is a `StatementBegin` before `-- +goose Up` or inside another one',
        'move it below `-- +goose Up`, and end the other one first',
      )
    }
    state.block = 'open'
  },
  statementend(state, number) {
    if (state.block !== 'open')
      throw refused(state, number, 'is a `StatementEnd` without `StatementBegin`', 'remove one of them')
    state.block = 'ended'
  },
  'no transaction'(state) {
    state.transactional = false
  },
  'envsub on'(state) {
    state.envsub = true
  },
  'envsub off'(state) {
    state.envsub = false
  },
}

function refuseUnfinished(state: State, lines: number): void {
  const { section, block } = state
  if (section === undefined)
    throw refused(state, 1, 'is not followed by a `-- +goose Up`', 'write it above the first statement')
  if (block === 'open')
    throw refused(state, lines, 'is the last, but a `StatementBegin` has no `StatementEnd`', 'add the `StatementEnd`')
  refuseStatement(state)
}

function refuseStatement(state: State): void {
  if (state.statement === undefined) return
  throw refused(
    state,
    state.statement,
    'starts a statement that has no end for goose',
    'add a semicolon at the end of a line; a comment after it needs a blank before it',
  )
}

const refused = ({ path }: State, line: number, message: string, hint: string) =>
  usage(`line ${line} of ${path} ${message}`, { file: path, line, column: 1, hint })
