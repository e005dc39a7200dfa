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

/** A statement that failed while pg_restore went on. `id` is that of the entry, unless it was a setting. */
export type Failure = { id: number | undefined; entry: string; problem: string }

/**
 * Everything that failed while pg_restore went on to the end of the archive. Undefined if it did not get there, or lost its connection on
 * the way: it then goes on, too, and every further statement fails.
 */
export function readFailures(stderr: string): Failure[] | undefined {
  const lines = stderr.split('\n')
  if (!/^pg_restore: warning: errors ignored on restore: \d+$/.test(lines.at(-1) ?? '')) return undefined
  const failures: Failure[] = []
  let at: Pick<Failure, 'id' | 'entry'> = { id: undefined, entry: 'a setting' }
  for (const line of lines) {
    const [, id, entry = ''] = /^pg_restore: from TOC entry (\d+); \d+ \d+ (.*)$/.exec(line) ?? []
    if (id !== undefined) at = { id: Number(id), entry }
    const problem = /^pg_restore: error: (.*)$/.exec(line)?.[1]
    if (problem !== undefined)
      failures.push({
        ...at,
        problem: problem.replace(/^(could not execute query|COPY failed for table .*?): (ERROR: +)?/, ''),
      })
    const last = failures.at(-1)
    if (last && line.startsWith('DETAIL:')) last.problem += ` (${line.slice('DETAIL:'.length).trim()})`
  }
  return failures.some(({ problem }) => lostConnection.test(problem)) ? undefined : failures
}

/** libpq's own messages, in English like all of a client program's. */
const lostConnection = /server closed the connection|no connection to the server|^FATAL|^PANIC/

/** pg_restore stops at the first failure, so the statement goes on to its next own line, or the end. */
function commandIn(lines: string[]): string | undefined {
  const start = lines.findIndex((line) => line.startsWith('Command was:'))
  if (start < 0) return undefined
  const [first = '', ...more] = lines.slice(start)
  const end = more.findIndex((line) => prefix.test(line))
  return [first.slice('Command was:'.length), ...more.slice(0, end < 0 ? undefined : end)].join('\n').trim()
}

/** What takes what can be had. */
export const goingOn = '`--keep-going` loads the rest, and lists what is missing'
const unqualified = `a function of the backup names it without its schema, which a restore does not search: in the source database, \`alter function … set search_path = …\`, then make a new backup; ${goingOn}`

/** What to do, by SQLSTATE, when a good backup cannot be loaded. Another backup of the same database would fail in the same way. */
export const causes: Readonly<Record<string, string>> = {
  '42883': unqualified,
  '42P01': unqualified,
  '23514': `rows of the source database break this check today, perhaps because it depends on the time or on other tables: change the check or the rows there, then make a new backup; ${goingOn}`,
  '23503': `rows of the source database break this foreign key: correct them there, then make a new backup; ${goingOn}`,
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
