// pure
/** `word`: a number, or `null`, `true`, `false`. */
export type Operand = { column: string } | { text: string } | { word: string }

/** A condition on the columns of one row. */
export type Condition =
  | { all: Condition[] }
  | { any: Condition[] }
  | { not: Condition }
  | { compare: string; left: Operand; right: Operand }
  | { is: 'null' | 'true' | 'false'; of: Operand }
  | { value: Operand }

const token =
  /\s*(?:(?<quoted>"(?:[^"\0]|"")+")|(?<text>'(?:[^'\\\0]|'')*')|(?<number>-?\d+(?:\.\d+)?)(?![\w.])|(?<word>[\p{L}_][\p{L}\p{N}_$]*)|(?<mark><=|>=|<>|!=|[=<>(),]))/uy

type Token = { kind: 'quoted' | 'text' | 'number' | 'word' | 'mark'; text: string }

/**
 * Reads a condition that can do nothing but compare: columns, texts, numbers, `= <> < > <= >=`, `in`, `between`, `like`, `is null`,
 * `and`, `or`, `not`. It has no functions, casts and queries, so that it can be evaluated with any rights.
 * @returns undefined when it is anything else
 */
export function parseCondition(text: string): Condition | undefined {
  const tokens = tokensOf(text)
  if (!tokens) return undefined
  const reader = createReader(tokens)
  const found = readAny(reader)
  return found && reader.ended() ? found : undefined
}

function tokensOf(text: string): Token[] | undefined {
  const tokens: Token[] = []
  const end = text.trimEnd().length
  for (token.lastIndex = 0; token.lastIndex < end; ) {
    const groups = token.exec(text)?.groups
    const found = Object.entries(groups ?? {}).find(([, value]) => value !== undefined)
    if (!found) return undefined
    tokens.push({ kind: found[0] as Token['kind'], text: found[1]! })
  }
  return tokens
}

const words = new Set(['and', 'or', 'not', 'in', 'is', 'null', 'true', 'false', 'like', 'ilike', 'between'])

function createReader(tokens: Token[]) {
  let at = 0
  return {
    ended: () => at === tokens.length,
    /** Takes the next token if it is this mark or word. */
    take(text: string): boolean {
      const next = tokens[at]
      const same = next !== undefined && ['mark', 'word'].includes(next.kind) && next.text.toLowerCase() === text
      if (same) at++
      return same
    },
    operand(): Operand | undefined {
      const next = tokens[at]
      if (!next || next.kind === 'mark') return undefined
      const folded = next.text.toLowerCase()
      if (next.kind === 'word' && words.has(folded) && !['null', 'true', 'false'].includes(folded)) return undefined
      at++
      if (next.kind === 'quoted') return { column: next.text.slice(1, -1).replaceAll('""', '"') }
      if (next.kind === 'text') return { text: next.text.slice(1, -1).replaceAll("''", "'") }
      return next.kind === 'number' || words.has(folded) ? { word: folded } : { column: folded }
    },
  }
}

type Reader = ReturnType<typeof createReader>

const readAny = (reader: Reader) => readList(reader, 'or', () => readList(reader, 'and', () => readOne(reader)))

function readList(reader: Reader, word: 'and' | 'or', read: () => Condition | undefined): Condition | undefined {
  const list: Condition[] = []
  do {
    const one = read()
    if (!one) return undefined
    list.push(one)
  } while (reader.take(word))
  return list.length === 1 ? list[0] : word === 'and' ? { all: list } : { any: list }
}

function readOne(reader: Reader): Condition | undefined {
  if (reader.take('not')) return negated(readOne(reader), true)
  if (reader.take('(')) {
    const inner = readAny(reader)
    return inner && reader.take(')') ? inner : undefined
  }
  const left = reader.operand()
  return left && readComparison(reader, left)
}

const marks: Record<string, string> = { '=': '=', '<>': '<>', '!=': '<>', '<=': '<=', '>=': '>=', '<': '<', '>': '>' }

function readComparison(reader: Reader, left: Operand): Condition | undefined {
  if (reader.take('is')) {
    const not = reader.take('not')
    const is = (['null', 'true', 'false'] as const).find((word) => reader.take(word))
    return is && negated({ is, of: left }, not)
  }
  const not = reader.take('not')
  const compare = (by: string, right = reader.operand()): Condition | undefined => right && { compare: by, left, right }
  if (reader.take('in')) return negated(readIn(reader, left), not)
  if (reader.take('between')) {
    const from = compare('>=')
    const to = from && reader.take('and') ? compare('<=') : undefined
    return negated(from && to && { all: [from, to] }, not)
  }
  if (reader.take('like')) return negated(compare('~~'), not)
  if (reader.take('ilike')) return negated(compare('~~*'), not)
  if (not) return undefined
  const mark = Object.keys(marks).find((text) => reader.take(text))
  return mark === undefined ? { value: left } : compare(marks[mark]!)
}

function readIn(reader: Reader, left: Operand): Condition | undefined {
  const list: Condition[] = []
  if (!reader.take('(')) return undefined
  do {
    const right = reader.operand()
    if (!right) return undefined
    list.push({ compare: '=', left, right })
  } while (reader.take(','))
  return reader.take(')') ? { any: list } : undefined
}

const negated = (condition: Condition | undefined, not: boolean): Condition | undefined =>
  condition && not ? { not: condition } : condition

/** The columns that a condition reads. */
export function columnsIn(condition: Condition): string[] {
  const of = (operand: Operand) => ('column' in operand ? [operand.column] : [])
  if ('all' in condition) return condition.all.flatMap(columnsIn)
  if ('any' in condition) return condition.any.flatMap(columnsIn)
  if ('not' in condition) return columnsIn(condition.not)
  if ('is' in condition) return of(condition.of)
  return 'value' in condition ? of(condition.value) : [...of(condition.left), ...of(condition.right)]
}
