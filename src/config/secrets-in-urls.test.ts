import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AppError } from '../errors.ts'
import {
  describe as describeConnection,
  resolveBackupConnection,
  resolveConnection,
  resolveMigrateConnection,
} from './connection.ts'
import { type Loaded, loadConfig } from './load.ts'

const mark = 'gEhEiM'

/** Passwords as people have them: anything printable, the mark somewhere in it. */
const part = fc.oneof(fc.string({ maxLength: 8 }), fc.stringMatching(/^[@:/?#%&=+[\]\\ ,;.!$'"a-z0-9]{0,8}$/))
const password = fc.tuple(part, part).map(([before, after]) => `${before}${mark}${after}`)

/** URLs into which a password was put as it is. */
const urls = fc
  .tuple(
    password,
    fc.constantFrom(
      (p: string) => `postgres://u:${p}@h/d`,
      (p: string) => `postgresql+asyncpg://u:${p}@h:5433/d?sslmode=require`,
      (p: string) => `postgres://u:${p}@h1:1,h2:2/d?target_session_attrs=primary`,
      (p: string) => `postgres://:${p}@/d`,
      (p: string) => `postgres://u:${p}@[::1]:5432/d`,
      (p: string) => `postgres://h/d?user=u&password=${p}`,
      (p: string) => `postgres://h/d?password=${p}&sslmode=disable`,
      (p: string) => `mysql://u:${p}@h/d`,
      (p: string) => `u:${p}@h`,
      (p: string) => `postgres:u:${p}@h`,
    ),
  )
  .map(([secret, url]) => url(secret))

const load = (env: Record<string, string>) => loadConfig({ env, cwd: '/nowhere' })
const sources: [name: string, (url: string) => Promise<unknown>][] = [
  ...['DATABASE_URL', 'PGBOSUN_DATABASE_URL', 'PGBOSUN_DATABASE_DIRECT_URL', 'PGHOST', 'PGDATABASE', 'PGPORT'].map(
    (name): [string, (url: string) => Promise<unknown>] => [
      name,
      async (url) => shown(await load({ PGHOST: 'h', [name]: url }), resolveConnection),
    ],
  ),
  ...['POSTGRES_HOST', 'POSTGRES_DB', 'POSTGRES_PORT'].map((name): [string, (url: string) => Promise<unknown>] => [
    name,
    async (url) => shown(await load({ POSTGRES_HOST: 'h', [name]: url }), resolveConnection),
  ]),
  ['backup.url', async (url) => shown(await load({ PGBOSUN_BACKUP_URL: url }), resolveBackupConnection)],
  ['migrate.url', async (url) => shown(await load({ PGBOSUN_MIGRATE_URL: url }), resolveMigrateConnection)],
]

/** All of a connection, or of the error that there is none, that is shown anywhere. */
function shown(
  { config, env, baseDir }: Loaded,
  resolve: typeof resolveConnection | typeof resolveMigrateConnection,
): unknown {
  try {
    const connection = resolve(config, env, baseDir)!
    const { source, endpoints, database, user, ignored } = connection
    return { source, endpoints, database, user, ignored, described: describeConnection(connection) }
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    expect(error.kind).toBe('usage')
    return { message: error.message, hint: error.hint, report: error.report, excerpt: error.excerpt }
  }
}

describe('a password that was put into a URL as it is', () => {
  test.each(sources)('is never shown: %s', { timeout: 60_000 }, async (_, look) => {
    const told = async (url: string) => JSON.stringify(await look(url))
    await fc.assert(
      fc.asyncProperty(urls, async (url) => {
        expect(await told(url)).not.toContain(mark)
      }),
      { numRuns: 1_000 },
    )
  })
})
