// pure
/**
 * Reads the YAML that configurations are mostly written in: block maps and lists, `{ … }` and `[ … ]` within a line, plain and quoted
 * scalars, comments. It takes a tenth of the time that loading and running a whole YAML parser takes.
 *
 * @returns undefined for everything else, for anything doubtful and for mistakes: the parser then reads the text
 */
export function readPlainYaml(text: string): { value: unknown } | undefined {
  try {
    const lines = linesOf(text)
    if (lines.length === 0) return undefined
    const reader = { lines, at: 0 }
    const value = readBlock(reader, lines[0]!.indent)
    return reader.at === lines.length ? { value } : undefined
  } catch (error) {
    // Nested too deep: the parser names the line.
    if (error !== notPlain && !(error instanceof RangeError)) throw error
    return undefined
  }
}

const notPlain = new Error('not plain YAML')

function leave(): never {
  throw notPlain
}

type Line = { indent: number; text: string }
type Reader = { lines: Line[]; at: number }

/** The lines with something in them, without comments. */
function linesOf(text: string): Line[] {
  // A tab, a carriage return and other special characters have rules of their own.
  if (/[^\n\x20-\x7e\u00a0-\u2027\u202a-\ud7ff]/.test(text)) leave()
  return text.split('\n').flatMap((line) => {
    const content = withoutIndent(line)
    if (content === '' || content.startsWith('#')) return []
    if (/^(---|\.\.\.|%)/.test(content)) leave()
    return [{ indent: line.length - content.length, text: content }]
  })
}

/** Only spaces indent: other white space belongs to the text. */
const withoutIndent = (line: string) => line.replace(/^ +/, '')

// The parser refuses a very long key.
const entry = /^([A-Za-z_][\w.-]{0,200}):(?: +|$)/

function readBlock(reader: Reader, indent: number): unknown {
  const { text } = reader.lines[reader.at]!
  if (isItem(text)) return readList(reader, indent)
  return entry.test(text) ? readMap(reader, indent) : leave()
}

const isItem = (text: string) => text === '-' || text.startsWith('- ')

function readMap(reader: Reader, indent: number): Record<string, unknown> {
  const map: Record<string, unknown> = {}
  for (let line = reader.lines[reader.at]; line && line.indent >= indent; line = reader.lines[reader.at]) {
    const [start = '', key = ''] = entry.exec(line.text) ?? []
    if (line.indent > indent || !isNewKey(key, map)) leave()
    reader.at++
    map[key] = readValue(reader, line.text.slice(start.length), indent, indent)
  }
  return map
}

/** Not `null` or `True`, which the parser writes differently as a key. */
const isNewKey = (key: string, map: object) => !Object.hasOwn(map, key) && key !== '__proto__' && scalar(key) === key

function readList(reader: Reader, indent: number): unknown[] {
  const list: unknown[] = []
  for (let line = reader.lines[reader.at]; line && line.indent >= indent; line = reader.lines[reader.at]) {
    // A list may stand as far left as the key that it belongs to; then the next key ends it.
    if (line.indent === indent && !isItem(line.text)) break
    if (line.indent > indent) leave()
    const content = withoutIndent(line.text.slice(1))
    if (content !== '' && (entry.test(content) || isItem(content))) {
      // A map or a list that begins on the line of the item.
      reader.lines[reader.at] = { indent: indent + line.text.length - content.length, text: content }
      list.push(readBlock(reader, reader.lines[reader.at]!.indent))
    } else {
      reader.at++
      list.push(readValue(reader, content, indent, indent + 1))
    }
  }
  return list
}

/** @param listIndent the least indent of a list below */
function readValue(reader: Reader, rest: string, indent: number, listIndent: number): unknown {
  const next = reader.lines[reader.at]
  if (rest === '' || rest.startsWith('#')) {
    if (next && (next.indent > indent || (next.indent >= listIndent && isItem(next.text))))
      return readBlock(reader, next.indent)
    return null
  }
  // A scalar may go on in lines that are indented further.
  if (next && next.indent > indent) leave()
  const flow = { text: rest, at: 0 }
  const value = readFlow(flow, false)
  const after = rest.slice(flow.at)
  return /^ *$|^ +#/.test(after) ? value : leave()
}

type Flow = { text: string; at: number }

/** A value within one line. @param inside whether it is within brackets, where a comma ends it */
function readFlow(flow: Flow, inside: boolean): unknown {
  const first = flow.text[flow.at]
  if (first === '{') return readFlowMap(flow)
  if (first === '[') return readFlowList(flow)
  if (first === '"' || first === "'") return readQuoted(flow)
  // Spaces are looked at once, from the first of them: there may be many.
  const end = inside ? /(?<! )(?= *(?:[,\]}[{]|: |:$|:[,\]}[{]| #))/g : /(?<! ) *$|(?<! ) +#|: |:$/g
  end.lastIndex = flow.at
  const found = end.exec(flow.text)
  if (!found || (!inside && found[0].startsWith(':'))) leave()
  const text = flow.text.slice(flow.at, found.index)
  flow.at = found.index
  return scalar(text)
}

function readQuoted(flow: Flow): string {
  const found = /"([^"\\]*)"|'([^']*)'(?!')/y
  found.lastIndex = flow.at
  const [all, double, single] = found.exec(flow.text) ?? leave()
  flow.at += all.length
  return double ?? single ?? ''
}

const flowKey = /([A-Za-z_][\w.-]{0,200}): +/y

function readFlowMap(flow: Flow): Record<string, unknown> {
  const map: Record<string, unknown> = {}
  readItems(flow, '}', () => {
    flowKey.lastIndex = flow.at
    const [start, key] = flowKey.exec(flow.text) ?? leave()
    if (key === undefined || !isNewKey(key, map)) leave()
    flow.at += start.length
    map[key] = readFlow(flow, true)
  })
  return map
}

function readFlowList(flow: Flow): unknown[] {
  const list: unknown[] = []
  readItems(flow, ']', () => list.push(readFlow(flow, true)))
  return list
}

function readItems(flow: Flow, close: string, readItem: () => void): void {
  const skip = () => {
    while (flow.text[flow.at] === ' ') flow.at++
  }
  flow.at++
  skip()
  if (flow.text[flow.at] === close) return void flow.at++
  for (;;) {
    readItem()
    skip()
    const next = flow.text[flow.at++]
    if (next === close) return
    if (next !== ',') leave()
    skip()
  }
}

/** A plain scalar, by the core schema of YAML 1.2. */
function scalar(text: string): unknown {
  if (/^(null|Null|NULL|~)$/.test(text)) return null
  if (/^(true|True|TRUE)$/.test(text)) return true
  if (/^(false|False|FALSE)$/.test(text)) return false
  if (/^(0|-?[1-9]\d{0,14})$/.test(text)) return Number(text)
  // Other numbers, and what only begins like a plain scalar.
  if (
    !/^[A-Za-z0-9_/.(+~-]/.test(text) ||
    /^[-+.\d][\d.eExXoOa-fA-FiInfNaN_+-]*$/.test(text) ||
    /^[-+.~] |^[-+.~]$/.test(text)
  )
    leave()
  return text
}
