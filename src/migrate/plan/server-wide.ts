// pure
import type { Migration, Script } from '../../formats/types.ts'
import { tokensOf } from '../../sql/lex.ts'
import { blanked, scan } from '../../sql/scan.ts'
import { unsendableError } from './sending.ts'

/** A statement that changes more than the database it runs in. */
export type ServerWide = {
  /** Offsets in the text. */
  start: number
  end: number
  /** In words: `CREATE ROLE`. */
  what: string
  /** It does nothing else: without it the database is the same. False for a DO block, a COPY, a function call or a subscription. */
  isAll: boolean
}

/**
 * The statements of a script that change more than its database: roles, databases, tablespaces, subscriptions,
 * replication slots, settings and files of the server. They would change the server even if they ran in a scratch database.
 *
 * Includes statements in DO blocks, and in their strings if the block executes strings. Two kinds are allowed in a DO block: CREATE ROLE
 * if the block checks whether the role exists, and statements about a database if it asks for the current one.
 * Does not inspect functions that a script calls.
 */
export function findServerWide(text: string): ServerWide[] {
  const found: ServerWide[] = []
  for (const { start, end, words } of scan(text).statements) {
    // Avoids splitting a long INSERT into tokens.
    if (onlyRows.has(words[0] ?? '') && !namesServerFunction.test(text.slice(start, end))) continue
    const tokens = tokensOf(text, start, end)
    const isBlock = tokens[0] === 'do'
    const what = isBlock ? insideBlock(tokens) : reach(tokens)
    if (what !== undefined) found.push({ start, end, what, isAll: !isBlock && onlyServer.test(what) })
  }
  return found
}

const onlyRows = new Set(['insert', 'select', 'update', 'delete', 'values'])

const onlyServer =
  /^(CREATE|ALTER|DROP) (ROLE|GROUP|USER|DATABASE|TABLESPACE|SYSTEM)$|^(GRANT|REVOKE) |^(COMMENT|SECURITY) … ON (?!SUBSCRIPTION)/

/**
 * A migration without the statements that only change the server: they already ran when the database was created.
 *
 * @param leaveOut called for each of them: `CREATE ROLE in 001_init`
 * @throws {AppError} `usage` for a statement that also does something else; for a down script, once it is read
 */
export function withinDatabase(file: Migration, leaveOut: (what: string) => void): Migration {
  const { name, down } = file
  const without = (script: Script): Script => {
    const more = findServerWide(script.text).find(({ isAll }) => !isAll)
    if (more) throw changesServer(name, script, more)
    return { ...script, ...withoutServerWide(script, (what) => leaveOut(`${what} in ${name}`)) }
  }
  return { ...file, ...without(file), ...(down && { down: () => without(down()) }) }
}

/**
 * A script without the statements that only change the server; those that also do something else stay.
 * @param leaveOut called for each of them: `CREATE ROLE`
 */
export function withoutServerWide<S extends Script>(script: S, leaveOut: (what: string) => void): S {
  const outside = findServerWide(script.text).filter(({ isAll }) => isAll)
  if (outside.length === 0) return script
  for (const { what } of outside) leaveOut(what)
  const text = outside.reduce(blanked, script.text)
  return { ...script, text, transactional: script.transactional || scan(text).statements.length === 0 }
}

const changesServer = (name: string, script: Script, { start: at, what }: ServerWide) =>
  unsendableError(name, script, {
    kind: 'usage',
    at,
    message: `would change the server a second time (${what})`,
    hint:
      'a scratch database does not contain that, so these migrations cannot be compared in this way. In new migrations, leave it to `roles` and ' +
      '`databases` in the configuration; a DO block that creates a role only if it is not in pg_roles is fine',
  })

type Tokens = string[]

const ofServer = ['role', 'group', 'user', 'database', 'tablespace', 'subscription']

/** What a statement changes outside its database, in words. */
function reach(tokens: Tokens): string | undefined {
  const [first = '', second = '', third = ''] = tokens
  if (['create', 'alter', 'drop'].includes(first)) {
    const named = ofServer.includes(second) && !(second === 'user' && third === 'mapping')
    if (named || (first === 'alter' && second === 'system')) return `${first} ${second}`.toUpperCase()
  }
  if (second === 'owned' && (first === 'reassign' || first === 'drop')) return `${first} OWNED`.toUpperCase()
  if (first === 'grant' || first === 'revoke') return reachOfGrant(tokens)
  if ((first === 'comment' && second === 'on') || (first === 'security' && second === 'label')) {
    const object = tokens[tokens.indexOf('on') + 1] ?? ''
    return ofServer.includes(object) ? `${first} … ON ${object}`.toUpperCase() : undefined
  }
  if (first === 'copy') return reachOfCopy(tokens)
  const called = tokens.find((token, i) => serverFunctions.has(token) && tokens[i + 1] === '(')
  return called && `${called}()`
}

/** A GRANT without ON grants a membership. */
function reachOfGrant(tokens: Tokens): string | undefined {
  const [first = ''] = tokens
  const on = tokens.indexOf('on')
  if (on === -1) return `${first.toUpperCase()} of a role`
  const object = tokens[on + 1] ?? ''
  return ['database', 'tablespace', 'parameter'].includes(object) ? `${first} … ON ${object}`.toUpperCase() : undefined
}

function reachOfCopy(tokens: Tokens): string | undefined {
  if (tokens.includes('program')) return 'COPY … PROGRAM'
  const to = tokens.lastIndexOf('to')
  return to !== -1 && isString(tokens[to + 1]) ? 'COPY TO a file' : undefined
}

const serverFunctions = new Set([
  'pg_create_logical_replication_slot',
  'pg_create_physical_replication_slot',
  'pg_copy_logical_replication_slot',
  'pg_drop_replication_slot',
  'pg_replication_origin_create',
  'pg_replication_origin_drop',
  'pg_reload_conf',
  'pg_rotate_logfile',
  'pg_promote',
  'pg_switch_wal',
  'pg_terminate_backend',
  'pg_cancel_backend',
])

const namesServerFunction = new RegExp([...serverFunctions].join('|'), 'i')

/** The strings of a DO statement are its body and possibly the name of its language. */
function insideBlock(tokens: Tokens): string | undefined {
  const bodies = tokens.filter(isString).map(contentOf)
  const all = bodies.join('\n')
  const guards = {
    roles: /\b(pg_roles|pg_authid|pg_user|pg_group|duplicate_object|others)\b/i.test(all),
    database: /\bcurrent_database\b/i.test(all),
    executes: /\bexecute\b/i.test(all),
  }
  return bodies.map((body) => insideBody(body, guards)).find((what) => what !== undefined)
}

type Guards = { roles: boolean; database: boolean; executes: boolean }

function insideBody(body: string, guards: Guards): string | undefined {
  const tokens = tokensOf(body, 0, body.length)
  for (const [i, token] of tokens.entries()) {
    const end = tokens.indexOf(';', i)
    const what = isString(token)
      ? guards.executes && insideBody(contentOf(token), guards)
      : reach(tokens.slice(i, end === -1 ? undefined : end))
    if (what && !isGuarded(what, guards)) return what
  }
  return undefined
}

const isGuarded = (what: string, { roles, database }: Guards) =>
  (roles && /^CREATE (ROLE|USER|GROUP)$/.test(what)) ||
  (database && what.endsWith(' DATABASE') && !/^(CREATE|DROP)/.test(what))

const isString = (token: string | undefined): token is string =>
  token !== undefined && /^(e?'|\$[^$]*\$)/i.test(token) && token.length > 1

const contentOf = (token: string) =>
  token.startsWith('$')
    ? token.replace(/^\$[^$]*\$/, '').replace(/\$[^$]*\$$/, '')
    : token.replace(/^e?'/i, '').replace(/'$/, '').replaceAll("''", "'")
