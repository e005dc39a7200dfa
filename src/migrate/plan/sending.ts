// pure
import { AppError, type Kind } from '../../errors.ts'
import type { Script } from '../../formats/types.ts'
import type { StatementList } from '../../sql/list.ts'
import { type CopyPiece, messageLength, type Piece, piecesOf } from '../../sql/pieces.ts'
import { codePoints, excerptOf, placeOf, shownPlace } from '../../sql/place.ts'
import {
  blanked,
  isClientCopy,
  isCopyFromClient,
  isTransactionControl,
  type Scan,
  type Statement,
  scan,
} from '../../sql/scan.ts'
import { mayCommitInside, needsNoTransaction } from '../../sql/statements.ts'

/** A part of a script that is sent separately, because the script has to run outside a transaction. */
export type Unit = {
  /** The text that is sent; for a COPY with data only the statement. */
  text: string
  /** Offsets in the script's text, in UTF-16 units. */
  start: number
  end: number
  /** Why it cannot share a transaction with its record, in words; undefined if it can. */
  alone: string | undefined
  /** Rows for a COPY FROM stdin. */
  copy: CopyPiece | undefined
  /** For a `begin … commit` of the script: offset of the COMMIT in `text`. */
  commitAt: number | undefined
}

/** How a script is sent. */
export type Sending =
  /** In one message, as one transaction together with its record. */
  | ({ mode: 'wrapped'; text: string } & Isolation)
  /** In one transaction of several messages: because it is long, or has rows for COPY between the statements. */
  | ({ mode: 'pieces'; pieces: Piece[] } & Isolation)
  /** Statement by statement, outside a transaction; `why` in words. */
  | { mode: 'split'; units: Unit[]; why: string }

/** The isolation level that the script asks for: `isolation level serializable`. It is set before the record, which is the first query. */
type Isolation = { isolation: string | undefined }

/** Why a script cannot be sent. `at`: offset in its text. */
export type Unsendable = { kind: Kind; at: number; message: string; hint: string }

/**
 * Decides how a script is sent, or why it cannot be.
 *
 * @param foreign whether the file belongs to a tool that allows a file to have its own transaction
 */
export function planSending(script: Script, { foreign }: { foreign: boolean }): Sending | Unsendable {
  const { text } = script
  const scanned = scan(text)
  const refusal = firstRefusal(text, scanned)
  if (refusal) return refusal
  const { statements } = scanned
  const own = transactionControl(statements)
  if (own.length > 0 && script.transactional && !foreign) return ownTransaction(own[0]!)

  const demand = firstDemand(text, statements)
  const around = own.length > 0 && script.transactional ? transactionAround(text, statements) : []
  if (!demand && script.transactional && around) return whole(text, around, scanned)
  if (statements.length === 0) return foreign ? { mode: 'wrapped', text, isolation: undefined } : nothingToRun(text)
  const units = unitsOf(text, scanned)
  if (!Array.isArray(units)) return units
  const why = demand ?? (script.transactional ? 'it has its own transactions' : 'the file asks for it')
  return { mode: 'split', units, why }
}

function transactionControl(statements: StatementList): Statement[] {
  const found: Statement[] = []
  for (const statement of statements.commands()) if (isTransactionControl(statement)) found.push(statement)
  return found
}

function firstDemand(text: string, statements: StatementList): string | undefined {
  for (const statement of statements.commands()) {
    const why = needsNoTransaction(statement, text)
    if (why !== undefined) return why
  }
  return undefined
}

/** The text without the `begin` and `commit` around it, for a transaction of ours; undefined if they do not enclose all of it. */
export function withoutOwnTransaction(text: string): string | undefined {
  const { statements } = scan(text)
  const around = transactionAround(text, statements)
  if (!around) return undefined
  const bare = around.reduce(blanked, text)
  const [{ start }] = around
  const level = levelIn(text, around[0], opening)
  return level ? `${bare.slice(0, start)}set transaction ${level};${bare.slice(start)}` : bare
}

/** Whether the result is a refusal. */
export const isUnsendable = (result: Sending | Unsendable): result is Unsendable => 'kind' in result

/** A refusal as an error with file, line, column and the line itself. */
export function unsendableError(name: string, script: Script, refusal: Unsendable): AppError {
  const { detail, ...where } = describeUnsendable(script, refusal)
  return new AppError(refusal.kind, `${name} ${detail}`, { ...where, hint: refusal.hint, file: script.path })
}

/** The message of a refusal and the line in the file that it is about. */
export function describeUnsendable({ text, line, shown }: Script, { at, message }: Unsendable) {
  const seen = shownPlace(text, shown, placeOf(text, codePoints(text, at) + 1))
  const { place } = seen
  const excerpt = excerptOf(seen.text, place, line - 1)
  const inFile = { line: place.line + line - 1, column: place.column }
  return { detail: `${message}, line ${inFile.line}`, ...inFile, excerpt }
}

/** @param around the `begin` and `commit` that are not sent */
function whole(text: string, around: Statement[], scanned: Scan): Sending {
  const { leftOut, isolation } = withoutIsolation(text, around, scanned)
  const pieces = piecesOf(text, scanned, leftOut)
  const [first] = pieces
  return pieces.length === 1 && first?.kind === 'sql' && first.text.length <= messageLength
    ? { mode: 'wrapped', text: first.text, isolation }
    : { mode: 'pieces', pieces, isolation }
}

const opening = String.raw`(?:begin|start\s+transaction)(?:\s+(?:work|transaction))?`
const closing = String.raw`(?:commit|end)(?:\s+(?:work|transaction))?`
const isolationLevel = String.raw`isolation\s+level\s+(?:serializable|repeatable\s+read|read\s+(?:un)?committed)`

/** The isolation level that a statement asks for, if it consists only of these words. */
const levelIn = (text: string, statement: Statement | undefined, before: string) =>
  statement &&
  new RegExp(`^${before}\\s+(${isolationLevel})\\s*$`, 'i').exec(text.slice(statement.start, statement.end))?.[1]

/** Removes the isolation level from a script, if it is the first thing in it. */
function withoutIsolation(
  text: string,
  around: Statement[],
  { statements }: Scan,
): { leftOut: Statement[] } & Isolation {
  const [begin, ...commit] = around
  const ofBegin = levelIn(text, begin, opening)
  if (ofBegin !== undefined) return { leftOut: around, isolation: ofBegin }
  const first = statements.at(begin ? 1 : 0)
  const isolation = levelIn(text, first, String.raw`set\s+transaction`)
  if (isolation === undefined || !first) return { leftOut: around, isolation: undefined }
  return { leftOut: begin ? [begin, first, ...commit] : [first], isolation }
}

function firstRefusal(text: string, { statements, unterminated, backslash, copies }: Scan): Unsendable | undefined {
  const found: Unsendable[] = []
  if (unterminated) {
    const { what, at } = unterminated
    found.push({ kind: 'migration', at, message: `ends inside a ${what}`, hint: `close the ${what} that opens here` })
  }
  if (backslash !== undefined) {
    const command = /^\\\S*/.exec(text.slice(backslash))?.[0]
    const hint = 'remove the line: only psql understands such commands'
    found.push({ kind: 'migration', at: backslash, message: `contains the psql command ${command}`, hint })
  }
  const fed = new Set(copies.filter(({ closed }) => closed).map(({ statement }) => statements.startOf(statement)))
  const cut = statements.findCommand((statement) => isCopyFromClient(statement) && !fed.has(statement.start))
  if (cut) {
    const at = cut.start
    const hint =
      'put the rows below it and a line `\\.` after them, as pg_dump does; or load them as a seed from a CSV file'
    found.push({
      kind: 'migration',
      at,
      message: 'copies from stdin, but its rows and a line `\\.` do not follow',
      hint,
    })
  }
  const out = statements.findCommand((statement) => isClientCopy(statement) && !isCopyFromClient(statement))
  if (out) {
    const hint = 'remove it: a migration has nowhere to write rows to'
    found.push({ kind: 'migration', at: out.start, message: 'copies to stdout', hint })
  }
  return found.sort((a, b) => a.at - b.at)[0]
}

const ownTransaction = ({ start: at, words }: Statement): Unsendable => ({
  kind: 'lint',
  at,
  message: `has its own ${words[0]?.toUpperCase()}`,
  hint: 'remove BEGIN and COMMIT: the file already runs in its own transaction',
})

const isOpening = ({ words: [first, second] }: Statement) =>
  first === 'begin' || (first === 'start' && second === 'transaction')

/** Whether a statement ends a transaction and begins the next one. */
const isChained = ({ words }: Statement) =>
  ['commit', 'end', 'rollback', 'abort'].includes(words[0] ?? '') && words.includes('chain') && !words.includes('no')

const isClosing = (statement: Statement) => {
  const [first = '', second] = statement.words
  if (isChained(statement)) return false
  if (first === 'prepare' && second === 'transaction') return true
  return (
    ['commit', 'end', 'rollback', 'abort'].includes(first) && !statement.words.includes('to') && second !== 'prepared'
  )
}

/**
 * The `begin;` and `commit;` of a text, if they enclose all of it and contain nothing but the isolation level. Without them we can use
 * our own transaction, which also contains the record.
 */
function transactionAround(text: string, statements: StatementList): [Statement, Statement] | undefined {
  const [first, last] = transactionControl(statements)
  const isOnly = ({ start, end }: Statement, pattern: string) =>
    new RegExp(`^${pattern}\\s*$`, 'i').test(text.slice(start, end))
  if (!first || !last) return undefined
  if (first.start !== statements.startOf(0) || last.start !== statements.startOf(statements.length - 1))
    return undefined
  return isOnly(first, `${opening}(\\s+${isolationLevel})?`) && isOnly(last, closing) ? [first, last] : undefined
}

/** The statements one by one; those between BEGIN and COMMIT stay together. */
function unitsOf(text: string, scanned: Scan): Unit[] | Unsendable {
  const { statements, copies: data } = scanned
  const copies = data.length > 0 ? piecesOf(text, scanned).filter((piece) => piece.kind === 'copy') : []
  const units: Unit[] = []
  for (let i = 0; i < statements.length; i++) {
    const statement = statements.at(i)!
    const { start } = statement
    if (isOpening(statement)) {
      const last = statements.findIndex(isClosing, i)
      if (last === -1) return leftOpen(start)
      const chain = statements.findIndex(isChained, i, last)
      if (chain !== -1) return chained(statements.startOf(chain))
      const fed = statements.findIndex(isClientCopy, i, last)
      if (fed !== -1) return fedInside(statements.startOf(fed))
      i = last
      units.push(groupOf(text, start, statements.at(i)!))
    } else {
      const copy = copies.find((piece) => piece.start === start)
      const alone =
        needsNoTransaction(statement, text) ??
        (mayCommitInside(statement, text) || isTransactionControl(statement)
          ? statement.words[0]!.toUpperCase()
          : undefined)
      units.push({ ...part(text, start, statement.end), alone, copy, commitAt: undefined })
    }
  }
  return units
}

const part = (text: string, start: number, end: number) => ({ text: text.slice(start, end), start, end })

function groupOf(text: string, start: number, last: Statement): Unit {
  const commits = ['commit', 'end'].includes(last.words[0] ?? '')
  const alone = commits ? undefined : 'its own transaction'
  return { ...part(text, start, last.end), alone, copy: undefined, commitAt: commits ? last.start - start : undefined }
}

const nothingToRun = (text: string): Unsendable => ({
  kind: 'lint',
  at: text.length,
  message: 'is a no-transaction file without a statement',
  hint: 'write the statement that cannot run in a transaction, or remove the directive',
})

const chained = (at: number): Unsendable => ({
  kind: 'lint',
  at,
  message: 'ends a transaction with AND CHAIN',
  hint: 'write COMMIT and BEGIN instead: the progress of the file is recorded with each transaction',
})

const fedInside = (at: number): Unsendable => ({
  kind: 'lint',
  at,
  message: 'copies rows from the file inside its own transaction',
  hint: 'remove BEGIN and COMMIT around it, or write INSERT instead of COPY',
})

const leftOpen = (at: number): Unsendable => ({
  kind: 'lint',
  at,
  message: 'begins a transaction and leaves it open',
  hint: 'end it with COMMIT, or remove the BEGIN',
})
