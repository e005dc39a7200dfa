// pure
/** Cuts the text of `.dump` into statements, however it arrives. */
export type DumpReader = {
  /** The statements that are complete now, without their semicolon. */
  read(text: string): { statement: string; line: number }[]
  /** What is left at the end. */
  rest(): string
}

const closing: Record<string, string> = { "'": "'", '"': '"', '`': '`', '[': ']', '--': '\n', '/*': '*/' }

export function createDumpReader(): DumpReader {
  let text = ''
  /** What closes the quote or comment that is open; empty outside. */
  let open = ''
  /** Where reading goes on. */
  let at = 0
  let line = 1
  return {
    rest: () => text,
    read(more) {
      text += more
      const found: { statement: string; line: number }[] = []
      let start = 0
      for (;;) {
        const next = open === '' ? nextOf(text, at) : { at: text.indexOf(open, at), token: open }
        if (next.at < 0) break
        at = next.at + next.token.length
        if (open !== '') open = ''
        else if (next.token !== ';') open = closing[next.token]!
        else if (isComplete(text.slice(start, next.at))) {
          const statement = text.slice(start, next.at)
          const blank = /^\s*/.exec(statement)![0]
          found.push({ statement, line: line + linesIn(blank) })
          line += linesIn(statement)
          start = at
        }
      }
      text = text.slice(start)
      // A token of two characters may be cut in two.
      at = Math.max(at - start, text.length - 1)
      return found
    },
  }
}

const tokens = /['"`[;]|--|\/\*/g

function nextOf(text: string, from: number): { at: number; token: string } {
  tokens.lastIndex = from
  const found = tokens.exec(text)
  return found ? { at: found.index, token: found[0] } : { at: -1, token: '' }
}

/** The statements of a trigger end with semicolons too. */
const isComplete = (statement: string) =>
  !/^\s*create\s+(temp(orary)?\s+)?trigger\b/i.test(statement) || /;\s*end\s*$/i.test(statement)

function linesIn(text: string): number {
  let count = 0
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) count++
  return count
}

/**
 * What is done with a statement of a dump: `run`; `skip` what says nothing about tables and rows; `begin`, `commit`; `rollback`, with which
 * sqlite3 ends a dump that failed; `virtual` for a virtual table; `refuse` anything else.
 */
export function judge(statement: string): 'run' | 'skip' | 'begin' | 'commit' | 'rollback' | 'virtual' | 'refuse' {
  const text = withoutComments(statement).slice(0, 300)
  if (text === '') return 'skip'
  if (/^pragma\s+writable_schema\b|^create\s+virtual\s|^insert\s+into\s+["'[`]?sqlite_(schema|master)\b/i.test(text))
    return 'virtual'
  if (/^pragma\s+(foreign_keys|user_version|application_id|encoding|page_size|synchronous|journal_mode)\b/i.test(text))
    return 'skip'
  if (/^(create\s+(temp(orary)?\s+)?trigger|analyze|insert\s+into\s+["'[`]?sqlite_stat\d)\b/i.test(text)) return 'skip'
  if (/^(create\s+(table|view|(unique\s+)?index)|insert\s+into|delete\s+from\s+["'[`]?sqlite_sequence)\b/i.test(text))
    return 'run'
  if (/^begin\b/i.test(text)) return 'begin'
  if (/^(commit|end)\b/i.test(text)) return 'commit'
  return /^rollback\b/i.test(text) ? 'rollback' : 'refuse'
}

/** Without those it begins with. */
function withoutComments(statement: string): string {
  let text = statement.trimStart()
  for (;;) {
    const end = text.startsWith('--') ? text.indexOf('\n') : text.startsWith('/*') ? text.indexOf('*/') + 1 : 0
    if (end === 0) return text
    if (end < 0) return ''
    text = text.slice(end + 1).trimStart()
  }
}
