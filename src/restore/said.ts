// pure
import { indented } from '../text.ts'

/** What pg_restore wrote about the statement that failed. */
export type Said = { message: string | undefined; excerpt: string | undefined }

const prefix = /^pg_restore: (?:error: )?/

/** The server's own message, without what pg_restore adds and without the row that a COPY quotes; its DETAIL, and the whole statement. */
export function readSaid(stderr: string): Said {
  const lines = stderr.split('\n')
  const at = lines.findIndex((line) => /ERROR:|FATAL:/.test(line))
  const found = lines[at] ?? lines.find((line) => /^pg_restore: error:/.test(line))
  const detail = lines.slice(at + 1).find((line) => line.startsWith('DETAIL:'))
  const shown = [at >= 0 ? detail : undefined, commandIn(lines)].filter((part) => part !== undefined && part !== '')
  return {
    message: found?.replace(prefix, '').replace(/^could not execute query: (ERROR: +)?/, ''),
    excerpt: shown.length === 0 ? undefined : indented(shown.join('\n'), 0),
  }
}

/** pg_restore stops at the first failure, so the statement goes on to its next own line, or the end. */
function commandIn(lines: string[]): string | undefined {
  const start = lines.findIndex((line) => line.startsWith('Command was:'))
  if (start < 0) return undefined
  const [first = '', ...more] = lines.slice(start)
  const end = more.findIndex((line) => prefix.test(line))
  return [first.slice('Command was:'.length), ...more.slice(0, end < 0 ? undefined : end)].join('\n').trim()
}

const rescue = 'what is good in this one loads without pgbosun: see docs/backups.md'
const unqualified = `a function of the backup names it without its schema, which a restore does not search: in the source database, \`alter function … set search_path = …\`, then make a new backup; ${rescue}`

/** What to do, by SQLSTATE, when a good backup cannot be loaded. Another backup of the same database would fail in the same way. */
export const causes: Readonly<Record<string, string>> = {
  '42883': unqualified,
  '42P01': unqualified,
  '23514': `rows of the source database break this check today, perhaps because it depends on the time or on other tables: change the check or the rows there, then make a new backup; ${rescue}`,
  '23503': `rows of the source database break this foreign key: correct them there, then make a new backup; ${rescue}`,
}

/** pg_restore prints no SQLSTATE. With messages in another language, nothing is found. */
const codes: [RegExp, string][] = [
  [/(?:^|ERROR: +)(?:function|operator) .* does not exist/, '42883'],
  [/(?:^|ERROR: +)relation .* does not exist/, '42P01'],
  [/violates check constraint/, '23514'],
  [/violates foreign key constraint/, '23503'],
]

/** What to do about a message that pg_restore printed; undefined if its cause is another one. */
export const causeOf = (message: string): string | undefined =>
  causes[codes.find(([pattern]) => pattern.test(message))?.[1] ?? '']
