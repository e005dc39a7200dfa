import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { describe, expect } from 'vitest'
import { openFormat } from '../src/formats/open.ts'
import { type App, type Cluster, test, until } from './support/chaos.ts'

const alone = '-- pgbosun: no-transaction\n'

const logged = (log: string) =>
  log
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as { level: string; msg: string })
const tries = (log: string) => logged(log).filter(({ msg }) => msg.endsWith('trying again')).length

async function prepared(
  makeApp: (extra?: object) => Promise<App>,
  text: string,
  migrate: object = {},
  name = '1_t.sql',
) {
  const app = await makeApp({ migrate })
  await app.write({ [`migrations/${name}`]: text })
  await expectGood(app)
  return app
}

async function expectGood(app: App) {
  const { code, stderr } = await app.run('up')
  expect(code, stderr).toBe(0)
  return stderr
}

const indexes = (cluster: Cluster, { database }: App) =>
  cluster.ask<{ name: string; valid: boolean }>(
    `select c.relname as name, indisvalid as valid from pg_index join pg_class c on c.oid = indexrelid
      where indrelid = 't'::regclass order by 1`,
    database,
  )

const sleeping = (cluster: Cluster) =>
  until('a statement sleeps', async () => {
    const query = "select from pg_stat_activity where wait_event = 'PgSleep'"
    return (await cluster.ask(query)).length > 0
  })

const building = (cluster: Cluster) =>
  until('an index is built', async () => {
    const query =
      "select from pg_stat_activity where query ilike 'create index concurrently%' and wait_event_type = 'Lock'"
    return (await cluster.ask(query)).length > 0
  })

describe('an index that is built concurrently', () => {
  test('a concurrent build says what it is waiting for', async ({ cluster, makeApp }) => {
    const app = await prepared(makeApp, 'create table t (x int)')
    await app.write({ 'migrations/2_x.sql': 'create index concurrently t_x on t (x)' })
    const writer = await cluster.hold('insert into t values (1)', app.database, 'import')
    const { finished, log } = app.start('migrate')
    await until('it says so', () => logged(log()).some(({ msg }) => msg.startsWith('2_x is waiting')))
    await writer.release()
    expect((await finished).code).toBe(0)
    expect(logged(log()).find(({ msg }) => msg.startsWith('2_x is waiting'))).toMatchObject({
      level: 'info',
      msg: expect.stringMatching(new RegExp(`^2_x is waiting, blocked by pid ${writer.pid} \\(application "import"`)),
    })
  })

  test('also waits while it drops what an earlier attempt left', async ({ cluster, makeApp }) => {
    const app = await prepared(makeApp, 'create table t (x int); insert into t values (1), (1)', {
      lockTimeout: '100ms',
      lockRetries: 0,
    })
    await cluster.ask('create unique index concurrently t_x on t (x)', app.database).catch(() => {})
    expect(await indexes(cluster, app)).toEqual([{ name: 't_x', valid: false }])
    await app.write({ 'migrations/2_x.sql': 'create index concurrently t_x on t (x)' })
    const writer = await cluster.hold('insert into t values (2)', app.database)
    const { finished } = app.start('migrate')
    await until('it waits', async () => {
      const query =
        "select from pg_stat_activity where query like 'drop index concurrently%' and wait_event_type = 'Lock'"
      return (await cluster.ask(query)).length > 0
    })
    await sleep(500)
    await writer.release()
    const { code, stderr } = await finished
    expect(code, stderr).toBe(0)
    expect(await indexes(cluster, app)).toEqual([{ name: 't_x', valid: true }])
  })

  test('without a name, and a limit of its own that passes: what it leaves is dropped by the next run at the latest', async ({
    cluster,
    makeApp,
  }) => {
    const app = await prepared(makeApp, 'create table t (x int)', { lockRetries: 0 })
    await app.write({
      'migrations/2_x.sql': `${alone}set lock_timeout = '200ms';\ncreate index concurrently on t (x)`,
    })
    const writer = await cluster.hold('insert into t values (1)', app.database)
    const { code, json } = await app.runJson('migrate')
    await writer.release()
    expect([code, json.error]).toMatchObject([
      11,
      { kind: 'locked', hint: expect.stringContaining('an invalid index was left behind and could not be dropped') },
    ])
    expect(await indexes(cluster, app)).toHaveLength(1)
    await expectGood(app)
    expect(await indexes(cluster, app)).toEqual([{ name: 't_x_idx', valid: true }])
  })
})

test('a partition that is half detached when the retries are used up is detached by the next run', async ({
  cluster,
  makeApp,
}) => {
  if (cluster.major < 14) return expect(cluster.major).toBe(13)
  const app = await prepared(
    makeApp,
    'create table t (x int) partition by range (x); create table p partition of t for values from (0) to (9)',
    { lockTimeout: '200ms', lockRetries: 0 },
  )
  await app.write({ 'migrations/2_x.sql': 'alter table t detach partition p concurrently' })
  const reader = await cluster.hold('select count(*) from t', app.database)
  const { code, json } = await app.runJson('migrate')
  await reader.release()
  expect([code, json.error]).toMatchObject([11, { hint: expect.stringContaining('half detached') }])
  expect(await cluster.ask('select inhdetachpending as pending from pg_inherits', app.database)).toEqual([
    { pending: true },
  ])
  expect(await cluster.ask('select status from pgbosun.migrations order by seq', app.database)).toEqual([
    { status: 'applied' },
    { status: 'started' },
  ])
  await expectGood(app)
  expect(await cluster.ask('select from pg_inherits', app.database)).toEqual([])
})

test('each statement of a file outside transactions has its own retries', async ({ cluster, makeApp }) => {
  const app = await prepared(makeApp, 'create table t (); create table v ()', { lockTimeout: '100ms', lockRetries: 3 })
  await app.write({ 'migrations/2_x.sql': `${alone}alter table t add x int;\nalter table v add x int` })
  const [first, second] = [
    await cluster.hold('select from t', app.database),
    await cluster.hold('select from v', app.database),
  ]
  const { finished, log } = app.start('migrate')
  await until('the first was tried twice', () => tries(log()) >= 2)
  await first.release()
  await until('the second was tried twice', () => tries(log()) >= 4)
  await second.release()
  const { code, stderr } = await finished
  expect(code, stderr).toBe(0)
})

const files = {
  sqlx: (name: string, text: string, directive = false) => ({
    [`migrations/${name}.sql`]: `${directive ? '-- no-transaction\n' : ''}${text}`,
  }),
  'golang-migrate': (name: string, text: string) => ({ [`migrations/${name}.up.sql`]: text }),
}

describe.each([
  'sqlx',
  'golang-migrate',
] as const)('CREATE INDEX CONCURRENTLY and the lock of the tool itself: %s', (format) => {
  const file = files[format]

  async function begin(makeApp: (extra?: object) => Promise<App>) {
    const app = await makeApp({ migrate: { format } })
    await app.write(file('1_t', 'create table t (x int)'))
    await expectGood(app)
    await app.write({
      ...file('2_slow', 'select pg_sleep(1)'),
      ...file('3_index', 'create index concurrently t_x on t (x)', true),
      ...file('4_last', 'create table last ()'),
    })
    const { native } = await openFormat(format)
    const [schema, table] = ['public', native!.table]
    return { app, key: native!.lockKey!({ database: app.database, schema, table }) }
  }

  async function expectOneWorked(cluster: Cluster, app: App, runs: ReturnType<App['start']>[]) {
    const finished = await Promise.all(runs.map(({ finished }) => finished))
    expect(finished.filter(({ code }) => code !== 0)).toEqual([])
    const changed = finished.filter(({ stdout }) => JSON.parse(stdout).results.length > 0)
    expect(changed).toHaveLength(1)
    expect(await indexes(cluster, app)).toEqual([{ name: 't_x', valid: true }])
    expect(
      await cluster.ask('select name, status from pgbosun.migration_details order by seq', app.database),
    ).toHaveLength(4)
  }

  test('five others wait, and another runner of the tool holds its lock for a second', async ({ cluster, makeApp }) => {
    const { app, key } = await begin(makeApp)
    const holder = await cluster.hold(`select pg_advisory_lock(${key})`, app.database, 'the tool')
    const writer = await cluster.hold('insert into t values (1)', app.database)
    const runs = Array.from({ length: 6 }, () => app.start('migrate', '--json'))
    await until(
      'five wait for us',
      () => runs.filter(({ log }) => log().includes('waiting for the lock of database')).length === 5,
    )
    await until('one waits for the tool', () =>
      runs.some(({ log }) => log().includes(`waiting for the lock of ${format}: held by the tool`)),
    )
    await sleep(1_000)
    await holder.release()
    await building(cluster)
    await writer.release()
    await expectOneWorked(cluster, app, runs)
  })

  test('a run that loses it stops before its next statement, and the next run continues', async ({
    cluster,
    makeApp,
  }) => {
    const { app, key } = await begin(makeApp)
    const run = app.start('migrate', '--json')
    await sleeping(cluster)
    const bits = BigInt.asUintN(64, key)
    const ended = await cluster.ask(
      `select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and objsubid = 1
          and classid = ${bits >> 32n} and objid = ${bits & 0xffffffffn}`,
    )
    expect(ended).toHaveLength(1)
    const { code, stdout } = await run.finished
    expect([code, JSON.parse(stdout).error.kind]).toEqual([10, 'unreachable'])
    expect(await indexes(cluster, app)).toEqual([])
    await expectGood(app)
    expect(await indexes(cluster, app)).toEqual([{ name: 't_x', valid: true }])
  })

  // As these tools wait, with a snapshot, which an index that is built concurrently waits for in its turn.
  test('a runner of the tool that waits in the server for its lock does not make it wait for ever', async ({
    cluster,
    makeApp,
  }) => {
    const { app, key } = await begin(makeApp)
    const run = app.start('migrate', '--json')
    await sleeping(cluster)
    const tool = postgres(cluster.url(app.database), {
      max: 1,
      onnotice() {},
      connection: { application_name: 'the tool' },
    })
    const waited = tool.unsafe(`select pg_advisory_lock(${key})`).then(
      () => 'locked',
      (error: { code: string }) => error.code,
    )
    const stuck = sleep(15_000, 'stuck', { ref: false })
    expect(await Promise.race([run.finished.then(({ code }) => code), stuck])).toBe(0)
    expect(await waited).toBe('57014')
    await tool.end()
    await expectOneWorked(cluster, app, [run])
    expect(logged(run.log()).find(({ level }) => level === 'warn')?.msg).toContain('application "the tool"')
  })
})
