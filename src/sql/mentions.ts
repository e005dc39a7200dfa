// pure
import { endOfToken, folded } from './lex.ts'

/**
 * The lines, from 1, in which a text of SQL has a name: as an identifier, or inside a string, which may be SQL that is executed. Not those
 * in which only a comment has it.
 * @param name as the server stores it
 */
export function linesNaming(text: string, name: string): number[] {
  const inStrings = new RegExp(`(?<![\\w$])${name.replaceAll(/[^\w]/g, '\\$&')}(?![\\w$])`, 'gi')
  const offsets: number[] = []
  for (let i = 0; i < text.length; ) {
    const end = endOfToken(text, i)
    const token = text.slice(i, end === -1 ? undefined : end)
    if (/^['$]|^e'/i.test(token) && token.length > 1)
      for (const { index } of token.matchAll(inStrings)) offsets.push(i + index)
    else if (folded(token) === name || token === `"${name.replaceAll('"', '""')}"`) offsets.push(i)
    i += token.length
  }
  let line = 1
  const lines = offsets.map((offset, i) => {
    line += text.slice(offsets[i - 1] ?? 0, offset).match(/\r\n|\r|\n/g)?.length ?? 0
    return line
  })
  return [...new Set(lines)]
}
