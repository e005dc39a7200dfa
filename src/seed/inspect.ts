// pure
import { AppError } from '../errors.ts'
import { codePoints, excerptOf, placeOf } from '../sql/place.ts'
import { isClientCopy, isTransactionControl, type Statement, scan } from '../sql/scan.ts'

/**
 * Refuses what an SQL seed must not contain, because it runs in our transaction: statements that end the transaction, psql commands,
 * COPY from the client, and comments or quotes that are never closed.
 * @throws {AppError} `seed` with file, line and column
 */
export function inspectSeed(file: string, text: string): void {
  const { statements, unterminated, restricts, backslash = restricts[0]?.start } = scan(text)
  const refuse = (at: number, problem: string, hint: string): never => {
    const place = placeOf(text, codePoints(text, at) + 1)
    const excerpt = excerptOf(text, place)
    throw new AppError('seed', `${file}, line ${place.line}: ${problem}`, { file, ...place, excerpt, hint })
  }
  const words = ({ words: all }: Statement) => all.slice(0, 2).join(' ').toUpperCase()

  if (backslash !== undefined) refuse(backslash, 'this is a psql command, not SQL', 'remove it')
  if (unterminated) refuse(unterminated.at, `the ${unterminated.what} that opens here is never closed`, 'close it')
  const control = statements.findCommand(isTransactionControl)
  if (control)
    refuse(control.start, `${words(control)} in a seed`, 'remove it: a seed always runs in one transaction of its own')
  const copy = statements.findCommand(isClientCopy)
  if (copy)
    refuse(copy.start, 'COPY from the client in an SQL seed', 'put the rows into a separate CSV file, or use INSERT')
}
