import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { silentLog } from '../src/log.ts'
import { openSession } from '../src/postgres/connect.ts'
import { copyIn } from '../src/postgres/copy.ts'
import { isConnectionLost } from '../src/postgres/lost.ts'
import { childrenOf, client, connectionTo, filesBelow, test } from './support/backup.ts'
import { full } from './support/chaos.ts'
import { start } from './support/cli.ts'
import { type Sql, uniqueName, urlOf, writeFiles } from './support/postgres.ts'
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

/** A seed of more than the system keeps for both ends. */
const seed = {
  'pgbosun.yaml': JSON.stringify({ ...config, seeds: [{ file: 's.csv', table: 's' }] }),
  's.csv': `id,t\n${Array.from({ length: 1_000_000 }, (_, i) => `${i},${'some text '.repeat(10)}\n`).join('')}`,
}
const copying = async (sql: Sql) => {
  await until('it copies', running(sql, 'copy'))
  const [row] = await sql.unsafe<{ pid: number; port: number }[]>(
    `select pid, client_port as port from pg_stat_activity where query ilike '%copy%' and pid <> pg_backend_pid() and datname = current_database()`,
  )
  return row!
}

describe.concurrent('a way that acknowledges everything and forwards nothing', { timeout: 240_000 }, () => {
  test('a black hole for 20 s is survived', async ({ dir, database, sql }) => {
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
    await writeFiles(dir, seed)
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
      await until('it dumps', running(sql, 'copy'))
      const [pid] = childrenOf(child.pid!, 'pg_dump')
      way.swallow()
      const { code, stdout } = await finished
      expect([code, JSON.parse(stdout).error]).toMatchObject([60, { message: expect.stringContaining('was lost') }])
      expect(() => process.kill(pid!, 0)).toThrow('ESRCH')
      expect(filesBelow(store).filter((path) => !path.includes('/failed/'))).toEqual([])
      way.close()
    },
  )

  test('for one session alone, while the one with the lock is answered, ends what it sends, also where no new one is accepted: exit 10', async ({
    dir,
    database,
    sql,
  }) => {
    const way = await startSwallower()
    const user = uniqueName('u')
    await sql.unsafe(`create role ${user} login password 'own'; alter database ${database} owner to ${user};
      create table s (id int, t text); alter table s owner to ${user}`)
    await writeFiles(dir, seed)
    const url = way.url(database).replace(/postgres:[^/]*@/, `${user}:own@`)
    const { finished } = start(['seed', '--json'], { cwd: dir, env: { DATABASE_URL: url } })
    way.stopReading((await copying(sql)).port)
    await sql.unsafe(`alter role ${user} nologin`)
    const stoppedAt = performance.now()
    const { code, stdout, stderr } = await finished
    expect([code, JSON.parse(stdout).error.kind]).toEqual([10, 'unreachable'])
    expect(stderr).toContain('the server has not read anything for')
    expect(performance.now() - stoppedAt).toBeLessThan(110_000)
    way.close()
  })

  test.skipIf(!full)('for a session that has none beside it ends it, asked on a new one', async ({ database, sql }) => {
    const way = await startSwallower()
    await sql.unsafe('create table s (t text)')
    const options = { applicationName: 'lonely', log: silentLog }
    const session = await openSession(connectionTo(way.url(database)), options)
    const endless = function* () {
      for (;;) yield `${'some text '.repeat(1_000)}\n`
    }
    const copied = copyIn(session.sql, 'copy public.s from stdin', endless()).catch((error: unknown) => error)
    way.stopReading((await copying(sql)).port)
    expect(await copied).toSatisfy(isConnectionLost)
    way.close()
  })
})

describe.concurrent('a server that does not read', { timeout: 240_000 }, () => {
  test('because it works is waited for, however long that takes', async ({ dir, database, sql }) => {
    await sql.unsafe(`
      create table s (id int, t text);
      create function work() returns trigger language plpgsql as 'begin perform pg_sleep(80); return new; end';
      create trigger work before insert on s for each row when (new.id = 1000) execute function work()`)
    await writeFiles(dir, seed)
    const { code, stderr } = await start(['seed'], { cwd: dir, env: { DATABASE_URL: urlOf(database) } }).finished
    expect([code, code === 0 ? '' : stderr]).toEqual([0, ''])
  })

  test('for 20 s, because it was stopped, is waited for', async ({ dir, database, sql }) => {
    await sql.unsafe('create table s (id int, t text)')
    await writeFiles(dir, seed)
    const { finished } = start(['seed'], { cwd: dir, env: { DATABASE_URL: urlOf(database) } })
    const { pid } = await copying(sql)
    process.kill(pid, 'SIGSTOP')
    await sleep(20_000)
    process.kill(pid, 'SIGCONT')
    const { code, stderr } = await finished
    expect([code, code === 0 ? '' : stderr]).toEqual([0, ''])
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
