import { hash } from 'node:crypto'
import { basename } from 'node:path'
import { usage } from '../errors.ts'
import { release } from '../machine/memory.ts'
import { checksum } from './checksum.ts'
import { hasMark, readBytes, textOf } from './files.ts'
import type { Replace } from './graphile-placeholders.ts'
import type { Migration } from './types.ts'

const headerLine = /^--! ([A-Z][a-zA-Z0-9_]*)(?::(.*))?$/

/**
 * Reads a committed migration. Its body is what is sent, with the placeholders replaced.
 *
 * @param id       the digits of its name with `.sql`, as in the history
 * @param replace  replaces the placeholders
 * @param settings for the session
 * @throws {AppError} `usage` for what graphile-migrate refuses: a byte order mark, CRLF, bad headers, a hash that does not match the body
 */
export function readCommitted(
  path: string,
  id: string,
  { replace, settings }: { replace: Replace; settings: Readonly<Record<string, string>> },
): Migration {
  const whole = readWhole(path)
  const { headers, end, lines } = readHeaders(path, whole)
  const body = whole.slice(end)
  const { hash, previous } = hashesOf(path, headers)
  refuseHash(path, body, { hash, previous, allowed: headers.has('AllowInvalidHash') })
  const blank = blankLines(body)
  const { text, shown } = replace(body.slice(blank.length))
  return {
    id,
    name: basename(path, '.sql'),
    kind: 'versioned',
    sha256: checksum(whole),
    checksum: hash,
    native: { hash, previous, message: headers.get('Message') ?? null },
    path,
    text,
    ...(shown !== undefined && { shown }),
    ...(Object.keys(settings).length > 0 && { settings }),
    line: 1 + lines + linesIn(blank),
    transactional: !/^--!\s*no-transaction\b/.test(firstLine(text)),
  }
}

/** The blank lines at the start of the body, which graphile-migrate trims off. */
const blankLines = (body: string) => body.slice(0, body.lastIndexOf('\n', body.search(/\S|$/)) + 1)

const linesIn = (text: string) => text.split('\n').length - 1

/** The only line in which the directive counts. */
const firstLine = (text: string) => text.trimStart().split('\n', 1)[0] ?? ''

/** @throws {AppError} `usage` if there is a byte order mark: graphile-migrate would not find its headers */
function readWhole(path: string): string {
  const bytes = readBytes(path)
  const text = textOf(path, bytes)
  const isMarked = hasMark(bytes)
  release(bytes)
  if (isMarked) {
    throw usage(`${path} starts with a byte order mark, which graphile-migrate refuses`, {
      file: path,
      line: 1,
      hint: 'remove it',
    })
  }
  return text
}

/** `end`: offset of the body; `lines`: how many lines are before it. */
type Headers = { headers: Map<string, string>; end: number; lines: number }

/** The lines `--! Name: value` at the top, which an empty line must end. */
function readHeaders(path: string, whole: string): Headers {
  const all = whole.split('\n')
  const headers = new Map<string, string>()
  let lines = 0
  let end = 0
  for (const line of all) {
    const [, key, value = ''] = headerLine.exec(line) ?? []
    if (key === undefined) break
    lines++
    end += line.length + 1
    if (headers.has(key))
      throw invalid(path, lines, `has the header ${key} twice`, 'keep the one that `graphile-migrate commit` wrote')
    headers.set(key, value.trim())
  }
  const next = all[lines]
  if (next?.endsWith('\r')) throw windowsLines(path, lines + 1)
  if (next !== '')
    throw invalid(
      path,
      lines + 1,
      'has no empty line after its headers',
      'put an empty line after the lines that start with `--! `',
    )
  return { headers, end, lines }
}

/** The error for a problem in a committed file. */
export const invalid = (path: string, line: number, what: string, hint: string) =>
  usage(`${path} ${what}`, { file: path, line, column: 1, hint })

const windowsLines = (path: string, line: number) =>
  invalid(
    path,
    line,
    'has CRLF line endings, which graphile-migrate refuses: its hash would not match the content',
    'check it out with LF: `committed/*.sql -text` in .gitattributes',
  )

function hashesOf(path: string, headers: Map<string, string>): { hash: string; previous: string | null } {
  const [hash, previous] = [headers.get('Hash'), headers.get('Previous')]
  for (const [key, value] of Object.entries({ Previous: previous, Hash: hash })) {
    if (!value)
      throw invalid(
        path,
        1,
        `has no header \`--! ${key}:\``,
        'commit it with `graphile-migrate commit`, which writes the headers',
      )
  }
  return { hash: hash ?? '', previous: previous === '-' ? null : (previous ?? null) }
}

/** The hash as graphile-migrate computes it, from the text before placeholders are replaced. */
export const hashOf = (body: string, previous: string | null) =>
  `sha1:${hash('sha1', `${`${previous ?? ''}\n${body.trim()}`.trim()}\n`)}`

type Expected = { hash: string; previous: string | null; allowed: boolean }

/** @throws {AppError} `usage` if the content is not what was committed; or if it is, although an invalid hash is allowed */
function refuseHash(path: string, body: string, { hash, previous, allowed }: Expected): void {
  const found = hashOf(body, previous)
  if (found === hash && allowed) {
    throw invalid(path, 1, 'allows an invalid hash, but its hash is valid', 'remove the line `--! AllowInvalidHash`')
  }
  if (found === hash || allowed) return
  if (hashOf(body.replaceAll('\r\n', '\n'), previous) === hash) throw windowsLines(path, 1)
  throw invalid(
    path,
    1,
    `was changed after it was committed: its hash is ${found}, its header says ${hash}`,
    'restore the committed content and make another migration; `--! AllowInvalidHash` below its headers runs the file as it is',
  )
}
