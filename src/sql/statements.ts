// pure
import { tokensOf } from './lex.ts'
import type { Statement } from './scan.ts'

/**
 * Why PostgreSQL refuses a statement in a transaction block, such as `CREATE INDEX CONCURRENTLY`; undefined when it does
 * not. Decided by the statement alone, for the newest server: not known are REINDEX and CLUSTER of a partitioned table,
 * which are refused too, and DROP SUBSCRIPTION of one without a slot, which is not. PostgreSQL 13 also accepts REFRESH.
 *
 * @param text what the statement's offsets count in
 * @see https://github.com/postgres/postgres/blob/master/src/backend/tcop/utility.c (PreventInTransactionBlock)
 */
export function needsNoTransaction({ start, end, words }: Statement, text: string): string | undefined {
  const [first = '', second = ''] = words
  if (alwaysAlone.has(`${first} ${second}`)) return `${first} ${second}`.toUpperCase()
  if (first === 'vacuum') return 'VACUUM'
  const decide = byWords.get(first) ?? byWords.get(`${first} ${second}`)
  return decide?.(tokensOf(text, start, end))
}

/**
 * Whether the statement may hold a COMMIT in what it runs, which works only when it is sent alone, outside a transaction.
 * Of a procedure that is called nobody knows; a DO says it itself, in whatever language it is.
 */
export const mayCommitInside = ({ words: [first], start, end }: Statement, text: string) =>
  first === 'call' || (first === 'do' && /commit|rollback|call/i.test(text.slice(start, end)))

const alwaysAlone = new Set([
  ...['create database', 'drop database', 'create tablespace', 'drop tablespace', 'alter system', 'discard all'],
  ...['commit prepared', 'rollback prepared', 'drop subscription'],
])

type Decide = (tokens: string[]) => string | undefined

const concurrentIndex =
  (reason: string): Decide =>
  (tokens) =>
    tokens[tokens.indexOf('index') + 1] === 'concurrently' ? reason : undefined

/** For statements that begin so; gets all their tokens. */
const byWords = new Map<string, Decide>([
  ['create index', concurrentIndex('CREATE INDEX CONCURRENTLY')],
  ['create unique', concurrentIndex('CREATE INDEX CONCURRENTLY')],
  ['drop index', concurrentIndex('DROP INDEX CONCURRENTLY')],
  ['reindex', reindex],
  ['cluster', cluster],
  ['alter table', detach],
  ['alter database', moveDatabase],
  ['create subscription', createSubscription],
  ['alter subscription', alterSubscription],
])

function reindex(tokens: string[]): string | undefined {
  const { options, rest } = leadingOptions(tokens)
  const [kind = '', then] = rest
  if (then === 'concurrently' || isOn(options.get('concurrently'))) return 'REINDEX CONCURRENTLY'
  return ['schema', 'database', 'system'].includes(kind) ? `REINDEX ${kind.toUpperCase()}` : undefined
}

/** Without a table: all that were clustered before, each in its own transaction. */
function cluster(tokens: string[]): string | undefined {
  const { rest } = leadingOptions(tokens)
  return rest.every((token) => token === 'verbose') ? 'CLUSTER' : undefined
}

function detach(tokens: string[]): string | undefined {
  const detaches = tokens.some((token, i) => token === 'detach' && tokens[i + 1] === 'partition')
  return detaches && tokens.at(-1) === 'concurrently' ? 'ALTER TABLE … DETACH PARTITION … CONCURRENTLY' : undefined
}

function moveDatabase([, , , set, what]: string[]): string | undefined {
  return set === 'set' && what === 'tablespace' ? 'ALTER DATABASE … SET TABLESPACE' : undefined
}

/** Making a slot at the publisher cannot be undone. */
function createSubscription(tokens: string[]): string | undefined {
  const options = optionsAt(tokens, tokens.lastIndexOf('with') + 1)
  const connects = !isOff(options.get('connect'))
  return isOff(options.get('create_slot')) || !connects ? undefined : 'CREATE SUBSCRIPTION'
}

function alterSubscription(tokens: string[]): string | undefined {
  const [, , , action = '', what] = tokens
  if (action === 'refresh') return 'ALTER SUBSCRIPTION … REFRESH PUBLICATION'
  if (what === 'publication') {
    const refresh = optionsAt(tokens, tokens.lastIndexOf('with') + 1).get('refresh')
    return isOff(refresh) ? undefined : `ALTER SUBSCRIPTION … ${action.toUpperCase()} PUBLICATION`
  }
  // Both change the slot; two_phase only when it is taken away.
  const options = action === 'set' ? optionsAt(tokens, 4) : new Map<string, string>()
  return options.has('failover') || isOff(options.get('two_phase')) ? 'ALTER SUBSCRIPTION … SET' : undefined
}

/** `REINDEX (a, b) …`: the options behind the first word, and what follows. */
function leadingOptions(tokens: string[]) {
  const end = tokens[1] === '(' ? tokens.indexOf(')') : 0
  return { options: optionsAt(tokens, 1), rest: tokens.slice(end + 1) }
}

/** `(a, b = c, d e)` from its parenthesis at `at`; empty when there is none. An option without a value has an empty one. */
function optionsAt(tokens: string[], at: number): Map<string, string> {
  const options = new Map<string, string>()
  if (at === 0 || tokens[at] !== '(') return options
  const end = tokens.indexOf(')', at)
  let option: string[] = []
  for (const token of tokens.slice(at + 1, end < 0 ? undefined : end).concat(',')) {
    if (token !== ',') option.push(token)
    else {
      const [name = '', ...value] = option.filter((part) => part !== '=')
      options.set(unquoted(name), unquoted(value.join('')))
      option = []
    }
  }
  return options
}

const unquoted = (token: string) => token.replace(/^(["'])(.*)\1$/s, '$2')

const isOff = (value: string | undefined) => value !== undefined && ['false', 'off', '0'].includes(value.toLowerCase())
const isOn = (value: string | undefined) => value !== undefined && !isOff(value)
