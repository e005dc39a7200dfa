// pure
import { usage } from '../errors.ts'
import { codePoints, placeOf } from '../sql/place.ts'

const directive = /(?<=^|[\r\n])[ \t]*--[ \t]*pgbosun:[ \t]*([^\r\n]*?)[ \t]*(?=[\r\n]|$)/g

/** The lines at the top that are blank or comments. */
const leadingLines = /(?:[^\S\r\n]*(?:--[^\r\n]*)?(?:\r\n|\r|\n))*/y

/**
 * What the leading comment lines of a migration file ask for: `-- pgbosun: no-transaction`. Comments for the linter are left to it.
 *
 * @throws {AppError} `usage` for another directive, or one below the first statement, where it would be overlooked
 */
export function readDirectives(path: string, text: string): { transactional: boolean } {
  if (!text.includes('pgbosun:')) return { transactional: true }
  let transactional = true
  leadingLines.lastIndex = 0
  leadingLines.test(text)
  const top = leadingLines.lastIndex
  for (const { 1: value = '', index } of text.matchAll(directive)) {
    // What the linter is to overlook may stand anywhere.
    if (/^allow\b/.test(value)) continue
    const { line } = placeOf(text, codePoints(text, index) + 1)
    const place = { file: path, line, column: 1 }
    if (index > top) {
      throw usage(`the directive "${value}" stands below the first statement of ${path}, line ${line}`, {
        ...place,
        hint: 'move the line to the top of the file',
      })
    }
    if (value !== 'no-transaction') {
      throw usage(`${path} has the unknown directive "${value}" in line ${line}`, {
        ...place,
        hint: 'the directives are `-- pgbosun: no-transaction` and `-- pgbosun: allow RULE REASON`',
      })
    }
    transactional = false
  }
  return { transactional }
}
