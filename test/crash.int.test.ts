import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { crc32 } from 'node:zlib'
import { describe, expect } from 'vitest'
import { type App, type Cluster, full, neverAgain, randomFrom, test, until } from './support/chaos.ts'
import type { Finished } from './support/cli.ts'

const ours = "application_name like 'pgbosun %'"
const names = (rows: { name: string }[]) => rows.map(({ name }) => name)

const waitUntil = (cluster: Cluster, what: string, condition: string) =>
  until(what, async () => (await cluster.ask(`select from pg_stat_activity where ${ours} and ${condition}`)).length > 0)
const sleeping = (cluster: Cluster) => waitUntil(cluster, 'a statement sleeps', "wait_event = 'PgSleep'")
const blocked = (cluster: Cluster) => waitUntil(cluster, 'a statement waits', "wait_event_type = 'Lock'")
const nobodyLeft = (cluster: Cluster) =>
  until('its sessions end', async () => (await cluster.ask(`select from pg_stat_activity where ${ours}`)).length === 0)

const tables = async (cluster: Cluster, { database }: App) =>
  names(
    await cluster.ask(
      "select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1",
      database,
    ),
  )
const history = async (cluster: Cluster, { database }: App) =>
  names(await cluster.ask("select name || ' ' || status as name from pgbosun.migrations order by seq", database))

/** Ends the session that holds the run lock. */
async function loseLock(cluster: Cluster, { database }: App) {
  const ended = await cluster.ask(`
    select pg_terminate_backend(pid) from pg_locks
     where locktype = 'advisory' and classid = 1885823599 and objid = ${crc32(database)}`)
  expect(ended).toHaveLength(1)
}

/** An index to be built outside a transaction, which waits for a writer. */
async function slowIndex(cluster: Cluster, app: App) {
  await app.write({ 'migrations/001_t.sql': 'create table t (x int)' })
  expectGood(await app.run('up'))
  await app.write({
    'migrations/002_index.sql': '-- pgbosun: no-transaction\ncreate index concurrently t_x on t (x)',
    'migrations/003_last.sql': 'create table last ()',
  })
  return cluster.hold('insert into t values (1)', app.database)
}

/** Exit code 0; else the log is part of the failure. */
const expectGood = ({ code, stderr }: Finished, context = '') => expect(code, `${context}\n${stderr}`).toBe(0)

/** The statement that takes long stands between two others. */
const files = (seconds: number) => ({
  'migrations/001_before.sql': 'create table before ()',
  'migrations/002_slow.sql': `create table slow (); select pg_sleep(${seconds})`,
  'migrations/003_after.sql': 'create table after ()',
})
const afterwards = {
  tables: ['after', 'before', 'slow'],
  history: ['001_before applied', '002_slow applied', '003_after applied'],
}

/** The next run, with a file that does not take long any more. */
async function expectGoodRun(cluster: Cluster, app: App) {
  await app.write({ 'migrations/002_slow.sql': files(0)['migrations/002_slow.sql'] })
  expectGood(await app.run('up'))
  expect({ tables: await tables(cluster, app), history: await history(cluster, app) }).toEqual(afterwards)
}

describe('kill -9', () => {
  const longStatements = [
    (seconds: number) => `select pg_sleep(${seconds});`,
    (seconds: number) =>
      `create table slept as select n from generate_series(1, 50) n where pg_sleep(${seconds / 50}) is not null;`,
    (seconds: number) =>
      `do $$ declare done timestamptz := clock_timestamp() + ${seconds} * interval '1s';
       begin while clock_timestamp() < done loop end loop; end $$;`,
  ]

  /** Each migration makes its table and notes in another that it was run. */
  async function makeVictim(makeApp: () => Promise<App>, longStatement: string) {
    const app = await makeApp()
    const body = (n: number) => `create table t${n} (); insert into runs values (${n});`
    await app.write({
      'migrations/001_a.sql': `create table runs (n int); ${body(1)}`,
      'migrations/002_b.sql': body(2),
      'migrations/003_c.sql': `${body(3)} ${longStatement}`,
      'migrations/004_d.sql': body(4),
      'migrations/005_e.sql': `create table things (id int primary key, name text); ${body(5)}`,
      'seeds/things.sql': "insert into things values (1, 'one'), (2, 'two')",
    })
    return app
  }

  const makeVictims = (makeApp: (extra: object) => Promise<App>) => (longStatement: string) =>
    makeVictim(() => makeApp({ seeds: [{ dir: 'seeds' }] }), longStatement)

  /** What is recorded and what was made, in one snapshot. */
  async function reality(cluster: Cluster, { database }: App) {
    const nothing = { recorded: [], made: [], ran: [] }
    if ((await cluster.ask(`select from pg_database where datname = '${database}'`)).length === 0) return nothing
    const [found] = await cluster.ask<{ state: boolean; runs: boolean }>(
      "select to_regclass('pgbosun.migrations') is not null as state, to_regclass('runs') is not null as runs",
      database,
    )
    const list = (query: string) => `coalesce((select json_agg(n order by n) from (${query}) q), '[]')`
    const none = 'select 0 as n where false'
    const [row] = await cluster.ask<typeof nothing>(
      `select ${list(found?.state ? 'select version::int as n from pgbosun.migrations' : none)} as recorded,
              ${list(found?.runs ? 'select n from runs' : none)} as ran,
              ${list("select substr(relname, 2)::int as n from pg_class where relname ~ '^t[0-9]$'")} as made`,
      database,
    )
    return row!
  }

  const kills = full ? 30 : 8
  test(`at ${kills} random moments: the next run converges and the history is what happened`, {
    ...neverAgain,
    timeout: kills * 30_000,
  }, async ({ cluster, makeApp }) => {
    const seed = Number(process.env.BOSUN_TEST_SEED ?? Date.now() % 1_000_000)
    console.info(`BOSUN_TEST_SEED=${seed}`)
    const random = randomFrom(seed)
    const victim = makeVictims(makeApp)

    const startedAt = performance.now()
    expectGood(await (await victim('')).run('up'))
    const usualMs = performance.now() - startedAt

    for (let i = 0; i < kills; i++) {
      const seconds = random() < 0.5 ? 1 : 3
      const app = await victim(longStatements[Math.floor(random() * longStatements.length)]!(seconds))
      const moment = ((i + random()) / kills) * (usualMs + seconds * 1000)
      const context = `kill ${i + 1} of seed ${seed}, after ${Math.round(moment)} ms of ${Math.round(usualMs)} + ${seconds} s`

      const { child, finished } = app.start('up')
      await sleep(moment)
      child.kill('SIGKILL')
      await finished
      const left = await reality(cluster, app)
      expect(left.made, context).toEqual(left.recorded)
      expect(left.ran, context).toEqual(left.recorded)

      const next = await app.run('up')
      expectGood(next, context)
      const all = [1, 2, 3, 4, 5]
      expect(await reality(cluster, app), context).toEqual({ recorded: all, made: all, ran: all })
      expect(await cluster.ask('select id from things order by id', app.database), context).toEqual([
        { id: 1 },
        { id: 2 },
      ])
      expect(
        await cluster.ask("select datname from pg_database where datname like '%\\_\\_create\\_%'"),
        context,
      ).toEqual([])
      expectGood(await app.run('plan', '--exit-code'), context)
    }
  })

  test('while the database is created: what its backend still finishes is removed', async ({ cluster, makeApp }) => {
    const app = await makeApp()
    const slow = await cluster.hold('lock table pg_database in exclusive mode')
    const killed = app.start('up')
    await blocked(cluster)
    killed.child.kill('SIGKILL')
    await killed.finished

    const next = app.start('up')
    await waitUntil(cluster, 'the next run waits for the backend', "query like '%pg_try_advisory_lock(1885823607, 1)%'")
    await slow.release()
    expectGood(await next.finished)
    expect(
      names(await cluster.ask(`select datname as name from pg_database where datname like '${app.database}%'`)),
    ).toEqual([app.database])
  })

  test('while an index is built outside a transaction: the next run builds it anew', async ({ cluster, makeApp }) => {
    const app = await makeApp()
    const writer = await slowIndex(cluster, app)
    const { child, finished } = app.start('up')
    await blocked(cluster)
    child.kill('SIGKILL')
    await finished

    expect(await history(cluster, app)).toEqual(['001_t applied', '002_index started'])
    const next = app.start('up')
    await writer.release()
    expectGood(await next.finished)
    expect(await history(cluster, app)).toEqual(['001_t applied', '002_index applied', '003_last applied'])
    expect(
      await cluster.ask(
        'select indexrelid::regclass::text as name, indisvalid from pg_index where indrelid = (select oid from pg_class where relname = $$t$$)',
        app.database,
      ),
    ).toEqual([{ name: 't_x', indisvalid: true }])
  })
})

describe('a server that restarts', () => {
  const roleLocked = async (cluster: Cluster) => void (await cluster.hold('lock table pg_authid in exclusive mode'))
  test.for([
    { during: 'a migration', mode: 'immediate', prepare: async () => {}, reached: sleeping, seeds: {} },
    { during: 'a migration', mode: 'fast', prepare: async () => {}, reached: sleeping, seeds: {} },
    {
      during: 'a seed',
      mode: 'fast',
      prepare: async () => {},
      reached: sleeping,
      seeds: { 'seeds/slow.sql': 'select pg_sleep(30)' },
    },
    { during: 'the creation of roles', mode: 'immediate', prepare: roleLocked, reached: blocked, seeds: {} },
  ] as const)('during $during ($mode): the run fails clearly, the next one is good', async ({
    mode,
    prepare,
    reached,
    seeds,
  }, { cluster, makeApp }) => {
    const seeded = Object.keys(seeds).length > 0
    const app = await makeApp(seeded ? { seeds: [{ dir: 'seeds' }] } : {})
    await app.write({ ...files(seeded ? 0 : 30), ...seeds })
    await prepare(cluster)
    const { finished } = app.start('up', '--json')
    await reached(cluster)
    await cluster.stop(mode)

    const { code, stdout, stderr } = await finished
    await cluster.start()
    expect(code).toBe(10)
    expect(JSON.parse(stdout).error).toMatchObject({
      kind: 'unreachable',
      message: 'the connection to the database was lost during the run',
    })
    expect(stderr).toContain('hint:  run it again once the database is back')
    if (seeded) await app.write({ 'seeds/slow.sql': 'select 1' })
    await expectGoodRun(cluster, app)
  })

  test('before the first change: the run waits again and does its work', async ({ cluster, makeApp }) => {
    const app = await makeApp()
    await app.write(files(0))
    await cluster.hold(`select pg_advisory_lock(1885823599, ${crc32(app.database) | 0})`)
    const { finished, log } = app.start('up')
    await until('it waits for the lock', () => log().includes('waiting for the lock of database'))
    await cluster.stop('immediate')
    await until('it waits for the server', () => log().includes('nothing is listening there'))
    await cluster.start()

    const { code, stderr } = await finished
    expect(code).toBe(0)
    expect(stderr).toContain('the connection was lost before anything was changed: waiting again')
    expect(await history(cluster, app)).toEqual(afterwards.history)
  })

  test('and does not come back: the run gives up after wait.timeout', async ({ cluster, makeApp }) => {
    const app = await makeApp({ wait: { timeout: '5s' } })
    await cluster.hold('select pg_advisory_lock(1885823599, 0)')
    const { finished, log } = app.start('up')
    await until('it waits for the lock', () => log().includes('waiting for the lock on roles and databases'))
    await cluster.stop('immediate')
    expect(await finished).toMatchObject({ code: 10, stderr: expect.stringContaining('did not accept work within 5s') })
    await cluster.start()
    expectGood(await app.run('up'))
  })
})

describe('a run that loses its lock', () => {
  test('stops before its next message', async ({ cluster, makeApp }) => {
    const app = await makeApp()
    await app.write(files(3))
    const { finished } = app.start('up', '--json')
    await sleeping(cluster)
    await loseLock(cluster, app)

    const { code, stdout } = await finished
    expect([code, JSON.parse(stdout).error.kind]).toEqual([10, 'unreachable'])
    await nobodyLeft(cluster)
    expect(await history(cluster, app)).not.toContain('003_after applied')
    expect(await tables(cluster, app)).not.toContain('after')
    await expectGoodRun(cluster, app)
  })

  test('lets a statement outside a transaction end and records it', async ({ cluster, makeApp }) => {
    const app = await makeApp()
    const writer = await slowIndex(cluster, app)
    const { finished } = app.start('up')
    await blocked(cluster)
    await loseLock(cluster, app)
    await sleep(500)
    await writer.release()

    expect(await finished).toMatchObject({ code: 10 })
    expect(await history(cluster, app)).toEqual(['001_t applied', '002_index applied'])
    expectGood(await app.run('up'))
    expect(await history(cluster, app)).toEqual(['001_t applied', '002_index applied', '003_last applied'])
  })
})

describe('a run that is asked to stop', () => {
  test.for([
    { signal: 'SIGTERM', exit: 143, kind: 'terminated' },
    { signal: 'SIGINT', exit: 130, kind: 'interrupted' },
  ] as const)('by $signal during a migration: ends at once with $exit, and the migration neither happens nor is recorded', async ({
    signal,
    exit,
    kind,
  }, { cluster, makeApp }) => {
    const app = await makeApp()
    const { 'migrations/001_before.sql': before, ...others } = files(30)
    await app.write({ 'migrations/001_before.sql': before })
    expectGood(await app.run('up'))
    await app.write(others)
    const { child, finished } = app.start('up', '--json')
    await sleeping(cluster)
    const askedAt = performance.now()
    child.kill(signal)

    const { code, stdout } = await finished
    expect(performance.now() - askedAt).toBeLessThan(8_000)
    expect(code).toBe(exit)
    expect(JSON.parse(stdout)).toMatchObject({
      exit_code: exit,
      error: { kind, message: expect.stringContaining(signal) },
    })
    await nobodyLeft(cluster)
    expect({ tables: await tables(cluster, app), history: await history(cluster, app) }).toEqual({
      tables: ['before'],
      history: ['001_before applied'],
    })
    await expectGoodRun(cluster, app)
  })

  test('while it waits for a lock ends at once', async ({ cluster, makeApp }) => {
    const app = await makeApp()
    const holder = await cluster.hold('select pg_advisory_lock(1885823599, 0)')
    const { child, finished, log } = app.start('up')
    await until('it waits for the lock', () => log().includes('waiting for the lock'))
    const askedAt = performance.now()
    child.kill('SIGTERM')
    expect(await finished).toMatchObject({ code: 143 })
    expect(performance.now() - askedAt).toBeLessThan(8_000)
    await holder.release()
  })

  test('while the server does not answer any more ends at once', async ({ cluster, makeApp }) => {
    const app = await makeApp()
    await app.write(files(30))
    const { child, finished } = app.start('up')
    await sleeping(cluster)
    const backends = await cluster.ask<{ pid: number }>(`select pid from pg_stat_activity where ${ours}`)
    for (const { pid } of backends) process.kill(pid, 'SIGSTOP')
    const askedAt = performance.now()
    child.kill('SIGTERM')
    const { code } = await finished
    for (const { pid } of backends) process.kill(pid, 'SIGCONT')
    expect(code).toBe(143)
    expect(performance.now() - askedAt).toBeLessThan(8_000)
    await expectGoodRun(cluster, app)
  })

  test('while it waits for a server that does not answer ends at once', async ({ makeApp }) => {
    const mute = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1')
    await once(mute, 'listening')
    const { port } = mute.address() as AddressInfo
    const app = await makeApp({ database: { url: { file: 'url' } } })
    await app.write({ url: `postgres://somebody:password@127.0.0.1:${port}/${app.database}` })
    const { child, finished } = app.start('up')
    await once(mute, 'connection')
    mute.close()
    const askedAt = performance.now()
    child.kill('SIGTERM')
    expect(await finished).toMatchObject({ code: 143 })
    expect(performance.now() - askedAt).toBeLessThan(8_000)
  })
})
