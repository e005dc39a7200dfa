// pure
import { usage } from '../errors.ts'
import { codePoints, placeOf } from '../sql/place.ts'

const directive = /(?<=^|[\r\n])[ \t]*--[ \t]*pgbosun:[ \t]*([^\r\n]*?)[ \t]*(?=[\r\n]|$)/g

/** The lines at the top that are blank or comments. */
const leadingLines = /(?:[^\S\r\n]*(?:--[^\r\n]*)?(?:\r\n|\r|\n))*/y

/**
 * Reads the directives in the leading comment lines of a migration file: `-- pgbosun: no-transaction`. Skips comments for the linter.
 *
 * @throws {AppError} `usage` for an unknown directive, or one below the first statement, where it has no effect
 */
export function readDirectives(path: string, text: string): { transactional: boolean } {
  if (!text.includes('pgbosun:')) return { transactional: true }
  let transactional = true
  leadingLines.lastIndex = 0
  leadingLines.test(text)
  const top = leadingLines.lastIndex
  for (const { 1: value = '', index } of text.matchAll(directive)) {
    // Comments that allow something for the linter may be anywhere.
    if (/^allow\b/.test(value)) continue
    const { line } = placeOf(text, codePoints(text, index) + 1)
    const place = { file: path, line, column: 1 }
    if (index > top) {
      throw usage(`the directive "${value}" is below the first statement of ${path}, line ${line}`, {
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
