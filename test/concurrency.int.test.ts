import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { crc32 } from 'node:zlib'
import { describe, expect } from 'vitest'
import { test, until, withUsers } from './support/chaos.ts'
import { uniqueName } from './support/postgres.ts'

const lockOf = (name: string) => `1885823599, ${crc32(name) | 0}`

type Document = Record<string, unknown>
const stepsOf = (json: Document) => json.steps as { name: string; state: string; changes: unknown[] }[]
const changesOf = (json: Document) => stepsOf(json).flatMap(({ changes }) => changes)
const some = (rows: object[]) => rows.length > 0

describe('any number of runners at once', () => {
  test('twenty on an empty cluster: one works, the others find nothing to do', { timeout: 120_000 }, async ({
    cluster,
    makeApp,
  }) => {
    const [first, second] = [uniqueName('app'), uniqueName('app')]
    const app = await makeApp(
      {
        databases: { [first]: withUsers(first), [second]: withUsers(second) },
        seeds: [{ file: 'things.csv', table: 'things', key: ['id'] }],
      },
      first,
    )
    await app.write({
      'migrations/001_runs.sql': 'create table runs (migration int); insert into runs values (1)',
      'migrations/002_things.sql': 'create table things (id int primary key, name text); insert into runs values (2)',
      'migrations/003_slow.sql': 'insert into runs values (3); select pg_sleep(0.3)',
      'migrations/004_index.sql': '-- pgbosun: no-transaction\ncreate index concurrently by_name on things (name)',
      'migrations/005_last.sql': 'insert into runs values (5)',
      'things.csv': 'id,name\n1,one\n2,two\n',
    })

    const runs = await Promise.all(Array.from({ length: 20 }, () => app.runJson('up')))

    expect(runs.filter(({ code }) => code !== 0)).toEqual([])
    expect(runs.filter(({ json }) => changesOf(json).length > 0)).toHaveLength(1)
    expect(await cluster.ask('select migration from runs order by 1', first)).toEqual(
      [1, 2, 3, 5].map((migration) => ({ migration })),
    )
    expect(await cluster.ask('select version::int, status from pgbosun.migrations order by seq', first)).toEqual(
      [1, 2, 3, 4, 5].map((version) => ({ version, status: 'applied' })),
    )
    expect(await cluster.ask('select name from things order by id', first)).toEqual([{ name: 'one' }, { name: 'two' }])
    expect(await cluster.ask('select phase from pgbosun.events order by id', first)).toEqual([
      { phase: 'started' },
      { phase: 'finished' },
    ])
    expect(
      await cluster.ask(`select rolname from pg_roles where rolname like '${first}%' or rolname like '${second}%'`),
    ).toHaveLength(6)

    const again = await app.runJson('up')
    expect(again.code).toBe(0)
    expect(stepsOf(again.json).map(({ state }) => state)).toEqual(Array(6).fill('nothing'))
  })

  test('CREATE INDEX CONCURRENTLY does not wait for the five that wait for it', async ({ cluster, makeApp }) => {
    const app = await makeApp()
    await app.write({ 'migrations/001_t.sql': 'create table t (x int)' })
    await app.run('up')
    await app.write({
      'migrations/002_index.sql': '-- pgbosun: no-transaction\ncreate index concurrently t_x on t (x)',
    })
    const writer = await cluster.hold('insert into t values (1)', app.database)

    const runs = Array.from({ length: 6 }, () => app.start('up', '--json'))
    await until('one builds the index', () =>
      cluster
        .ask("select from pg_stat_activity where query like 'create index concurrently%' and state = 'active'")
        .then(some),
    )
    await until('five wait', () => runs.filter(({ log }) => log().includes('waiting for the lock')).length === 5)
    await sleep(1_500)
    await writer.release()

    const finished = await Promise.all(runs.map(({ finished }) => finished))
    expect(finished.filter(({ code }) => code !== 0)).toEqual([])
    expect(finished.filter(({ stdout }) => changesOf(JSON.parse(stdout)).length > 0)).toHaveLength(1)
    expect(
      await cluster.ask("select indisvalid from pg_index where indexrelid = 't_x'::regclass", app.database),
    ).toEqual([{ indisvalid: true }])
  })

  test('two with different targets, and their databases declared in opposite order, do not deadlock', async ({
    cluster,
    makeApp,
  }) => {
    const names = [uniqueName('db'), uniqueName('db')] as const
    const declared = (order: readonly string[]) => ({
      databases: Object.fromEntries(order.map((name) => [name, withUsers(name)])),
    })
    const apps = await Promise.all([
      makeApp(declared(names), names[0]),
      makeApp(declared([...names].reverse()), names[1]),
    ])
    for (const app of apps) await app.write({ 'migrations/001_slow.sql': 'create table t (); select pg_sleep(0.5)' })

    for (let round = 1; round <= 3; round++) {
      const runs = await Promise.all([...apps, ...apps].map((app) => app.run('up')))
      expect(runs.filter(({ code }) => code !== 0)).toEqual([])
    }
    for (const name of names) expect(await cluster.ask('select version from pgbosun.migrations', name)).toHaveLength(1)
  })
})

describe('the run lock', () => {
  test('is waited for as long as lock.timeout says, then its holder is named; commands that only read do not need it', async ({
    cluster,
    makeApp,
  }) => {
    const app = await makeApp({ lock: { timeout: '1s' } })
    await app.write({ 'migrations/001_t.sql': 'create table t ()' })
    expect((await app.run('up')).code).toBe(0)
    const holder = await cluster.hold(`select pg_advisory_lock(${lockOf(app.database)})`, 'postgres', 'a nightly job')

    const { code, json } = await app.runJson('up')
    expect([code, json.error?.kind]).toEqual([11, 'locked'])
    expect(json.error?.message).toContain('a nightly job')
    expect(json.error?.message).toContain(`pid ${holder.pid}`)
    const other = await cluster.hold('select pg_advisory_lock(1885823599, 0)')
    for (const command of ['plan', 'status', 'check', 'wait'])
      expect([command, (await app.run(command)).code]).toEqual([command, 0])

    await other.release()
    await holder.release()
    expect((await app.run('up')).code).toBe(0)
  })
})

describe('up -- COMMAND', () => {
  test('runs the command after success and ends with its code', async ({ makeApp }) => {
    const app = await makeApp()
    await app.write({ 'migrations/001_t.sql': 'create table t ()' })
    const { code, stdout } = await app.run('up', '--', 'sh', '-c', 'echo "hello $1"; exit 7', 'sh', 'there')
    expect(code).toBe(7)
    expect(stdout.trimEnd().split('\n').at(-1)).toBe('hello there')
  })

  test('passes SIGTERM on to the command', async ({ makeApp }) => {
    const app = await makeApp()
    const { child, finished, out } = app.start(
      'up',
      '--',
      'sh',
      '-c',
      'trap "echo asked to stop; exit 9" TERM; echo it runs; while :; do sleep 0.05; done',
    )
    await until('the command runs', () => out().includes('it runs'))
    child.kill('SIGTERM')
    expect(await finished).toMatchObject({ code: 9, stdout: expect.stringContaining('asked to stop') })
  })

  test('does not run the command after a failure', async ({ makeApp }) => {
    const app = await makeApp()
    await app.write({ 'migrations/001_typo.sql': 'create tabel t ()' })
    expect((await app.run('up', '--', 'touch', 'was-run')).code).toBe(20)
    expect(existsSync(join(app.cwd, 'was-run'))).toBe(false)
  })
})
