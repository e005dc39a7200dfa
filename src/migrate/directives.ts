import { usage } from '../errors.ts'

const directive = /^[ \t]*--[ \t]*pgbosun:[ \t]*(.*?)[ \t]*$/

/**
 * What the leading comment lines of a migration file ask for: `-- pgbosun: no-transaction`. Comments for the linter are left to it.
 *
 * @throws {AppError} `usage` for another directive, or one below the first statement, where it would be overlooked
 */
export function readDirectives(path: string, text: string): { transactional: boolean } {
  if (!text.includes('pgbosun:')) return { transactional: true }
  let transactional = true
  let leading = true
  for (const [i, line] of text.split(/\r\n|\r|\n/).entries()) {
    leading &&= /^\s*(--|$)/.test(line)
    const value = directive.exec(line)?.[1]
    // What the linter is to overlook may stand anywhere.
    if (value === undefined || /^allow\b/.test(value)) continue
    const place = { file: path, line: i + 1, column: 1 }
    if (!leading) {
      throw usage(`the directive "${value}" stands below the first statement of ${path}, line ${i + 1}`, {
        ...place,
        hint: 'move the line to the top of the file',
      })
    }
    if (value !== 'no-transaction') {
      throw usage(`${path} has the unknown directive "${value}" in line ${i + 1}`, {
        ...place,
        hint: 'the directives are `-- pgbosun: no-transaction` and `-- pgbosun: allow RULE REASON`',
      })
    }
    transactional = false
  }
  return { transactional }
}
