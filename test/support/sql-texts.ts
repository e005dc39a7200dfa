/** A string or template of a source file. `at`: where its content begins; what a template inserts is left as blanks. */
export type SourceText = { at: number; text: string }

/**
 * The strings and templates of TypeScript source, also those inside a template's `${…}`. Comments and regular expressions are
 * passed over; a regular expression is known by what stands before it, which is enough for formatted code.
 */
export function sourceTexts(source: string): SourceText[] {
  const texts: SourceText[] = []
  /** Reads code up to the bracket that closes it, or the end; returns where it stopped. */
  const code = (from: number): number => {
    let depth = 0
    for (let i = from; i < source.length; i++) {
      const c = source[i]!
      if (c === '}' && depth-- === 0) return i
      if (c === '{') depth++
      else if (c === "'" || c === '"') i = quoted(i, c)
      else if (c === '`') i = template(i)
      else if (source.startsWith('//', i)) i = endOf('\n', i)
      else if (source.startsWith('/*', i)) i = endOf('*/', i + 2) + 1
      else if (c === '/' && /[(,=:[!&|?{};\n]\s*$|\breturn\s*$/.test(source.slice(Math.max(0, i - 40), i))) i = regex(i)
    }
    return source.length
  }
  const endOf = (mark: string, from: number) => {
    const at = source.indexOf(mark, from)
    return at === -1 ? source.length : at
  }
  const quoted = (from: number, mark: string): number => {
    let i = from + 1
    for (; i < source.length && source[i] !== mark; i++) if (source[i] === '\\') i++
    texts.push({ at: from + 1, text: source.slice(from + 1, i) })
    return i
  }
  const regex = (from: number): number => {
    let inClass = false
    for (let i = from + 1; i < source.length; i++) {
      if (source[i] === '\\') i++
      else if (source[i] === '[') inClass = true
      else if (source[i] === ']') inClass = false
      else if (source[i] === '/' && !inClass) return i
    }
    return source.length
  }
  const template = (from: number): number => {
    const own: SourceText = { at: from + 1, text: '' }
    texts.push(own)
    for (let i = from + 1; i < source.length; i++) {
      if (source[i] === '`') return i
      if (source[i] === '\\') own.text += source.slice(i, ++i + 1)
      else if (source.startsWith('${', i)) {
        const end = code(i + 2)
        own.text += ' '.repeat(end + 1 - i)
        i = end
      } else own.text += source[i]
    }
    return source.length
  }
  code(0)
  return texts
}

/**
 * Names of functions and relations that are used without a schema in SQL texts, with where they stand in the source. Words of the
 * grammar that look like calls are none.
 */
export function unqualifiedNames(
  source: string,
  { functions, relations }: { functions: ReadonlySet<string>; relations: ReadonlySet<string> },
): { name: string; at: number }[] {
  return sourceTexts(source).flatMap(({ at, text }) => [
    ...[...text.matchAll(/(?<![.\w"$'-])([a-z_][a-z0-9_]*)\(/g)]
      .filter(([, name]) => functions.has(name!) && !grammar.has(name!))
      .map((match) => ({ name: match[1]!, at: at + match.index })),
    ...[...text.matchAll(/(?<=\b(?:from|join)\s+|,\s+)([a-z_]+)\b(?![.(])/g)]
      .filter(([, name]) => relations.has(name!))
      .map((match) => ({ name: match[1]!, at: at + match.index })),
  ])
}

/** Parsed as expressions of the language, never looked up in the search_path. */
const grammar = new Set([
  'coalesce',
  'nullif',
  'greatest',
  'least',
  'extract',
  'position',
  'overlay',
  'substring',
  'trim',
  'row',
  'cast',
  'exists',
  'values',
  'normalize',
  'in',
  'any',
  'some',
  'all',
  'array',
  'interval',
  'numeric',
  'varchar',
  'char',
  'bit',
  'timestamp',
  'time',
  'date',
  'bigint',
  'text',
  'name',
  'int',
  'bool',
  'xml',
  'collate',
])
