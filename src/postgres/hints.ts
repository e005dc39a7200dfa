// pure
import { visibleSql } from '../text.ts'
import type { ServerError } from './server-error.ts'

/** What a hint can be derived from without asking the server. */
export type HintSource = Pick<ServerError, 'code' | 'message' | 'detail'>

/** The general advice for a SQLSTATE, with details from the message itself. Pure. */
export function hintByCode(error: HintSource): string | undefined {
  const extension = extensionFor(error)
  return extension === undefined ? byCode[error.code]?.(error) : extensionHint(extension)
}

/** The names between the quotation marks of a message, in order. Languages other than English use other marks. */
export const quotedNames = ({ message }: Pick<HintSource, 'message'>): string[] =>
  [...message.matchAll(/"([^"]*)"|«\s?([^»]*?)\s?»|»([^«]*)«|„([^“”]*)[“”]/g)].map(
    (match) => match.slice(1).find((name) => name !== undefined) ?? '',
  )

/** The extension that an unknown function, type or operator class comes with, by its well-known name. */
export function extensionFor({ code, message }: HintSource): string | undefined {
  if (code === '42883') {
    const name = /(?:^|[\s".])(\w+)\(/.exec(message)?.[1]
    return name === undefined ? undefined : extensionOfFunction.find(([pattern]) => pattern.test(name))?.[1]
  }
  if (code === '42704') {
    const [name = ''] = quotedNames({ message })
    return extensionOfType[name.replace(/\(.*|\[\]$/g, '').replace(/^.*\./, '')]
  }
  return undefined
}

const extensionHint = (name: string) =>
  `it comes with the extension ${name}: declare it under \`databases.NAME.extensions\`, or create it in an earlier migration`

const extensionOfFunction: [RegExp, string][] = [
  [/^uuid_(generate|nil|ns)/, 'uuid-ossp'],
  [/^(crypt|gen_salt|digest|hmac|gen_random_bytes|pgp_\w+|armor|dearmor)$/, 'pgcrypto'],
  [/^(similarity|word_similarity|strict_word_similarity|show_trgm)$/, 'pg_trgm'],
  [/^unaccent$/, 'unaccent'],
  [/^(levenshtein|soundex|metaphone|dmetaphone|difference)$/, 'fuzzystrmatch'],
  [/^(hstore|akeys|avals|skeys|svals)$/, 'hstore'],
  [/^(crosstab|connectby|tablefunc|normal_rand)$/, 'tablefunc'],
  [/^dblink/, 'dblink'],
  [/^st_\w+$/i, 'postgis'],
]

const extensionOfType: Record<string, string> = {
  citext: 'citext',
  hstore: 'hstore',
  ltree: 'ltree',
  cube: 'cube',
  isbn: 'isn',
  vector: 'vector',
  halfvec: 'vector',
  geometry: 'postgis',
  geography: 'postgis',
  gin_trgm_ops: 'pg_trgm',
  gist_trgm_ops: 'pg_trgm',
  hstore_ops: 'hstore',
}

const exists = (what: string, instead: string) => () =>
  `the database already has this ${what}, from an earlier file or made by hand: ${instead}`

const text = (hint: string) => () => hint

const byCode: Record<string, (error: HintSource) => string | undefined> = {
  // what does not exist
  '42P01': text('create the table in an earlier file, or write its schema; a name in double quotes keeps its capitals'),
  '42703': text('add the column in an earlier file, or correct the name; a name in double quotes keeps its capitals'),
  '42704': text('create it in an earlier file, or correct the name'),
  '42883': text(
    'no function or operator of this name takes these types: add a cast, or create the function or its extension first',
  ),
  '3F000': text('declare the schema under `databases.NAME.schemas`, or create it in an earlier migration'),
  '3D000': text('declare the database under `databases`, or correct the name in the URL'),

  // what exists already
  '42P07': exists('table or index', 'drop it if it is not needed, or write `if not exists` if it is known to be right'),
  '42701': exists('column', 'write `add column if not exists` if it is known to be right'),
  '42710': exists('object', 'drop it if it is not needed, or guard the statement'),
  '42P06': exists('schema', 'write `create schema if not exists`'),
  '42723': exists('function', 'write `create or replace function`'),

  // types and definitions
  '42804': ({ detail, message }) => {
    const [, referencing, referenced, oneType, otherType] = typesInDetail(detail) ?? []
    if (oneType !== undefined)
      return `the types must match: column ${referencing} is ${oneType}, column ${referenced} is ${otherType}; declare ${referencing} as ${visibleSql(otherType ?? '')}`
    const [, column, type, given] =
      /column "(.*?)" is of type (.*?) but expression is of type (.*)$/.exec(message) ?? []
    return column === undefined
      ? 'the types must match: add a cast or change the column'
      : `column ${column} is ${type}, the value is ${given}: add a cast like \`::${visibleSql(type ?? '')}\``
  },
  '42830': text('a foreign key needs a primary key or a unique constraint on exactly the columns it points to'),
  '42P10': text('`on conflict` needs a unique index on exactly these columns'),
  '42601': text(
    'look at the caret, and at the statement before it: a missing comma, parenthesis or semicolon shows up at the next word',
  ),
  '428C9': text('leave the generated column out, or write `overriding system value` for an identity'),
  '2BP01': text('DETAIL lists what depends on it: drop that first, or write `cascade` if all of it may go'),
  '55P04': text(
    'a new value of an enum can only be used after it was committed: move the statements that use it to the next file',
  ),
  '0A000': ({ message }) => {
    const [, extension] = /extension "(.*?)" is not available/.exec(message) ?? []
    return extension && `install the package with ${extension} on the server, or use an image that contains it`
  },
  '58P01': ({ message }) => {
    const [, extension] = /extension control file ".*\/(.*?)\.control"/.exec(message) ?? []
    return extension && `install the package with ${extension} on the server, or use an image that contains it`
  },

  // transactions
  '25001': text('put the statement alone in a migration that begins with the line `-- pgbosun: no-transaction`'),
  '2D000': text('each file already runs in one transaction: remove commit and rollback from the block'),
  '25006': text(
    'the server or the session is read-only: connect to the primary, and check default_transaction_read_only',
  ),

  // privileges
  '42501': ({ message }) => {
    const [name = 'it'] = quotedNames({ message })
    if (/create extension/.test(message))
      return `declare ${name} under \`databases.NAME.extensions\`; it is then created with the rights of the session user`
    return 'run it as the owner (`migrate.role`), or grant the missing privilege to the role that runs the file'
  },

  // data
  '23505': text(
    'a row with this key exists already: `on conflict do nothing` in a seed, or remove the duplicates before adding the constraint',
  ),
  '23503': text('DETAIL names the missing row: insert it first, or correct the reference'),
  '23502': text('give the column a value or a default; an existing table needs the default before `not null`'),
  '23514': text('correct the row, or the check constraint; existing rows can be checked later with `not valid`'),
  '23P01': text('two rows overlap: correct the row, or the exclusion constraint'),
  '22P02': text('the value does not have the format of its type'),
  '22P04': text(
    'every line needs as many values as the first one; put values with commas or line breaks in double quotes',
  ),
  '22001': text('the value is longer than the column allows: use `text`, or a longer varchar'),
  '22003': text('the number does not fit: use a larger type such as bigint or numeric'),
  '22021': text('the file must be UTF-8'),
  '21000': text('the statement would change a row twice: remove the duplicates first'),

  // resources and waiting
  '53100': text('the disk of the server is full: free space on its data volume, then run this again'),
  '53200': text('the server is out of memory: lower work_mem or give it more'),
  '53300': text('all connections are taken: raise max_connections or lower the pools of the applications'),
  '57014': text('it was cancelled, or took longer than statement_timeout (in migrations `migrate.statementTimeout`)'),
  '55P03': text('another session has locked the table: look at pg_stat_activity, or raise `migrate.lockTimeout`'),
  '40P01': text('two sessions waited for each other: run this again, at a quieter moment'),
  '40001': text('another session changed the same rows: run this again'),
}

/** Referencing column, referenced column and their types, from 42804's DETAIL: until 17, and from 18 on. */
const typesInDetail = (detail = '') =>
  /"([^"]*)"[^"]*? and "([^"]*)"[^"]*? are of incompatible types: (.*) and (.*?)\.?$/.exec(detail)
