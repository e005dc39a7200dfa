import { crc32 } from 'node:zlib'
import { describe, expect } from 'vitest'
import { type App, type Cluster, test, until } from './support/chaos.ts'

/** Ends the session that holds the run lock, as a failing network would. */
async function loseLock(cluster: Cluster, { database }: App) {
  const ended = await cluster.ask(`
    select pg_terminate_backend(pid) from pg_locks
     where locktype = 'advisory' and classid = 1885823599 and objid = ${crc32(database)}`)
  expect(ended).toHaveLength(1)
}

const some = async (cluster: Cluster, condition: string) =>
  (await cluster.ask(`select from pg_stat_activity where application_name like 'pgbosun %' and ${condition}`)).length >
  0
const sleeping = (cluster: Cluster) => until('a statement sleeps', () => some(cluster, "wait_event = 'PgSleep'"))
const nobodyLeft = (cluster: Cluster) => until('its sessions end', async () => !(await some(cluster, 'true')))

const warned = (log: string) => log.split('\n').filter((line) => line.includes('trying again')).length

/** It noticed within the statement under way, said so, and left nobody behind. */
async function expectStopped(cluster: Cluster, { finished }: ReturnType<App['start']>) {
  const { code, stdout, stderr } = await finished
  expect([code, JSON.parse(stdout).error], stderr).toMatchObject([10, { kind: 'unreachable' }])
  await nobodyLeft(cluster)
}

async function expectGood(app: App) {
  const { code, stderr } = await app.run('migrate')
  expect(code, stderr).toBe(0)
}

const ran = async (cluster: Cluster, { database }: App) =>
  (await cluster.ask<{ what: string }>('select what from log order by what', database)).map(({ what }) => what)

/** Waits until a row says that it may go on; takes no time afterwards. */
const sleepsOnce = (seconds: number, before = '') =>
  `do $$ begin ${before} perform pg_sleep(${seconds}) where not exists (select from go); end $$`

async function prepared(makeApp: (extra?: object) => Promise<App>, migrate: object = {}) {
  const app = await makeApp({ migrate })
  await app.write({
    'migrations/1_log.sql': 'create table log (what text); create table go (); create table t (x int)',
  })
  const { code, stderr } = await app.run('up')
  expect(code, stderr).toBe(0)
  return app
}

const goOn = (cluster: Cluster, { database }: App) => cluster.ask('insert into go default values', database)

const copyRows = (what: string, count: number) =>
  `copy log from stdin;\n${Array.from({ length: count }, (_, i) => `${what} ${String(i).padStart(6, '0')}`).join('\n')}\n\\.\n`

describe('the lock is lost', () => {
  test('within 300 pipelined files: what was not sent stays away, and the next run applies each once', async ({
    cluster,
    makeApp,
  }) => {
    const app = await prepared(makeApp)
    const names = Array.from({ length: 300 }, (_, i) => `${i + 2}_f`)
    await app.write(
      Object.fromEntries(names.map((name) => [`migrations/${name}.sql`, `insert into log values ('${name}')`])),
    )
    await app.write({ 'migrations/20_f.sql': `${sleepsOnce(30)}; insert into log values ('20_f')` })
    const run = app.start('migrate', '--json')
    await sleeping(cluster)
    await loseLock(cluster, app)
    await expectStopped(cluster, run)
    expect(await ran(cluster, app)).toHaveLength(18)
    await goOn(cluster, app)
    await expectGood(app)
    expect(await ran(cluster, app)).toEqual([...names].sort())
  })

  test('within a file outside transactions: the statement under way ends and is recorded, the next is not sent', async ({
    cluster,
    makeApp,
  }) => {
    const app = await prepared(makeApp)
    await app.write({
      'migrations/2_x.sql': `-- pgbosun: no-transaction
        insert into log values ('a');
        ${sleepsOnce(1.5)};
        insert into log values ('b');
        vacuum t`,
    })
    const run = app.start('migrate', '--json')
    await sleeping(cluster)
    await loseLock(cluster, app)
    await expectStopped(cluster, run)
    expect(await ran(cluster, app)).toEqual(['a'])
    await expectGood(app)
    expect(await ran(cluster, app)).toEqual(['a', 'b'])
  })

  test.for([
    { which: 'the first of two', last: copyRows('last', 10), count: 2_010 },
    { which: 'the last', last: '', count: 2_000 },
  ])('while the rows of a COPY are sent, $which: nothing of the file is committed', async ({ last, count }, {
    cluster,
    makeApp,
  }) => {
    const app = await prepared(makeApp)
    await app.write({
      'migrations/2_x.sql': `create function slow() returns trigger language plpgsql as $$ begin
          if new.what = 'row 000500' then perform pg_sleep(1.5) where not exists (select from go); end if; return new; end $$;
        create trigger slow before insert on log for each row execute function slow();\n${copyRows('row', 2_000)}${last}`,
    })
    const run = app.start('migrate', '--json')
    await sleeping(cluster)
    await loseLock(cluster, app)
    await expectStopped(cluster, run)
    expect(await ran(cluster, app)).toHaveLength(0)
    await goOn(cluster, app)
    await expectGood(app)
    expect(await ran(cluster, app)).toHaveLength(count)
  })

  test.for([
    { how: 'in a transaction', directive: '' },
    { how: 'outside transactions', directive: '-- pgbosun: no-transaction\n' },
  ])('in the pause before another try, $how: it is not tried again', async ({ directive }, { cluster, makeApp }) => {
    const app = await prepared(makeApp, { lockTimeout: '100ms' })
    await app.write({ 'migrations/2_x.sql': `${directive}alter table t add y int` })
    const report = await cluster.hold('select count(*) from t', app.database)
    const run = app.start('migrate', '--json')
    await until('it was tried four times', () => warned(run.log()) >= 4)
    await loseLock(cluster, app)
    await report.release()
    await expectStopped(cluster, run)
    expect(
      await cluster.ask("select from pg_attribute where attrelid = 't'::regclass and attname = 'y'", app.database),
    ).toEqual([])
    await expectGood(app)
  })

  test('in the pause before another try to undo: it is not tried again', async ({ cluster, makeApp }) => {
    const app = await prepared(makeApp, { lockTimeout: '100ms' })
    await app.write({
      'migrations/2_x.sql': 'alter table t add y int',
      'migrations/2_x.down.sql': 'alter table t drop y',
    })
    await expectGood(app)
    const report = await cluster.hold('select count(*) from t', app.database)
    const run = app.start('migrate', 'down', '--json')
    await until('it was tried four times', () => warned(run.log()) >= 4)
    await loseLock(cluster, app)
    await report.release()
    await expectStopped(cluster, run)
    expect(
      await cluster.ask("select from pg_attribute where attrelid = 't'::regclass and attname = 'y'", app.database),
    ).toHaveLength(1)
  })
})

test.for(['SIGTERM', 'SIGINT'] as const)('%s in the pause before another try ends it at once', async (signal, {
  cluster,
  makeApp,
}) => {
  const app = await prepared(makeApp, { lockTimeout: '100ms' })
  await app.write({ 'migrations/2_x.sql': 'alter table t add y int' })
  const report = await cluster.hold('select count(*) from t', app.database)
  const run = app.start('migrate')
  await until('it was tried four times', () => warned(run.log()) >= 4)
  const askedAt = performance.now()
  run.child.kill(signal)
  expect((await run.finished).code).toBe(signal === 'SIGTERM' ? 143 : 130)
  expect(performance.now() - askedAt).toBeLessThan(8_000)
  await report.release()
  await nobodyLeft(cluster)
  await expectGood(app)
})

test('the session that works is ended within a file outside transactions: exit 10, and the next run continues there', async ({
  cluster,
  makeApp,
}) => {
  const app = await prepared(makeApp)
  await app.write({
    'migrations/2_x.sql': `-- pgbosun: no-transaction
      insert into log values ('a');
      ${sleepsOnce(30, 'commit;')};
      insert into log values ('b')`,
  })
  const run = app.start('migrate', '--json')
  await sleeping(cluster)
  await cluster.ask("select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'PgSleep'")
  await expectStopped(cluster, run)
  await goOn(cluster, app)
  await expectGood(app)
  expect(await ran(cluster, app)).toEqual(['a', 'b'])
})
