// pure
import { usage } from '../errors.ts'

/** What pgbosun does with a parameter of a database URL, or with a variable of libpq. */
export type Verdict = 'honoured' | 'refused' | 'ignored'

type Row = { verdict: Verdict; note: string }

const row = (verdict: Verdict, note: string): Row => ({ verdict, note })

/**
 * Every parameter of libpq 19, and those that the supported migration tools accept in a URL. A parameter that changes which server,
 * database, schema or history is reached, or how the connection is protected, is honoured or refused. One that only tunes the client
 * is ignored with a warning. docs/connection.md shows this table; test/connection-docs.test.ts compares the two.
 */
export const urlParameters: Readonly<Record<string, Row>> = {
  host: row('honoured', 'a name, an address, or the folder of a socket; the port before the `/` still applies'),
  hostaddr: row(
    'honoured',
    'with `verify-full`, which checks `host`, otherwise refused; without `host`, it is the host',
  ),
  port: row('honoured', ''),
  dbname: row('honoured', ''),
  user: row('honoured', ''),
  password: row('honoured', ''),
  socket: row('honoured', 'dbmate: the folder of a socket'),
  sslmode: row('honoured', ''),
  ssl: row('honoured', '`true`, `false` or a value of `sslmode`'),
  sslrootcert: row('honoured', 'a path, or `system` for the authorities that the system trusts, with `verify-full`'),
  sslcert: row('honoured', ''),
  sslkey: row('honoured', ''),
  'ssl-mode': row('honoured', 'sqlx, as `sslmode`'),
  'ssl-root-cert': row('honoured', 'sqlx, as `sslrootcert`'),
  'ssl-ca': row('honoured', 'sqlx, as `sslrootcert`'),
  'ssl-cert': row('honoured', 'sqlx, as `sslcert`'),
  'ssl-key': row('honoured', 'sqlx, as `sslkey`'),
  requiressl: row('honoured', '`1` is `sslmode=require`'),
  channel_binding: row('honoured', '`require` makes TLS mandatory'),
  target_session_attrs: row(
    'honoured',
    '`primary`, `read-write` or `any`; for the default, see [several hosts](#several-hosts)',
  ),
  service: row('honoured', 'with the file that defines it: `servicefile`, or `PGSERVICEFILE`'),
  servicefile: row('honoured', ''),
  passfile: row('honoured', 'if nothing else gives the password'),
  search_path: row('honoured', 'for the files that are run, and for finding another tool’s history'),
  options: row('honoured', '`-c name=value`, for the files that are run'),
  'options[search_path]': row('honoured', 'sqlx'),
  'options[…]': row('honoured', 'sqlx: another setting, as in `options`'),
  timezone: row('honoured', 'for the files that are run'),
  TimeZone: row('honoured', 'as `timezone`'),
  currentSchema: row('honoured', 'Flyway, as `search_path`'),
  'x-migrations-table': row('honoured', 'golang-migrate, if `migrate.table` is not set'),
  'x-migrations-table-quoted': row('honoured', 'golang-migrate'),
  require_auth: row('refused', 'leave it out: pg_hba.conf on the server decides'),
  requirepeer: row('refused', 'leave it out'),
  sslcrl: row('refused', 'revocation lists are not read'),
  sslcrldir: row('refused', 'revocation lists are not read'),
  sslpassword: row('refused', 'use a key without a passphrase'),
  ssl_min_protocol_version: row('refused', 'set it on the server'),
  ssl_max_protocol_version: row('refused', 'set it on the server'),
  sslnegotiation: row('refused', 'leave it out; `postgres` is the default'),
  sslcertmode: row('refused', 'leave it out; `allow` is the default'),
  sslsni: row('refused', 'leave it out; `1` is the default'),
  gssencmode: row('refused', 'use TLS (`sslmode`); `disable` and `prefer` are ignored'),
  gssdelegation: row('ignored', ''),
  gsslib: row('ignored', ''),
  krbsrvname: row('ignored', ''),
  replication: row('refused', 'leave it out'),
  role: row('refused', 'set `migrate.role`'),
  session_authorization: row('refused', 'connect as that role'),
  session_replication_role: row('refused', 'leave it out: it disables triggers and foreign keys'),
  row_security: row('refused', 'leave it out'),
  default_transaction_read_only: row('refused', 'leave it out'),
  zero_damaged_pages: row('refused', 'leave it out'),
  load_balance_hosts: row('refused', 'the hosts are tried in order; `disable` is the default'),
  min_protocol_version: row('ignored', ''),
  max_protocol_version: row('ignored', ''),
  oauth_issuer: row('refused', 'OAuth is not supported'),
  oauth_client_id: row('refused', 'OAuth is not supported'),
  oauth_client_secret: row('refused', 'OAuth is not supported'),
  oauth_scope: row('refused', 'OAuth is not supported'),
  oauth_ca_file: row('refused', 'OAuth is not supported'),
  scram_client_key: row('refused', 'give the password'),
  scram_server_key: row('refused', 'give the password'),
  sslkeylogfile: row('ignored', ''),
  sslcompression: row('ignored', ''),
  application_name: row('ignored', 'without a warning: pgbosun sets its own'),
  fallback_application_name: row('ignored', ''),
  connect_timeout: row('ignored', 'without a warning: `wait.timeout` decides'),
  client_encoding: row('ignored', 'it is always UTF-8'),
  keepalives: row('ignored', ''),
  keepalives_idle: row('ignored', ''),
  keepalives_interval: row('ignored', ''),
  keepalives_count: row('ignored', ''),
  tcp_user_timeout: row('ignored', ''),
  'x-multi-statement': row('refused', 'leave it out: files are run as they are'),
  'x-multi-statement-max-size': row('ignored', ''),
  'x-statement-timeout': row('refused', 'set `migrate.statementTimeout`'),
  'x-lock-strategy': row('ignored', ''),
  'x-lock-table': row('ignored', ''),
  'statement-cache-capacity': row('ignored', ''),
}

/** Ignored without a warning, because many tools write them. */
export const harmless: ReadonlySet<string> = new Set(['application_name', 'connect_timeout'])

/** Variables of libpq 19 and the parameter of each. Undefined: it only concerns the client, and is ignored. */
export const libpqVariables: Readonly<Record<string, string | undefined>> = {
  PGHOST: 'host',
  PGHOSTADDR: 'hostaddr',
  PGPORT: 'port',
  PGDATABASE: 'dbname',
  PGUSER: 'user',
  PGPASSWORD: 'password',
  PGPASSFILE: 'passfile',
  PGREQUIREAUTH: 'require_auth',
  PGCHANNELBINDING: 'channel_binding',
  PGSERVICE: 'service',
  PGSERVICEFILE: 'servicefile',
  PGOPTIONS: 'options',
  PGAPPNAME: 'application_name',
  PGSSLMODE: 'sslmode',
  PGREQUIRESSL: 'requiressl',
  PGSSLCOMPRESSION: 'sslcompression',
  PGSSLCERT: 'sslcert',
  PGSSLKEY: 'sslkey',
  PGSSLCERTMODE: 'sslcertmode',
  PGSSLROOTCERT: 'sslrootcert',
  PGSSLCRL: 'sslcrl',
  PGSSLCRLDIR: 'sslcrldir',
  PGSSLSNI: 'sslsni',
  PGSSLNEGOTIATION: 'sslnegotiation',
  PGSSLMINPROTOCOLVERSION: 'ssl_min_protocol_version',
  PGSSLMAXPROTOCOLVERSION: 'ssl_max_protocol_version',
  PGREQUIREPEER: 'requirepeer',
  PGGSSENCMODE: 'gssencmode',
  PGGSSDELEGATION: 'gssdelegation',
  PGKRBSRVNAME: 'krbsrvname',
  PGGSSLIB: 'gsslib',
  PGCONNECT_TIMEOUT: 'connect_timeout',
  PGCLIENTENCODING: 'client_encoding',
  PGTARGETSESSIONATTRS: 'target_session_attrs',
  PGLOADBALANCEHOSTS: 'load_balance_hosts',
  PGMINPROTOCOLVERSION: 'min_protocol_version',
  PGMAXPROTOCOLVERSION: 'max_protocol_version',
  PGOAUTHCAFILE: 'oauth_ca_file',
  PGDATESTYLE: undefined,
  PGTZ: undefined,
  PGGEQO: undefined,
}

/** What a source calls a parameter, for messages: `sslmode in DATABASE_URL`, but `PGSSLMODE` among the variables of libpq. */
export function calledIn(source: string, parameter: string): string {
  const variable = Object.keys(libpqVariables).find((name) => libpqVariables[name] === parameter)
  return source === 'PGHOST' && variable !== undefined ? variable : `${parameter} in ${source}`
}

/** Values of refused parameters that ask for what pgbosun does anyway. */
const harmlessValues: Readonly<Record<string, string[]>> = {
  gssencmode: ['disable', 'prefer'],
  sslnegotiation: ['postgres'],
  sslcertmode: ['allow'],
  sslsni: ['1'],
  load_balance_hosts: ['disable'],
}

/** Other names of parameters. */
const aliases: Readonly<Record<string, string>> = {
  'ssl-mode': 'sslmode',
  'ssl-root-cert': 'sslrootcert',
  'ssl-ca': 'sslrootcert',
  'ssl-cert': 'sslcert',
  'ssl-key': 'sslkey',
  socket: 'host',
  TimeZone: 'timezone',
  currentSchema: 'search_path',
  'options[search_path]': 'search_path',
}

/** Parameters under one name each: `sslmode` for sqlx's `ssl-mode`, and for `requiressl=1` and `ssl`. The first of two wins. */
export function normalised(parameters: Iterable<[string, string]>): Record<string, string> {
  const found: Record<string, string> = {}
  for (const [name, value] of parameters) {
    if (name === 'requiressl') {
      if (value === '1') found.sslmode ??= 'require'
    } else found[aliases[name] ?? name] ??= value
  }
  const { ssl, ...others } = found
  return ssl === undefined ? others : { sslmode: ssl, ...others }
}

/** Whether a parameter is ignored with a warning. */
export const isIgnoredParameter = (name: string) => urlParameters[name]?.verdict === 'ignored' && !harmless.has(name)

/** The same for a variable of libpq. */
export function isIgnoredVariable(variable: string): boolean {
  const name = libpqVariables[variable]
  return name === undefined || isIgnoredParameter(name)
}

/**
 * Refuses a parameter that would change what is reached, but that pgbosun does not support.
 * @param name of the parameter; `said` is what the source calls it
 * @throws {AppError} `usage`
 */
export function refuseParameter(name: string, value: string, said: string, source: string): void {
  const { verdict, note } = urlParameters[name] ?? {}
  if (verdict === 'refused' && !harmlessValues[name]?.includes(value))
    throw usage(`${said} in ${source} is not supported and cannot be ignored`, { hint: note })
}

/** Server settings that are refused, because they would do harm or have no effect, and what to do instead. */
const refusedSettings: Readonly<Record<string, string>> = {
  event_triggers: 'leave it out',
  lock_timeout: 'set `migrate.lockTimeout`',
  client_encoding: 'it is always UTF-8',
  standard_conforming_strings: 'set it in the files that need it',
  backslash_quote: 'set it in the files that need it',
}

function refusalOf(setting: string): string | undefined {
  if (setting.endsWith('_preload_libraries')) return 'set it for the role that connects (`alter role … set …`)'
  if (/^(default_)?transaction_(isolation|deferrable|read_only)$/.test(setting))
    return 'set it in the files that need it'
  const { verdict, note } = urlParameters[setting] ?? {}
  return refusedSettings[setting] ?? (verdict === 'refused' ? note : undefined)
}

/** Ignored without a warning, as in the URL. */
const isHarmless = (setting: string, value: string) =>
  harmless.has(setting) || (setting === 'client_encoding' && /^utf-?8$/i.test(value))

/**
 * The settings in libpq's `options`: `-c name=value`, `-cname=value`, `--name=value`, with `\` before a space that belongs to a value.
 * They are split as the server does it, and have the server's names. The last of two wins.
 *
 * @throws {AppError} `usage` for anything that is not a setting, and for settings that are refused
 */
export function settingsIn(options: string, source: string): Record<string, string> {
  const words = [...options.matchAll(/(?:\\.|[^ \t\n\v\f\r\\]|\\$)+/gs)].map(([word]) => word.replace(/\\(.?)/gs, '$1'))
  const entries: [string, string][] = []
  for (let i = 0; i < words.length; i++) {
    const word = words[i] === '-c' ? `-c${words[++i] ?? ''}` : (words[i] ?? '')
    const [, name, value] = /^(?:-c|--)([^=]*)=(.*)$/s.exec(word) ?? []
    if (name === undefined || value === undefined)
      throw usage(`${calledIn(source, 'options')} contains something that is not a setting`, {
        hint: 'write -c name=value; in a URL, write the space as %20 and the = as %3D',
      })
    entries.push([name, value])
  }
  return acceptedSettings(entries, source)
}

/** Where a source has settings of the server: in variables of libpq, only PGOPTIONS has any. */
export const placeOfSettings = (source: string) => (source === 'PGHOST' ? 'PGOPTIONS' : source)

/**
 * Settings under the server's names.
 * @throws {AppError} `usage` for something that cannot be a name, and for a setting that is refused
 */
export function acceptedSettings(entries: [string, string][], source: string): Record<string, string> {
  const named = entries.map(([name, value]) => [name.replaceAll('-', '_').toLowerCase(), value] as const)
  for (const [name, value] of named) {
    if (!/^[a-z_][\w$]*(\.[a-z_][\w$]*)*$/.test(name))
      throw usage(`${calledIn(source, 'options')} contains an invalid name of a setting`)
    const hint = refusalOf(name)
    if (hint !== undefined && !isHarmless(name, value))
      throw usage(`the setting ${name} in ${placeOfSettings(source)} is not supported and cannot be ignored`, { hint })
  }
  return Object.fromEntries(named.filter(([name, value]) => !isHarmless(name, value)))
}

/**
 * The table in golang-migrate's `x-migrations-table`, in the form of `migrate.table`.
 * @param quoted whether it is written `"schema"."table"`
 * @throws {AppError} `usage`
 */
export function historyTable(table: string, quoted: boolean, source: string): string {
  const [, schema, name = ''] = (quoted ? /^(?:"([^".]+)"\.)?"([^".]+)"$/ : /^()([^".]+)$/).exec(table) ?? []
  if (name !== '') return schema ? `${schema}.${name}` : name
  throw usage(`x-migrations-table in ${source} cannot be read`, {
    hint: 'set `migrate.table` to name or schema.name instead',
  })
}
