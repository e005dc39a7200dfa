import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { childrenOf, client, filesBelow, test } from './support/backup.ts'
import { start } from './support/cli.ts'
import { type Sql, urlOf, writeFiles } from './support/postgres.ts'
import { startSwallower } from './support/swallow.ts'

/** Until something is so; the machine may be slow. */
async function until(what: string, look: () => Promise<boolean> | boolean) {
  for (let i = 0; i < 600; i++) {
    if (await look()) return
    await sleep(50)
  }
  throw new Error(`not within 30 s: ${what}`)
}

const running = (sql: Sql, query: string) => async () =>
  (
    await sql.unsafe(
      'select from pg_stat_activity where query ilike $1 and pid <> pg_backend_pid() and datname = current_database()',
      [`%${query}%`],
    )
  ).length > 0

const config = { lock: { timeout: '5s' }, wait: { timeout: '10s' } }

describe.concurrent('a way that acknowledges everything and forwards nothing', { timeout: 240_000 }, () => {
  test('ends a migration after a minute: exit 10', async ({ dir, database, sql }) => {
    const way = await startSwallower()
    await writeFiles(dir, {
      'pgbosun.yaml': JSON.stringify(config),
      'migrations/001_slow.sql': `create table a (id int); select pg_sleep(600), '${database}';`,
    })
    const { finished } = start(['migrate', '--json'], { cwd: dir, env: { DATABASE_URL: way.url(database) } })
    await until('it works', running(sql, `pg_sleep(600), '${database}'`))
    const swallowedAt = performance.now()
    way.swallow()
    const { code, stdout } = await finished
    expect([code, JSON.parse(stdout).error.kind]).toEqual([10, 'unreachable'])
    expect(performance.now() - swallowedAt).toBeLessThan(110_000)
    way.close()
  })

  test('and a seed that is being sent', async ({ dir, database, sql }) => {
    const way = await startSwallower()
    await sql.unsafe('create table s (id int, t text)')
    const lines = Array.from({ length: 1_000_000 }, (_, i) => `${i},${'some text '.repeat(10)}`)
    await writeFiles(dir, {
      'pgbosun.yaml': JSON.stringify({ ...config, seeds: [{ file: 's.csv', table: 's' }] }),
      's.csv': `id,t\n${lines.join('\n')}\n`,
    })
    const { finished } = start(['seed', '--json'], { cwd: dir, env: { DATABASE_URL: way.url(database) } })
    await until('it copies', running(sql, 'copy'))
    way.swallow()
    const { code, stdout } = await finished
    expect([code, JSON.parse(stdout).error?.kind]).toEqual([10, 'unreachable'])
    way.close()
  })

  test.skipIf(!client)(
    'ends a backup and its pg_dump: exit 60, and nothing of it stays',
    async ({ dir, database, sql, store }) => {
      const way = await startSwallower()
      await sql.unsafe(
        `create table big as select i, (select string_agg(md5(random()::text || i || j), '') from generate_series(1, 30) j) as t from generate_series(1, 80000) i`,
      )
      await writeFiles(dir, { 'pgbosun.yaml': JSON.stringify({ ...config, backup: { store: `file://${store}` } }) })
      const { child, finished } = start(['backup', '--json'], { cwd: dir, env: { DATABASE_URL: way.url(database) } })
      await until('it dumps', () => childrenOf(child.pid!, 'pg_dump').length > 0)
      const [pid] = childrenOf(child.pid!, 'pg_dump')
      way.swallow()
      const { code, stdout } = await finished
      expect([code, JSON.parse(stdout).error]).toMatchObject([60, { message: expect.stringContaining('was lost') }])
      expect(() => process.kill(pid!, 0)).toThrow('ESRCH')
      expect(filesBelow(store).filter((path) => !path.includes('/failed/'))).toEqual([])
      way.close()
    },
  )

  test('for 20 s is survived', async ({ dir, database, sql }) => {
    const way = await startSwallower()
    await writeFiles(dir, {
      'pgbosun.yaml': JSON.stringify(config),
      'migrations/001_slow.sql': `create table a (id int); select pg_sleep(5), '${database}';`,
    })
    const { finished } = start(['migrate', '--json'], { cwd: dir, env: { DATABASE_URL: way.url(database) } })
    await until('it works', running(sql, `pg_sleep(5), '${database}'`))
    way.swallow()
    await sleep(20_000)
    way.release()
    const { code, stderr } = await finished
    expect([code, code === 0 ? '' : stderr]).toEqual([0, ''])
    way.close()
  })
})

test('the server gives up a client that does not acknowledge after a minute', async ({ database, dir, sql }) => {
  await writeFiles(dir, {
    'migrations/001_a.sql': `create table seen as select name, setting from pg_settings where name like 'tcp_%'`,
  })
  const { code } = await start(['migrate'], { cwd: dir, env: { DATABASE_URL: urlOf(database) } }).finished
  expect(code).toBe(0)
  const seen = await sql.unsafe('select setting from seen where name = $1', ['tcp_user_timeout'])
  // over a Unix socket there is none
  expect(['60000', '0']).toContain(seen[0]!.setting)
})
