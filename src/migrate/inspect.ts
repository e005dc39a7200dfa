import { excerptOf, placeOf } from '../db/place.ts'
import { isClientCopy, isTransactionControl, type Scan, scan } from '../db/scan.ts'
import { AppError, type Kind } from '../errors.ts'
import type { Migration, Problem } from './types.ts'

type Finding = { kind: Kind; at: number; message: string; hint: string }

/**
 * Refuses files that could not be sent safely, before anything is touched.
 *
 * @throws {AppError} `lint` for transaction statements, and for a no-transaction file that is not exactly one statement;
 *   `migration` for an open comment or quote, a psql command and a COPY to or from the client
 */
export function refuseUnsendable(files: Migration[]): void {
  for (const file of files) {
    const [first] = findings(file, scan(file.text)).sort((a, b) => a.at - b.at)
    if (first) throw refusal(file, first)
  }
}

/** The same as problems, one for each file: for those who only look. */
export function findUnsendable(files: Migration[]): Problem[] {
  return files.flatMap((file) => {
    const [first] = findings(file, scan(file.text)).sort((a, b) => a.at - b.at)
    if (!first) return []
    const { message, hint } = refusal(file, first)
    return [
      { code: 'invalid' as const, name: file.name, detail: message.slice(file.name.length + 1), hint: hint ?? '' },
    ]
  })
}

function findings({ text, transactional }: Migration, { statements, unterminated, backslash }: Scan): Finding[] {
  const found: Finding[] = []
  if (unterminated) {
    const { what, at } = unterminated
    found.push({ kind: 'migration', at, message: `ends inside a ${what}`, hint: `close the ${what} that opens here` })
  }
  if (backslash !== undefined) {
    const command = /^\\\S*/.exec(text.slice(backslash))?.[0]
    const hint =
      'remove the line: only psql knows such commands; dump with `pg_dump --inserts` to get a file without them'
    found.push({ kind: 'migration', at: backslash, message: `holds the psql command ${command}`, hint })
  }
  for (const statement of statements) {
    const { start: at, words } = statement
    if (isTransactionControl(statement)) {
      const hint = transactional
        ? 'remove BEGIN and COMMIT: the file already runs in one transaction of its own'
        : 'a no-transaction file holds one statement, and it cannot be this one'
      found.push({ kind: 'lint', at, message: `has its own ${words[0]?.toUpperCase()}`, hint })
    }
    if (isClientCopy(statement)) {
      const hint = 'write the rows as INSERT, or load them as a seed from a CSV file'
      found.push({ kind: 'migration', at, message: 'copies from or to the client, which is not there', hint })
    }
  }
  if (!transactional && statements.length !== 1) {
    const at = statements[1]?.start ?? text.length
    const hint = 'put each statement that cannot run in a transaction into a file of its own'
    found.push({
      kind: 'lint',
      at,
      message: `is a no-transaction file with ${statements.length} statements instead of one`,
      hint,
    })
  }
  return found
}

function refusal({ name, path, text }: Migration, { kind, at, message, hint }: Finding): AppError {
  const place = placeOf(text, [...text.slice(0, at)].length + 1)
  return new AppError(kind, `${name} ${message}, line ${place.line}`, {
    hint,
    file: path,
    ...place,
    excerpt: excerptOf(text, place),
  })
}
