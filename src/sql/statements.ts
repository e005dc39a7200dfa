// pure
import { tokensOf } from './lex.ts'
import type { Statement } from './scan.ts'

/**
 * The command that PostgreSQL refuses in a transaction block, such as `CREATE INDEX CONCURRENTLY`; undefined if it does not refuse the
 * statement. This is decided by the statement alone, for the newest server. It does not know that REINDEX, CLUSTER and REPACK of a partitioned
 * table are refused too, and that DROP SUBSCRIPTION without a slot is not. PostgreSQL 13 also accepts REFRESH.
 *
 * @param text that contains the statement
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
 * Whether the statement may run a COMMIT inside, which works only if it is sent alone, outside a transaction. For a CALL, that is
 * unknown; for a DO, the word is in its body, in whatever language.
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

/** By the first words of a statement; called with all its tokens. */
const byWords = new Map<string, Decide>([
  ['create index', concurrentIndex('CREATE INDEX CONCURRENTLY')],
  ['create unique', concurrentIndex('CREATE INDEX CONCURRENTLY')],
  ['drop index', concurrentIndex('DROP INDEX CONCURRENTLY')],
  ['reindex', reindex],
  ['cluster', cluster],
  ['repack', repack],
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

/** Without a table, it clusters all tables that were clustered before, each in its own transaction. */
function cluster(tokens: string[]): string | undefined {
  const { rest } = leadingOptions(tokens)
  return rest.every((token) => token === 'verbose') ? 'CLUSTER' : undefined
}

/** From 19 on. Without a table, it repacks all tables, each in its own transaction. */
function repack(tokens: string[]): string | undefined {
  const { options, rest } = leadingOptions(tokens)
  if (isOn(options.get('concurrently'))) return 'REPACK (CONCURRENTLY)'
  if (isOn(options.get('analyze')) || isOn(options.get('analyse'))) return 'REPACK (ANALYZE)'
  return rest.length === 0 || rest[0] === 'using' ? 'REPACK' : undefined
}

function detach(tokens: string[]): string | undefined {
  const detaches = tokens.some((token, i) => token === 'detach' && tokens[i + 1] === 'partition')
  return detaches && tokens.at(-1) === 'concurrently' ? 'ALTER TABLE … DETACH PARTITION … CONCURRENTLY' : undefined
}

function moveDatabase([, , , set, what]: string[]): string | undefined {
  return set === 'set' && what === 'tablespace' ? 'ALTER DATABASE … SET TABLESPACE' : undefined
}

/** Creating a slot at the publisher cannot be rolled back. */
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
  // Both change the slot; two_phase only when it is switched off.
  const options = action === 'set' ? optionsAt(tokens, 4) : new Map<string, string>()
  return options.has('failover') || isOff(options.get('two_phase')) ? 'ALTER SUBSCRIPTION … SET' : undefined
}

/** `REINDEX (a, b) …`: the options after the first word, and the rest. */
function leadingOptions(tokens: string[]) {
  const end = tokens[1] === '(' ? tokens.indexOf(')') : 0
  return { options: optionsAt(tokens, 1), rest: tokens.slice(end + 1) }
}

/** The options in `(a, b = c, d e)`, with the parenthesis at `at`; empty if there is none. An option without a value has an empty one. */
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
