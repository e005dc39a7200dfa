import { quoteLiteral } from '../sql/quote.ts'
import { quotedNames } from './hints.ts'
import type { ServerError } from './server-error.ts'

/** Runs a query that yields one `text`, or null. */
export type Ask = (query: string) => Promise<string | undefined>

/**
 * What to do where something "exists already" that the failed statements made themselves: after the rollback it is not there.
 * Undefined where it is, or no name is in the message.
 */
export async function askTwice(ask: Ask, error: ServerError): Promise<string | undefined> {
  const [name, relation] = quotedNames(error)
  const where = catalogs[error.code]
  if (name === undefined || where === undefined) return undefined
  // Only a column that exists already is named with its table: the other is in a list, or in the definition of a table or view.
  if (error.code === '42701' && relation === undefined)
    return `the statement itself has the column ${name} twice: remove one of the two, or rename it`
  const found = await ask(`select 'yes' as text from (${where}) o
     where name = ${quoteLiteral(name)}${error.code === '42701' ? ` and relation = ${quoteLiteral(relation ?? '')}` : ''} limit 1`)
  return found === undefined
    ? `${name} was not there before: this file creates it twice, so remove one of the two, or rename it`
    : undefined
}

const relations = `select c.relname as name, c.oid from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname !~ '^pg_'`

/** Where a code looks for what exists already. Objects of any schema count: the message does not say which one it means. */
const catalogs: Record<string, string> = {
  '42701': `select a.attname as name, r.name as relation from pg_catalog.pg_attribute a join (${relations}) r on r.oid = a.attrelid
     where not a.attisdropped`,
  '42P07': relations,
  '42P06': 'select nspname as name from pg_catalog.pg_namespace',
  '42723': 'select proname as name from pg_catalog.pg_proc',
  '42710': [
    ...[
      'typname from pg_catalog.pg_type',
      'enumlabel from pg_catalog.pg_enum',
      'conname from pg_catalog.pg_constraint',
    ],
    ...[
      'tgname from pg_catalog.pg_trigger',
      'polname from pg_catalog.pg_policy',
      'rulename from pg_catalog.pg_rewrite',
    ],
    ...[
      'rolname from pg_catalog.pg_roles',
      'extname from pg_catalog.pg_extension',
      'collname from pg_catalog.pg_collation',
    ],
    ...['pubname from pg_catalog.pg_publication', 'stxname from pg_catalog.pg_statistic_ext'],
    ...['srvname from pg_catalog.pg_foreign_server', 'fdwname from pg_catalog.pg_foreign_data_wrapper'],
    ...['evtname from pg_catalog.pg_event_trigger', 'lanname from pg_catalog.pg_language'],
    ...[
      'opcname from pg_catalog.pg_opclass',
      'opfname from pg_catalog.pg_opfamily',
      'oprname from pg_catalog.pg_operator',
    ],
    ...['amname from pg_catalog.pg_am', 'relname from pg_catalog.pg_class', 'proname from pg_catalog.pg_proc'],
  ]
    .map((one) => `select ${one.replace(/^\w+/, (column) => `${column}::text as name`)}`)
    .join(' union all '),
}
