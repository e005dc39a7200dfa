// pure
import type { TargetColumn } from './types.ts'

const kinds = [
  ...['int2', 'int4', 'int8', 'float4', 'float8', 'numeric', 'bool', 'text', 'varchar', 'bpchar', 'bytea'],
  ...['date', 'time', 'timestamp', 'timestamptz', 'uuid', 'json', 'jsonb'],
] as const

/** PostgreSQL's internal name of a type whose values are converted and compared; `other`: text is sent as it is, and the server decides. */
export type Kind =
  | ('int2' | 'int4' | 'int8' | 'float4' | 'float8' | 'numeric' | 'bool' | 'text' | 'varchar' | 'bpchar' | 'bytea')
  | ('date' | 'time' | 'timestamp' | 'timestamptz' | 'uuid' | 'json' | 'jsonb')
  | ('enum' | 'other')

/** What numbers in a column of instants count. */
export type Unit = 's' | 'ms' | 'us'

/** A type that values become. */
export type PgType = {
  kind: Kind
  /** As SQL, to create a column. */
  sql: string
  /** numeric(p,s); undefined: any. */
  precision?: number | undefined
  scale?: number | undefined
  /** varchar(n), char(n). */
  length?: number | undefined
}

const names: Record<string, Kind> = {
  smallint: 'int2',
  int2: 'int2',
  int: 'int4',
  integer: 'int4',
  int4: 'int4',
  bigint: 'int8',
  int8: 'int8',
  real: 'float4',
  float4: 'float4',
  'double precision': 'float8',
  float8: 'float8',
  numeric: 'numeric',
  decimal: 'numeric',
  boolean: 'bool',
  bool: 'bool',
  text: 'text',
  varchar: 'varchar',
  'character varying': 'varchar',
  bytea: 'bytea',
  date: 'date',
  time: 'time',
  timestamp: 'timestamp',
  'timestamp without time zone': 'timestamp',
  timestamptz: 'timestamptz',
  'timestamp with time zone': 'timestamptz',
  uuid: 'uuid',
  json: 'json',
  jsonb: 'jsonb',
}

const spelling: Partial<Record<Kind, string>> = {
  int2: 'smallint',
  int4: 'integer',
  int8: 'bigint',
  float4: 'real',
  float8: 'double precision',
  bool: 'boolean',
}

/** A type as PostgreSQL spells it: `numeric(10,2)`; undefined if it is none that can be imported. */
export function parseType(text: string): PgType | undefined {
  const [, name = '', first, second] =
    /^\s*([a-z][a-z0-9 ]*?)\s*(?:\(\s*(\d{1,5})\s*(?:,\s*(\d{1,5})\s*)?\))?\s*$/i.exec(text) ?? []
  const plain = name.toLowerCase().replaceAll(/ +/g, ' ')
  const kind = Object.hasOwn(names, plain) ? names[plain] : undefined
  if (kind === undefined) return undefined
  const sql = spelling[kind] ?? kind
  if (first === undefined) return { kind, sql }
  const one = Number(first)
  if (kind === 'varchar' && second === undefined && one > 0) return { kind, sql: `varchar(${one})`, length: one }
  const scale = Number(second ?? 0)
  if (kind === 'numeric' && one > 0 && one <= 1000 && scale <= one)
    return { kind, sql: `numeric(${one},${scale})`, precision: one, scale }
  return undefined
}

/** The type of a column in PostgreSQL. */
export function typeOf({ base, enum: isEnum, typmod, type }: TargetColumn): PgType {
  const known = kinds.find((one) => one === base)
  const kind: Kind = isEnum ? 'enum' : (known ?? 'other')
  if (kind === 'numeric' && typmod >= 4) {
    const bits = typmod - 4
    // Eleven bits with a sign: numeric(3,-2).
    const scale = ((bits & 0x7ff) ^ 1024) - 1024
    return { kind, sql: type, precision: bits >> 16, scale }
  }
  return { kind, sql: type, ...((kind === 'varchar' || kind === 'bpchar') && typmod >= 4 && { length: typmod - 4 }) }
}

/**
 * The type that a column with this declaration gets: INTEGER is bigint, REAL double precision, BLOB bytea; otherwise by its name where
 * PostgreSQL has it, and else by its affinity (sqlite.org/datatype3.html, 3.1).
 */
export function declaredType(declared: string): PgType {
  const text = declared.trim().toLowerCase()
  const bigint: PgType = { kind: 'int8', sql: 'bigint' }
  const double: PgType = { kind: 'float8', sql: 'double precision' }
  if (text.includes('int')) return bigint
  if (text === '' || text === 'blob') return { kind: 'bytea', sql: 'bytea' }
  if (text === 'real') return double
  if (text === 'datetime') return { kind: 'timestamp', sql: 'timestamp' }
  const named = parseType(text)
  if (named) return named
  if (/char|clob|text/.test(text)) return { kind: 'text', sql: 'text' }
  if (text.includes('blob')) return { kind: 'bytea', sql: 'bytea' }
  if (/real|floa|doub/.test(text)) return double
  return { kind: 'numeric', sql: 'numeric' }
}

/** A line under `types`: `timestamptz`, `timestamptz/ms`. */
export function parseTypeLine(text: string): { type: PgType; unit: Unit | undefined } | undefined {
  const [, name = '', unit] = /^([^/]*?)\s*(?:\/\s*(s|ms|us)\s*)?$/.exec(text) ?? []
  const type = parseType(name)
  if (!type || (unit !== undefined && type.kind !== 'timestamp' && type.kind !== 'timestamptz')) return undefined
  return { type, unit: unit as Unit | undefined }
}
