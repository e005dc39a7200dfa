// pure
import { type AppError, usage } from '../errors.ts'

/** Lines with which other tools start the part of a file that undoes it. */
const downMarks: [tool: string, format: string | undefined, mark: RegExp][] = [
  ['dbmate', 'dbmate', /^--\s*migrate:down(?=\s|$)/m],
  ['goose', 'goose', /^--.*\+goose[ \t]+down\b/im],
  ['sql-migrate', undefined, /^--\s*\+migrate[ \t]+down\b/im],
  ['node-pg-migrate', 'node-pg-migrate', /^\s*-- ?Down Migration\s*$/m],
]

/**
 * The error for a file of another tool that also contains what undoes it: run as a whole, as our files are, it would make its changes
 * and undo them again. Undefined for any other file.
 */
export function holdsDownPart(path: string, text: string): AppError | undefined {
  if (!/down/i.test(text)) return undefined
  for (const [tool, format, mark] of downMarks) {
    const match = mark.exec(text)
    if (!match) continue
    const line = text.slice(0, match.index + match[0].length).split('\n').length
    const what = match[0].trim()
    return usage(
      `${path} has \`${what}\` in line ${line}, as files of ${tool} do: run as a whole, it would undo itself`,
      {
        ...{ file: path, line, column: 1 },
        hint: format
          ? `set \`migrate.format: ${format}\`; in the format of pgbosun, put what undoes it into a file NAME.down.sql`
          : `let ${tool} run it (\`migrate.command\`), or put what undoes it into a file NAME.down.sql`,
      },
    )
  }
  return undefined
}
