import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { type App, type Cluster, full, neverAgain, randomFrom, test, until } from './support/chaos.ts'

const rows = 400_000

/** What the files below find there. */
const prepared = `create table t (id int, x int);
  insert into t select i, i from generate_series(1, ${rows}) i;
  create index old_one on t (x); create index re on t (id, x);
  create table log (what text);
  create procedure slowly() language plpgsql as $$ begin for i in 1..20 loop perform pg_sleep(0.005); commit; end loop; end $$;
  create table part (id int) partition by range (id);
  create table part_1 partition of part for values from (0) to (10)`

/** Every kind of statement that runs outside a transaction, and some that could run in one. */
const statements = (major: number) => [
  `insert into log values ('first')`,
  'create index concurrently t_x on t (x)',
  'create index concurrently on t (id)',
  `begin; insert into log values ('group 1'); insert into log values ('group 2'); commit`,
  'vacuum t',
  'drop index concurrently old_one',
  `insert into log values ('middle')`,
  'do $$ begin for i in 1..20 loop perform pg_sleep(0.005); commit; end loop; end $$',
  'call slowly()',
  'reindex index concurrently re',
  ...(major >= 14 ? ['alter table part detach partition part_1 concurrently'] : []),
  `insert into log values ('last')`,
]

async function prepare(app: App, cluster: Cluster, folder: (name: string, text: string) => Record<string, string>) {
  await app.write(folder('1_prepared', prepared))
  const { code, stderr } = await app.run('up')
  expect(code, stderr).toBe(0)
  await cluster.ask('analyze', app.database)
}

async function expectDone(app: App, cluster: Cluster) {
  const ask = <Row extends object>(query: string) => cluster.ask<Row>(query, app.database)
  expect(await ask('select what, count(*)::int as n from log group by 1 order by 1')).toEqual(
    ['first', 'group 1', 'group 2', 'last', 'middle'].map((what) => ({ what, n: 1 })),
  )
  expect(
    await ask(
      `select c.relname as name, indisvalid as valid from pg_index join pg_class c on c.oid = indexrelid
        where indrelid = 't'::regclass order by 1`,
    ),
  ).toEqual(['re', 't_id_idx', 't_x'].map((name) => ({ name, valid: true })))
}

const formats = [
  {
    format: 'pgbosun',
    folder: (name: string, text: string) => ({ [`migrations/${name}.sql`]: text }),
    alone: '-- pgbosun: no-transaction\n',
    history: "select name || ' ' || status as name from pgbosun.migrations order by seq",
    expected: ['1_prepared applied', '2_split applied'],
  },
  {
    format: 'golang-migrate',
    folder: (name: string, text: string) => ({ [`migrations/${name}.up.sql`]: text }),
    alone: '',
    history: "select version || ' ' || dirty as name from schema_migrations",
    expected: ['2 false'],
  },
]

describe.each(formats)('kill -9 at random moments of a file outside transactions, $format', (one) => {
  const { format, folder, alone, history, expected } = one
  const kills = full ? 30 : 12
  const table = format === 'pgbosun' ? 'migrations' : 'migration_details'

  test(`${kills} times: the next run continues, and everything happened once`, {
    ...neverAgain,
    timeout: 600_000,
  }, async ({ cluster, makeApp }) => {
    const random = randomFrom(7)
    const stops = new Set<string>()
    const fewest = full ? 4 : 2
    let killed = 0
    // On a busy machine the first kills may all come early: it goes on until some came later.
    while (killed < kills || (stops.size < fewest && killed < 5 * kills)) {
      const app = await makeApp({ migrate: { format } })
      await prepare(app, cluster, folder)
      await app.write(folder('2_split', `${alone}${statements(cluster.major).join(';\n')}`))
      const enough = killed + kills
      for (let done = false; !done && killed < enough; ) {
        const { child, finished } = app.start('migrate')
        await until('it begins or ends', async () => child.exitCode !== null || (await begun(cluster)))
        // Mostly soon after, but long enough now and then to get beyond the statement that was interrupted the last time.
        await sleep(random() ** 2 * 600)
        child.kill('SIGKILL')
        done = (await finished).signal !== 'SIGKILL'
        if (!done) killed++
        for (const { at } of await cluster.ask<{ at: string }>(progress(table), app.database)) stops.add(at)
      }
      const { code, stderr } = await app.run('migrate')
      expect(code, stderr).toBe(0)
      await expectDone(app, cluster)
      expect((await cluster.ask<{ name: string }>(history, app.database)).map(({ name }) => name)).toEqual(expected)
    }
    // Otherwise the kills were not where they should be.
    expect(stops.size).toBeGreaterThanOrEqual(fewest)
  })
})

describe('kill -9 while a statement waits for another transaction', () => {
  test.for([
    { statement: 'create index concurrently t_x on t (x)', expected: ['re', 't_x'], since: 13 },
    { statement: 'create index concurrently on t (x)', expected: ['re', 't_x_idx'], since: 13 },
    { statement: 'drop index concurrently re', expected: [], since: 13 },
    { statement: 'reindex table concurrently t', expected: ['re'], since: 13 },
    { statement: 'alter table part detach partition part_1 concurrently', expected: ['re'], since: 14 },
  ])('$statement', async ({ statement, expected, since }, { cluster, makeApp }) => {
    if (cluster.major < since) return expect(cluster.major).toBe(13)
    const app = await makeApp()
    await app.write({
      'migrations/1_prepared.sql': `create table t (x int); create index re on t (x); create table log (what text);
        create table part (id int) partition by range (id); create table part_1 partition of part for values from (0) to (9)`,
    })
    expect((await app.run('up')).code).toBe(0)
    await app.write({
      'migrations/2_split.sql': `-- pgbosun: no-transaction\ninsert into log values ('first');\n${statement};\ninsert into log values ('last')`,
    })
    const other = await cluster.hold('insert into t values (1); select from part', app.database)
    const { child, finished } = app.start('migrate')
    await until('it waits', async () => {
      const query = `select from pg_stat_activity where application_name like 'pgbosun %' and wait_event_type = 'Lock'`
      return (await cluster.ask(query)).length
    })
    child.kill('SIGKILL')
    await finished
    expect(await cluster.ask(progress('migrations'), app.database)).toEqual([{ at: '1true' }])
    const next = app.start('migrate')
    await sleep(1_000)
    await other.release()
    const { code, stderr } = await next.finished
    expect(code, stderr).toBe(0)
    expect(await cluster.ask('select what from log', app.database)).toEqual([{ what: 'first' }, { what: 'last' }])
    expect(
      await cluster.ask(
        "select c.relname as name, indisvalid as valid from pg_index join pg_class c on c.oid = indexrelid where indrelid = 't'::regclass order by 1",
        app.database,
      ),
    ).toEqual(expected.map((name) => ({ name, valid: true })))
    const attached = statement.includes('detach') ? 0 : 1
    expect(await cluster.ask('select from pg_inherits', app.database)).toHaveLength(attached)
  })
})

/** Where the last run stopped. */
const progress = (table: 'migrations' | 'migration_details') =>
  `select (progress ->> 'done') || (progress ->> 'running') as at from pgbosun.${table} where progress is not null`

/** Whether a statement of ours is under way. */
const begun = async (cluster: Cluster) =>
  (
    await cluster.ask(
      `select from pg_stat_activity where application_name like 'pgbosun %' and backend_xmin is not null and query !~ 'pg_stat'`,
    )
  ).length > 0

describe('a server that restarts in the middle of a file outside transactions', () => {
  test.for(formats)('while an index without a name is built, $format: one of it is there in the end', async (one, {
    cluster,
    makeApp,
  }) => {
    const { format, folder, alone, history, expected } = one
    const app = await makeApp({ migrate: { format } })
    await app.write(folder('1_prepared', 'create table t (x int); create index on t (x)'))
    expect((await app.run('up')).code).toBe(0)
    await app.write(folder('2_split', `${alone}create index concurrently on t (x);\ninsert into t values (1)`))
    const writer = await cluster.hold('insert into t values (2)', app.database)
    const { finished } = app.start('migrate')
    await until('it waits', async () => {
      const query =
        "select from pg_stat_activity where query like 'create index concurrently%' and wait_event_type = 'Lock'"
      return (await cluster.ask(query)).length
    })
    await cluster.stop('immediate')
    await writer.release()
    const { code, stderr } = await finished
    expect(code, stderr).toBe(10)
    await cluster.start()
    const next = await app.run('migrate')
    expect(next.code, next.stderr).toBe(0)
    expect(
      await cluster.ask('select indisvalid as valid from pg_index where indrelid = $$t$$::regclass', app.database),
    ).toEqual([{ valid: true }, { valid: true }])
    expect(await cluster.ask('select x from t', app.database)).toEqual([{ x: 1 }])
    expect((await cluster.ask<{ name: string }>(history, app.database)).map(({ name }) => name)).toEqual(expected)
  })

  test.for(['immediate', 'fast'] as const)('%s: the run ends with 10, the next one is good', async (mode, {
    cluster,
    makeApp,
  }) => {
    const app = await makeApp()
    await app.write({ 'migrations/1_prepared.sql': 'create table log (what text)' })
    await app.run('up')
    await app.write({
      'migrations/2_split.sql': `-- pgbosun: no-transaction
        insert into log values ('first');
        do $$ begin if (select count(*) from log) = 1 then insert into log values ('once'); commit; perform pg_sleep(30); end if; end $$;
        insert into log values ('last')`,
    })
    const { finished } = app.start('migrate')
    await until(
      'it sleeps',
      async () => (await cluster.ask("select from pg_stat_activity where wait_event = 'PgSleep'")).length,
    )
    await cluster.stop(mode)
    expect((await finished).code).toBe(10)
    await cluster.start()
    const { code, stderr } = await app.run('migrate')
    expect(code, stderr).toBe(0)
    expect(stderr).toContain('running its interrupted DO')
    expect(await cluster.ask('select what from log', app.database)).toEqual(
      ['first', 'once', 'last'].map((what) => ({ what })),
    )
  })
})
