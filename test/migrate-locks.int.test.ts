import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { describe, expect } from 'vitest'
import { type App, type Cluster, test, until } from './support/chaos.ts'

/** An application whose table `t` is there. */
async function withTable(makeApp: (extra?: object) => Promise<App>, migrate: object): Promise<App> {
  const app = await makeApp({ migrate })
  await app.write({
    'migrations/1_t.sql': 'create table t (id int primary key, x int); insert into t values (1, 1); create table v ()',
  })
  const { code, stderr } = await app.run('up')
  expect(code, stderr).toBe(0)
  return app
}

const warnings = (log: string) =>
  log
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as { level: string; msg: string })
    .filter(({ level }) => level === 'warn')
    .map(({ msg }) => msg)

const applied = async (cluster: Cluster, { database }: App) =>
  (await cluster.ask<{ name: string }>('select name from pgbosun.migrations order by seq', database)).map(
    ({ name }) => name,
  )

/** Asks again and again, as an application does, and remembers the longest answer. */
function traffic(cluster: Cluster, { database }: App) {
  const sql = postgres(cluster.url(database), { max: 1, onnotice() {} })
  const state = { longestMs: 0, count: 0, on: true }
  const running = (async () => {
    while (state.on) {
      const startedAt = performance.now()
      await sql`select x from t where id = 1`
      state.longestMs = Math.max(state.longestMs, performance.now() - startedAt)
      state.count++
      await sleep(10)
    }
    await sql.end()
  })()
  return {
    async stop() {
      state.on = false
      await running
      return state
    },
  }
}

describe('a table that is in use', () => {
  test('the application goes on while a long query holds the table, and the migration wins when it ends', async ({
    cluster,
    makeApp,
  }) => {
    const app = await withTable(makeApp, { lockTimeout: '600ms' })
    await app.write({ 'migrations/2_x.sql': 'alter table t add y int' })
    const report = await cluster.hold('select count(*) from t', app.database, 'report')
    const application = traffic(cluster, app)
    const { finished, log } = app.start('migrate')
    await until('it was tried once', () => warnings(log()).length >= 1)
    const firstAt = performance.now()
    await until('it was tried four times', () => warnings(log()).length >= 4)
    const threeMoreMs = performance.now() - firstAt
    await report.release()
    expect((await finished).code).toBe(0)
    const { longestMs, count } = await application.stop()
    expect(warnings(log())[0]).toMatch(
      new RegExp(
        `^2_x could not get a lock in time, blocked by pid ${report.pid} \\(application "report", user postgres.*\\): trying again$`,
      ),
    )
    // As long as the migration stands in the queue, and not until the report ends.
    expect(longestMs).toBeLessThan(threeMoreMs)
    expect(count).toBeGreaterThan(20)
    expect(await applied(cluster, app)).toEqual(['1_t', '2_x'])
  })

  test('without retries it ends with 11, and names who is in the way', async ({ cluster, makeApp }) => {
    const app = await withTable(makeApp, { lockTimeout: '1s', lockRetries: 0 })
    await app.write({ 'migrations/2_x.sql': 'select 1;\nalter table t add y int' })
    const report = await cluster.hold('select count(*) from t', app.database, 'report')
    const { code, json } = await app.runJson('migrate')
    await report.release()
    expect(code).toBe(11)
    expect(json.error).toMatchObject({ kind: 'locked', sqlstate: '55P03', line: 2, column: 1 })
    expect(json.error?.message).toContain(`blocked by pid ${report.pid} (application "report"`)
    expect(await applied(cluster, app)).toEqual(['1_t'])
  })

  test.for([
    { how: 'in one transaction each', format: 'pgbosun', ending: '.sql', text: 'alter table t add y int' },
    {
      how: 'one of them outside transactions',
      format: 'pgbosun',
      ending: '.sql',
      text: "-- pgbosun: no-transaction\ninsert into log values ('150');\nalter table t add y int",
    },
    { how: 'of golang-migrate', format: 'golang-migrate', ending: '.up.sql', text: 'alter table t add y int' },
    { how: 'of sqlx', format: 'sqlx', ending: '.sql', text: 'alter table t add y int' },
    {
      how: 'of golang-migrate, one with transactions of its own',
      format: 'golang-migrate',
      ending: '.up.sql',
      text: "begin; insert into log values ('150'); commit; begin; alter table t add y int; commit",
    },
  ])('in the middle of 300 files, $how: each is applied once', async ({ format, ending, text }, {
    cluster,
    makeApp,
  }) => {
    const app = await makeApp({ migrate: { format, lockTimeout: '200ms' } })
    await app.write({ [`migrations/1_t${ending}`]: 'create table t (id int); create table log (what text)' })
    expect((await app.run('up')).code).toBe(0)
    const numbers = Array.from({ length: 300 }, (_, i) => i + 2)
    await app.write(
      Object.fromEntries(numbers.map((n) => [`migrations/${n}_f${ending}`, `insert into log values ('${n}')`])),
    )
    await app.write({
      [`migrations/150_f${ending}`]: `${text}${text.includes('log') ? '' : "; insert into log values ('150')"}`,
    })
    const report = await cluster.hold('select count(*) from t', app.database)
    const { finished, log } = app.start('migrate')
    await until('it was tried three times', () => warnings(log()).length > 2)
    await report.release()
    const { code, stderr } = await finished
    expect(code, stderr).toBe(0)
    expect(await cluster.ask('select what::int as n from log order by 1', app.database)).toEqual(
      numbers.map((n) => ({ n })),
    )
    const table = format === 'pgbosun' ? 'migrations' : 'migration_details'
    expect(await cluster.ask(`select name, status from pgbosun.${table} order by seq`, app.database)).toEqual([
      { name: '1_t', status: 'applied' },
      ...numbers.map((n) => ({ name: `${n}_f`, status: 'applied' })),
    ])
  })

  test('a statement of a file outside transactions is tried again too, and those before it are not', async ({
    cluster,
    makeApp,
  }) => {
    const app = await withTable(makeApp, { lockTimeout: '200ms' })
    await app.write({
      'migrations/2_x.sql':
        '-- pgbosun: no-transaction\ninsert into t values (2, 2);\nalter table t add y int;\nvacuum t',
    })
    const report = await cluster.hold('select count(*) from t', app.database)
    const { finished, log } = app.start('migrate')
    await until('it was tried', () => warnings(log()).length > 0)
    await report.release()
    expect((await finished).code).toBe(0)
    expect(await cluster.ask('select id, y from t order by id', app.database)).toEqual([
      { id: 1, y: null },
      { id: 2, y: null },
    ])
  })

  test('an index that is built concurrently waits as long as it takes', async ({ cluster, makeApp }) => {
    const app = await withTable(makeApp, { lockTimeout: '100ms', lockRetries: 0 })
    await app.write({ 'migrations/2_x.sql': 'create index concurrently t_x on t (x)' })
    const writer = await cluster.hold('update t set x = 2', app.database)
    const { finished } = app.start('migrate')
    await sleep(1_500)
    await writer.release()
    expect((await finished).code).toBe(0)
  })
})

test('a deadlock is tried again', async ({ cluster, makeApp }) => {
  const app = await withTable(makeApp, { lockTimeout: '20s' })
  await app.write({
    'migrations/2_x.sql': 'create table u (); lock table t in access exclusive mode; select pg_sleep(1); lock table v',
    'migrations/3_y.sql': 'select 1',
  })
  const other = postgres(cluster.url(app.database), { max: 1, onnotice() {} })
  await other.unsafe("begin; set deadlock_timeout = '1min'; lock table v")
  const { finished, log } = app.start('migrate')
  await until(
    'it sleeps',
    async () => (await cluster.ask("select from pg_stat_activity where wait_event = 'PgSleep'")).length,
  )
  // It waits for the migration, which then waits for it and is the first to notice.
  await other.unsafe('select from t')
  await other.end()
  expect((await finished).code).toBe(0)
  expect(warnings(log())[0]).toMatch(/^2_x was caught in a deadlock.*: trying again$/)
  expect(await applied(cluster, app)).toEqual(['1_t', '2_x', '3_y'])
})

test('a backup of ours in the way is waited for until lock.timeout, however few retries there are', async ({
  cluster,
  makeApp,
}) => {
  const app = await makeApp({ migrate: { lockTimeout: '100ms', lockRetries: 0 }, lock: { timeout: '4s' } })
  await app.write({ 'migrations/1_t.sql': 'create table t (id int)' })
  expect((await app.run('up')).code).toBe(0)
  await app.write({ 'migrations/2_x.sql': 'alter table t add y int' })
  const dump = await cluster.hold('lock table t in access share mode', app.database, 'pgbosun backup test')
  const { finished, log } = app.start('migrate')
  await until('it was tried twice', () => warnings(log()).length > 1)
  await dump.release()
  expect((await finished).code).toBe(0)
  expect(warnings(log())[0]).toContain('a backup of pgbosun')

  await app.write({ 'migrations/3_x.sql': 'alter table t add z int' })
  const longer = await cluster.hold('lock table t in access share mode', app.database, 'pgbosun backup test')
  const { code, json } = await app.runJson('migrate')
  await longer.release()
  expect([code, json.error?.kind]).toEqual([11, 'locked'])
  expect(json.error?.message).toContain('a backup of pgbosun')
})
