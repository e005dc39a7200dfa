// pure
import { usage } from '../errors.ts'

/** What becomes of a parameter of a database URL, or of a variable of libpq. */
export type Verdict = 'honoured' | 'refused' | 'ignored'

type Row = { verdict: Verdict; note: string }

const row = (verdict: Verdict, note: string): Row => ({ verdict, note })

/**
 * Every parameter of libpq 18, and those that the tools whose formats we know take in a URL. One that changes which server, database,
 * schema or history is reached, or how the connection is protected, is honoured or refused; what only tunes the client is ignored with
 * a warning. docs/connection.md shows this table; test/connection-docs.test.ts holds it.
 */
export const urlParameters: Readonly<Record<string, Row>> = {
  host: row('honoured', 'a name, an address, or the folder of a socket; the port of the authority stays'),
  hostaddr: row('honoured', 'with `verify-full` against `host`, else refused; alone it is the host'),
  port: row('honoured', ''),
  dbname: row('honoured', ''),
  user: row('honoured', ''),
  password: row('honoured', ''),
  socket: row('honoured', 'dbmate: the folder of a socket'),
  sslmode: row('honoured', ''),
  ssl: row('honoured', '`true`, `false` or a value of `sslmode`'),
  sslrootcert: row('honoured', 'a path, or `system`: the authorities of the system, with `verify-full`'),
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
    '`primary`, `read-write` or `any`; without it see [several hosts](#several-hosts)',
  ),
  service: row('honoured', 'with the file that defines it: `servicefile`, or `PGSERVICEFILE`'),
  servicefile: row('honoured', ''),
  passfile: row('honoured', 'where nothing else gives the password'),
  search_path: row('honoured', 'for files that are run, and where a foreign history is looked for'),
  options: row('honoured', '`-c name=value`: for files that are run'),
  'options[search_path]': row('honoured', 'sqlx'),
  'options[…]': row('honoured', 'sqlx: another setting, as in `options`'),
  timezone: row('honoured', 'for files that are run'),
  TimeZone: row('honoured', 'as `timezone`'),
  currentSchema: row('honoured', 'Flyway, as `search_path`'),
  'x-migrations-table': row('honoured', 'golang-migrate, where `migrate.table` is not set'),
  'x-migrations-table-quoted': row('honoured', 'golang-migrate'),
  require_auth: row('refused', 'leave it out: the server decides in pg_hba.conf'),
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
  session_replication_role: row('refused', 'leave it out: it switches triggers and foreign keys off'),
  row_security: row('refused', 'leave it out'),
  default_transaction_read_only: row('refused', 'leave it out'),
  zero_damaged_pages: row('refused', 'leave it out'),
  load_balance_hosts: row('refused', 'the hosts are tried in their order; `disable` is the default'),
  min_protocol_version: row('ignored', ''),
  max_protocol_version: row('ignored', ''),
  oauth_issuer: row('refused', 'OAuth is not supported'),
  oauth_client_id: row('refused', 'OAuth is not supported'),
  oauth_client_secret: row('refused', 'OAuth is not supported'),
  oauth_scope: row('refused', 'OAuth is not supported'),
  scram_client_key: row('refused', 'give the password'),
  scram_server_key: row('refused', 'give the password'),
  sslkeylogfile: row('ignored', ''),
  sslcompression: row('ignored', ''),
  application_name: row('ignored', 'without a warning: ours says whose session it is'),
  fallback_application_name: row('ignored', ''),
  connect_timeout: row('ignored', 'without a warning: `wait.timeout` decides'),
  client_encoding: row('ignored', 'it is always UTF-8'),
  keepalives: row('ignored', ''),
  keepalives_idle: row('ignored', ''),
  keepalives_interval: row('ignored', ''),
  keepalives_count: row('ignored', ''),
  tcp_user_timeout: row('ignored', ''),
  'x-multi-statement': row('refused', 'files are run as they are; leave it out'),
  'x-multi-statement-max-size': row('ignored', ''),
  'x-statement-timeout': row('refused', 'set `migrate.statementTimeout`'),
  'x-lock-strategy': row('ignored', ''),
  'x-lock-table': row('ignored', ''),
  'statement-cache-capacity': row('ignored', ''),
}

/** Without a warning: every tool writes them. */
export const harmless: ReadonlySet<string> = new Set(['application_name', 'connect_timeout'])

/** Variables of libpq 18 and the parameter that each stands for; undefined: it is about the client alone, and ignored. */
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
  PGDATESTYLE: undefined,
  PGTZ: undefined,
  PGGEQO: undefined,
}

/** Values of refused parameters that ask for what is done anyway. */
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

/** Parameters by the one name of each: `sslmode` for sqlx's `ssl-mode`, and for `requiressl=1` and `ssl`. The first of two says it. */
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

/** Whether a parameter says nothing to us, which is to be told. */
export const isIgnoredParameter = (name: string) => urlParameters[name]?.verdict === 'ignored' && !harmless.has(name)

/** The same for a variable of libpq. */
export function isIgnoredVariable(variable: string): boolean {
  const name = libpqVariables[variable]
  return name === undefined || isIgnoredParameter(name)
}

/**
 * Refuses a parameter that would change what is reached, and that we do not honour.
 * @param name of the parameter; `said`: what the source calls it
 * @throws {AppError} `usage`
 */
export function refuseParameter(name: string, value: string, said: string, source: string): void {
  const { verdict, note } = urlParameters[name] ?? {}
  if (verdict === 'refused' && !harmlessValues[name]?.includes(value))
    throw usage(`${said} in ${source} is not supported, and would matter`, { hint: note })
}

/** Settings of the server that would matter, or do nothing where they are applied, and what to do instead. */
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

/** As in the URL: without a warning, as every tool writes them. */
const isHarmless = (setting: string, value: string) =>
  harmless.has(setting) || (setting === 'client_encoding' && /^utf-?8$/i.test(value))

/**
 * The settings in libpq's `options`: `-c name=value`, `-cname=value`, `--name=value`, with `\` before a blank that belongs to a value.
 * They are taken apart as the server does it, and are by its names; the last of two says it.
 *
 * @throws {AppError} `usage` for what is no setting, and for settings that would matter
 */
export function settingsIn(options: string, source: string): Record<string, string> {
  const words = [...options.matchAll(/(?:\\.|[^ \t\n\v\f\r\\]|\\$)+/gs)].map(([word]) => word.replace(/\\(.?)/gs, '$1'))
  const entries: [string, string][] = []
  for (let i = 0; i < words.length; i++) {
    const word = words[i] === '-c' ? `-c${words[++i] ?? ''}` : (words[i] ?? '')
    const [, name, value] = /^(?:-c|--)([^=]*)=(.*)$/s.exec(word) ?? []
    if (name === undefined || value === undefined)
      throw usage(`options in ${source} hold more than settings`, {
        hint: 'write -c name=value, with %20 for the blank and %3D for the = in a URL',
      })
    entries.push([name, value])
  }
  return acceptedSettings(entries, source)
}

/**
 * Settings by the names of the server.
 * @throws {AppError} `usage` for a name that cannot be one, and for a setting that would matter
 */
export function acceptedSettings(entries: [string, string][], source: string): Record<string, string> {
  const named = entries.map(([name, value]) => [name.replaceAll('-', '_').toLowerCase(), value] as const)
  for (const [name, value] of named) {
    if (!/^[a-z_][\w$]*(\.[a-z_][\w$]*)*$/.test(name)) throw usage(`options in ${source} hold a name that is none`)
    const hint = refusalOf(name)
    if (hint !== undefined && !isHarmless(name, value))
      throw usage(`the setting ${name} in ${source} is not supported, and would matter`, { hint })
  }
  return Object.fromEntries(named.filter(([name, value]) => !isHarmless(name, value)))
}

/**
 * The table in golang-migrate's `x-migrations-table`, as `migrate.table` has it.
 * @param quoted it is written `"schema"."table"`
 * @throws {AppError} `usage`
 */
export function historyTable(table: string, quoted: boolean, source: string): string {
  const [, schema, name = ''] = (quoted ? /^(?:"([^".]+)"\.)?"([^".]+)"$/ : /^()([^".]+)$/).exec(table) ?? []
  if (name !== '') return schema ? `${schema}.${name}` : name
  throw usage(`x-migrations-table in ${source} cannot be read`, {
    hint: 'set `migrate.table` to name or schema.name instead',
  })
}
