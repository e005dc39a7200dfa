// pure
/**
 * The name of a type in one spelling, so that `int8` equals `bigint` and `varchar(20)` equals `character varying(20)`.
 * Knows every name that PostgreSQL's grammar translates; all others, including quoted ones, are kept.
 * @see https://www.postgresql.org/docs/current/datatype.html#DATATYPE-TABLE
 */
export function typeMeaning(text: string): string {
  const plain = text.includes('"') ? text.trim() : text.trim().toLowerCase().replace(/\s+/g, ' ')
  const [, base = '', arguments_ = '', zone = '', array = ''] =
    /^(.*?) ?(\([^)]*\))?( with time zone| without time zone)?( array|(?: ?\[\d*\])+)?$/.exec(plain) ?? []
  const name = base.replace(/^(pg_catalog|public)\./, '')
  const [known, knownZone = ''] = aliases[name] ?? [name]
  const modifier = withDefault(known, arguments_.replaceAll(' ', ''))
  const suffix = zone || knownZone || (known === 'timestamp' || known === 'time' ? ' without time zone' : '')
  return `${known}${modifier}${suffix}${array === '' ? '' : '[]'}`
}

function withDefault(name: string, modifier: string): string {
  if (modifier === '' && (name === 'character' || name === 'bit')) return '(1)'
  return name === 'numeric' ? modifier.replace(/^\((\d+)\)$/, '($1,0)') : modifier
}

const withZone = ' with time zone'

const aliases: Record<string, [name: string, zone?: string]> = {
  int: ['integer'],
  int4: ['integer'],
  serial: ['integer'],
  serial4: ['integer'],
  int8: ['bigint'],
  bigserial: ['bigint'],
  serial8: ['bigint'],
  int2: ['smallint'],
  smallserial: ['smallint'],
  serial2: ['smallint'],
  decimal: ['numeric'],
  dec: ['numeric'],
  float: ['double precision'],
  float8: ['double precision'],
  float4: ['real'],
  bool: ['boolean'],
  varchar: ['character varying'],
  'char varying': ['character varying'],
  char: ['character'],
  varbit: ['bit varying'],
  timestamptz: ['timestamp', withZone],
  timetz: ['time', withZone],
}
