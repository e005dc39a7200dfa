import { describe, expect } from 'vitest'
import { runJson } from './support/cli.ts'
import { test as base, type Sql, urlOf, writeFiles } from './support/postgres.ts'

type Assertion = { name: string; sql: string; level?: 'error' | 'warning' }
type Health = {
  code: number | null
  json: Record<string, unknown> & {
    error: { message: string; hint: string } | null
    warnings: string[]
    assertions?: { name: string; ok: boolean | null; problem: string }[]
  }
}

type Shop = {
  name: string
  sql: Sql
  declare(assertions: Assertion[], more?: object): Promise<void>
  pgbosun(...args: string[]): Promise<Health>
}

/** A database with an owner of its own, and one row that is wrong once `break` has run. */
const test = base.extend<{ shop: Shop }>({
  shop: async ({ dir, database, sql }, use) => {
    await writeFiles(dir, {
      'migrations/1_t.sql': 'create table items (id int, price int); insert into items values (1, 5)',
    })
    const declare = (assertions: Assertion[], more: object = {}) =>
      writeFiles(dir, {
        'pgbosun.yaml': JSON.stringify({
          databases: { [database]: { owner: `${database}_owner` } },
          check: { assertions },
          ...more,
        }),
      })
    const pgbosun = (...args: string[]) =>
      runJson(args, { cwd: dir, env: { DATABASE_URL: urlOf(database) } }) as unknown as Promise<Health>
    await use({ name: database, sql, declare, pgbosun })
  },
})

const noNegative = { name: 'no negative prices', sql: 'select id from items where price < 0' }

describe('assertions about the data', () => {
  test('hold, or are an error of check and of up, or a warning if declared so', async ({ shop }) => {
    await shop.declare([noNegative, { name: 'there are items', sql: 'select count(*) > 0 from items;' }])
    expect((await shop.pgbosun('up')).code).toBe(0)
    const fine = await shop.pgbosun('check')
    expect([fine.code, fine.json.assertions?.map(({ ok }) => ok)]).toEqual([0, [true, true]])

    await shop.sql.unsafe('insert into items select -n, -n from generate_series(1, 200) n')
    for (const command of ['check', 'up', 'plan']) {
      const { code, json } = await shop.pgbosun(command)
      expect([command, code, json.error?.message]).toEqual([
        command,
        50,
        expect.stringContaining('assertion no negative prices does not hold: it returned 100 rows or more (id)'),
      ])
    }
    await shop.declare([{ ...noNegative, level: 'warning' }])
    for (const command of ['check', 'up']) {
      const { code, json } = await shop.pgbosun(command)
      expect([code, json.warnings]).toEqual([
        0,
        expect.arrayContaining([expect.stringContaining('no negative prices')]),
      ])
    }
  })

  test('that cannot be checked are not a success', async ({ shop }) => {
    await shop.declare([])
    await shop.pgbosun('up')
    await shop.declare([
      { name: 'typo', sql: 'select * from itemz' },
      { name: 'false', sql: 'select false' },
      { name: 'slow', sql: 'select pg_sleep(60)' },
      { name: 'write', sql: 'insert into items values (2, 2) returning id' },
      { name: 'hidden write', sql: 'with w as (delete from items returning id) select * from w' },
      { name: 'two', sql: 'select 1; drop table items' },
      { name: 'end', sql: 'commit' },
      { name: 'nothing', sql: '-- nothing' },
    ])
    const { code, json } = await shop.pgbosun('check')
    expect(code).toBe(50)
    expect(json.assertions?.map(({ name, ok, problem }) => [name, ok, problem])).toEqual([
      ['typo', false, expect.stringContaining('"itemz" does not exist (42P01)')],
      ['false', false, 'it is false'],
      ['slow', false, 'it took longer than 10 s'],
      ['write', false, expect.stringContaining('(42601)')],
      ['hidden write', false, expect.stringMatching(/failed: /)],
      ['two', false, 'it consists of 2 statements, but must be one query'],
      ['end', false, expect.stringContaining('(42601)')],
      ['nothing', false, 'it consists of 0 statements, but must be one query'],
    ])
    expect(await shop.sql`select id from items`).toEqual([{ id: 1 }])
  })

  test('run with no more rights than the owner, and the login for that is removed afterwards', async ({ shop }) => {
    const [, planted] = [await shop.declare([]), await shop.pgbosun('up')]
    expect(planted.code).toBe(0)
    await shop.sql.unsafe(`set role "${shop.name}_owner"; create table seen (who text, super boolean);
      create function planted() returns boolean language plpgsql as $$ begin
        perform set_config('role', 'none', false); 
        raise exception 'super: %, user: %', current_setting('is_superuser'), session_user; end $$;
      create view items2 as select planted(); reset role`)
    await shop.declare([{ name: 'planted', sql: 'select * from items2' }])
    const { code, json } = await shop.pgbosun('check')
    expect([code, json.assertions?.[0]?.problem]).toEqual([
      50,
      expect.stringMatching(/super: off, user: pgbosun_check_/),
    ])
    expect(await shop.sql`select rolname from pg_roles where rolname ~ '^pgbosun_check_'`).toEqual([])
  })

  test('are not checked by a user that cannot run them as the owner: a warning, never a success', async ({
    shop,
    dir,
  }) => {
    await shop.declare([noNegative])
    await shop.pgbosun('up')
    await shop.sql.unsafe(
      `create role "${shop.name}_ro" login password 'x' bypassrls; grant pg_read_all_data to "${shop.name}_ro"`,
    )
    const url = urlOf(shop.name, { name: `${shop.name}_ro`, password: 'x' })
    const { json } = (await runJson(['check'], { cwd: dir, env: { DATABASE_URL: url } })) as unknown as Health
    expect(json.assertions?.map(({ ok }) => ok)).toEqual([null])
    expect(json.warnings).toEqual(expect.arrayContaining([expect.stringMatching(/assertion/)]))
  })
})

describe('an assertion that calls a hostile function', () => {
  test('ends although the function switches the time limit off, or catches its error', async ({ shop }) => {
    await shop.declare([])
    await shop.pgbosun('up')
    await shop.sql.unsafe(`set role "${shop.name}_owner";
      create function unlimited() returns boolean language plpgsql immutable as $$ begin perform set_config('statement_timeout', '0', true); return true; end $$;
      create function deaf() returns boolean language plpgsql as $$ begin loop
        begin perform pg_sleep(60); exception when query_canceled then null; end; end loop; end $$; reset role`)
    await shop.declare([
      { name: 'unlimited', sql: 'select id from items, pg_sleep(60) where unlimited()' },
      { name: 'deaf', sql: 'select deaf()' },
      { name: 'after', sql: 'select true' },
    ])
    const startedAt = performance.now()
    const { code, json } = await shop.pgbosun('check')
    expect(performance.now() - startedAt).toBeLessThan(50_000)
    expect(code).toBe(50)
    expect(json.assertions?.map(({ name, ok, problem }) => [name, ok, problem])).toEqual([
      ['unlimited', false, 'it took longer than 10 s'],
      ['deaf', false, 'it took longer than 10 s'],
      ['after', true, null],
    ])
    expect(await shop.sql`select rolname from pg_roles where rolname ~ '^pgbosun_check_'`).toEqual([])
  })

  test('does not fill our memory with its rows', async ({ shop }) => {
    await shop.declare([])
    await shop.pgbosun('up')
    await shop.declare([{ name: 'huge', sql: "select n, repeat('x', 40000000) as big from generate_series(1, 100) n" }])
    const { code, json } = await shop.pgbosun('check')
    expect([code, json.assertions?.[0]?.problem]).toEqual([50, 'it returned 100 rows or more (n, big)'])
  })
})
