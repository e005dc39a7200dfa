import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { AppError } from '../errors.ts'
import { describe } from './connection.ts'
import type { Env } from './environment.ts'
import { resolveBackupConnection, resolveConnection, resolveMigrateConnection } from './resolve.ts'
import { type Config, configSchema } from './schema.ts'

const mark = 'TopSecret'
const dir = mkdtempSync(join(tmpdir(), 'pgbosun-secrecy-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))
const file = join(dir, 'url')

/** Characters that mean something in a URL, and a few that do not. */
const piece = fc.oneof(
  fc.string({ maxLength: 6 }),
  fc.string({ unit: fc.constantFrom(...'/?#@:%&=+[]\\,;.~ab19 "\'$(){}|<>^`!*-_\tä'), maxLength: 6 }),
)

/** A password as it is, or escaped as it should be. */
const password = fc
  .tuple(piece, piece, fc.boolean())
  .map(([before, after, escaped]) =>
    escaped ? encodeURIComponent(before) + mark + encodeURIComponent(after) : before + mark + after,
  )

const authority = fc.tuple(
  fc.constantFrom(
    'postgres://',
    'postgresql://',
    'postgresql+asyncpg://',
    ' postgres://',
    'mysql://',
    'postgres:',
    '//',
    '',
  ),
  fc.constantFrom('u', 'me%40home', ''),
  password,
  fc.constantFrom('h', 'h:5433', '[::1]:5433', 'a:1,b:2', '%2Ftmp', '', 'h:tcp://10.0.0.1:5432', '::1'),
  fc.constantFrom('', '/', '/db', '/a%2Fb', '/db/x'),
  fc.constantFrom(
    '',
    '?sslmode=require',
    '?sslmode=maybe&x=1',
    '?host=/tmp',
    '?options=-c%20role%3Dx',
    '?service=x',
    '?passfile=/p',
    '#x',
  ),
)

const url = fc.oneof(
  {
    weight: 4,
    arbitrary: authority.map(
      ([scheme, user, pw, host, path, query]) => `${scheme}${user}:${pw}@${host}${path}${query}`,
    ),
  },
  { weight: 1, arbitrary: password.map((pw) => `postgres://h/db?user=u&password=${pw}`) },
)

const variables = [
  'DATABASE_URL', 'DATABASE_URL_FILE', 'PGBOSUN_DATABASE_URL_FILE',
  'POSTGRES_HOST', 'POSTGRES_PORT', 'POSTGRES_DB', 'POSTGRES_USER', 'POSTGRES_PASSWORD', 'POSTGRES_PASSWORD_FILE',
  'PGHOST', 'PGHOSTADDR', 'PGPORT', 'PGDATABASE', 'PGUSER', 'PGPASSWORD', 'PGPASSWORD_FILE', 'PGPASSFILE', 'PGSERVICE', 'PGSERVICEFILE',
  'PGOPTIONS', 'PGSSLMODE', 'PGSSLROOTCERT', 'PGSSLCERT', 'PGSSLKEY', 'PGTARGETSESSIONATTRS', 'PGCHANNELBINDING', 'PGREQUIREAUTH',
] // biome-ignore format: a list

const base = configSchema.parse({})

/** Everything that messages, JSON and `config show` are made of. */
function said(look: (config: Config, env: Env) => unknown, config: Config, env: Env): string {
  try {
    return JSON.stringify(look(config, env))
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    const { message, hint, excerpt, place, report } = error
    return JSON.stringify({ message, hint, excerpt, place, report })
  }
}

const shown = (config: Config, env: Env) => {
  const connection = resolveConnection(config, env, dir)
  connection.password()
  const { password: _, foreign: __, ...rest } = connection
  return [describe(connection), rest]
}

test('10,000 random URLs with a password in every source: nothing of it is ever said', () => {
  fc.assert(
    fc.property(url, fc.constantFrom(...variables), (text, variable) => {
      const keys = ['url', 'directUrl'] as const
      writeFileSync(file, text)
      const told = [
        said(shown, base, { DATABASE_URL: text }),
        ...keys.map((key) =>
          said(shown, { ...base, database: { ...base.database, [key]: { env: 'U' } } }, { U: text }),
        ),
        said(shown, { ...base, database: { ...base.database, url: { file } } }, {}),
        said(shown, { ...base, database: { ...base.database, url: { file: text } } }, {}),
        said(shown, { ...base, database: { ...base.database, url: { env: text } } }, {}),
        said(
          (config, env) => describe(resolveBackupConnection(config, env, dir)),
          { ...base, backup: { ...base.backup, url: { env: 'U' } } },
          { U: text },
        ),
        said(
          (config, env) => describe(resolveMigrateConnection(config, env, dir)!),
          { ...base, migrate: { ...base.migrate, url: { env: 'U' } } },
          { U: text },
        ),
        said(shown, base, { [variable]: text }),
        said(shown, base, { PGHOST: 'h', [variable]: text }),
        said(shown, base, { POSTGRES_HOST: 'h', [variable]: text }),
        said(shown, base, { PGSERVICE: 's', PGSERVICEFILE: file, [variable]: text }),
        said(shown, { ...base, database: { ...base.database, tls: { ca: text } } }, { PGHOST: 'h' }),
      ]
      for (const what of told) expect(what).not.toContain(mark)
    }),
    { numRuns: 10_000 },
  )
}, 300_000)
