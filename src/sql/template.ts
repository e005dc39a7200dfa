// pure
import { lineOf, type TextPlace } from './place.ts'

const tags: [string, string][] = [
  ['{{', '}}'],
  ['{%', '%}'],
  ['<%', '%>'],
  ['${', '}'],
]

/** SQLSTATEs with which a server refuses what should have been replaced: as SQL, as a value or as a name. */
const refusals = new Set(['42601', '22P02', '42P01', '3F000'])

/**
 * What to do about a file that was not rendered: where the server found an error, there is a tag of a template such as `{{ schema }}`.
 * Undefined if there is none.
 * @param place where the caret is
 */
export function templateHint(code: string, text: string, place: TextPlace): string | undefined {
  if (!refusals.has(code)) return undefined
  const line = lineOf(text, place.line)
  const tag = tags.find(([open, close]) => isInside(line, place.column, { open, close }))
  return (
    tag &&
    `\`${tag.join(' … ')}\` belongs to a template of another program: pgbosun sends a file as it is, so render it first`
  )
}

function isInside(line: string, column: number, { open, close }: { open: string; close: string }): boolean {
  const points = [...line]
  const caret = points.slice(0, column - 1).join('').length
  // of a value or a name, the caret is at the quotation mark
  const at = /['"]/.test(line[caret] ?? '') ? caret + 1 : caret
  const start = line.lastIndexOf(open, at)
  if (start === -1) return false
  const end = line.indexOf(close, start)
  return end === -1 ? start === at : at < end + close.length
}
