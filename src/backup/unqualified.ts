// pure
import { tokensOf } from '../sql/lex.ts'

/** A name in the body of a function that has no schema before it. */
export type Mention = { kind: 'function' | 'relation' | 'type'; name: string }

/**
 * The names without a schema in a body of SQL or PL/pgSQL, as far as the words around them tell: what is called, selected from or cast to.
 * What is built at run time, in strings, is not seen.
 */
export function mentionsIn(body: string): Mention[] {
  const tokens = tokensOf(body, 0, body.length)
  const found = tokens.flatMap((token, i): Mention[] => {
    if (!isName(token) || tokens[i - 1] === '.' || tokens[i + 1] === '.') return []
    const kind = kindOf(tokens, i)
    return kind === undefined ? [] : [{ kind, name: stored(token) }]
  })
  return [...new Map(found.map((mention) => [`${mention.kind} ${mention.name}`, mention])).values()]
}

function kindOf(tokens: string[], i: number): Mention['kind'] | undefined {
  const before = tokens[i - 1] ?? ''
  if (before === ':' && tokens[i - 2] === ':') return 'type'
  if (tokens[i + 1] === '(') return 'function'
  const selected = before === 'join' || (before === 'from' && tokens[i - 2] !== 'distinct')
  return selected ? 'relation' : undefined
}

const isName = (token: string) => /^("|[a-z_\u0080-\uffff])/.test(token)

const stored = (token: string) => (token.startsWith('"') ? token.slice(1, -1).replaceAll('""', '"') : token)
