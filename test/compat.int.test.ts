import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { client } from './support/backup.ts'
import { runJson } from './support/cli.ts'
import { test as base, open, type Sql, uniqueName, urlOf, writeFiles } from './support/postgres.ts'
import { shapeOf } from './support/shape.ts'
import { installTools, type Tool } from './support/tools.ts'

const tools = await installTools()

/** What people have in their migrations: tables, keys, data, a function with a body, an index, a view, a comment, a type. */
const parts = [
  {
    up: 'create table users (id bigint generated always as identity primary key, email text not null unique);',
    down: 'drop table users;',
  },
  {
    up: `create table orders (id serial primary key, user_id bigint not null references users, note text default 'it''s; -- new');
insert into users (email) values ('a@example.com');
insert into orders (user_id) select id from users;`,
    down: 'drop table orders;',
  },
  {
    up: `create function count_orders(bigint) returns bigint language plpgsql stable as $body$
begin
  -- a comment; with a semicolon
  return (select count(*) from orders where user_id = $1);
end
$body$;`,
    down: 'drop function count_orders(bigint);',
  },
  {
    up: `create type state as enum ('new', 'paid');\nalter table orders add column state state not null default 'new';`,
    down: 'alter table orders drop column state; drop type state;',
  },
  {
    up: `create view unpaid as select * from orders where state = 'new';\ncomment on view unpaid is 'äöü';`,
    down: 'drop view unpaid;',
  },
  {
    up: "create index orders_user on orders (user_id);\nalter table users add check (email like '%@%');",
    down: 'drop index orders_user; alter table users drop constraint users_email_check;',
  },
]

type Database = { name: string; sql: Sql }
type Fixtures = { databases: (count: number) => Promise<Database[]> }

const test = base.extend<Fixtures>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest demands the destructuring
  databases: async ({}, use) => {
    const made: Database[] = []
    await use(async (count) => {
      const admin = open('postgres')
      for (let i = 0; i < count; i++) {
        const name = uniqueName('compat')
        await admin.unsafe(`create database ${name}`)
        made.push({ name, sql: open(name) })
      }
      await admin.end()
      return made
    })
    for (const { sql } of made) await sql.end({ timeout: 1 })
  },
})

type Env = Record<string, string>

/** Runs pgbosun with the tool's format. */
const pgbosun = (tool: Tool, args: string[], cwd: string, { name }: Database, env: Env = {}) =>
  runJson(args, { cwd, env: { DATABASE_URL: urlOf(name), PGBOSUN_MIGRATE_FORMAT: tool.format, ...env } })

async function withPgbosun(tool: Tool, cwd: string, database: Database, env: Env = {}): Promise<string[]> {
  const { code, json, stderr } = await pgbosun(tool, ['migrate'], cwd, database, env)
  expect(code, stderr).toBe(0)
  return (json.results as { name: string }[]).map(({ name }) => name)
}

async function withTool(tool: Tool, cwd: string, { name }: Database, args = tool.up): Promise<string> {
  const { code, output } = await tool.run(args, { cwd, url: urlOf(name) })
  expect(code, output).toBe(0)
  return output
}

const histories: Record<Tool['format'], string> = {
  dbmate: 'select version from schema_migrations order by version',
  'node-pg-migrate': 'select id, name from pgmigrations order by run_on, id',
  'graphile-migrate': 'select hash, previous_hash, filename from graphile_migrate.migrations order by date',
}

/** All that the tool keeps, but times. */
const historyOf = (tool: Tool, { sql }: Database) => sql.unsafe(histories[tool.format])

/** The whole schema as pg_dump writes it, without ours; where there is no pg_dump, as the catalogs have it. */
async function schemaOf({ name, sql }: Database): Promise<string> {
  if (!client) {
    const schemas = await sql<{ name: string }[]>`
      select nspname as name from pg_namespace where nspname !~ '^pg_' and nspname not in ('pgbosun', 'information_schema') order by 1`
    const lines = await Promise.all(schemas.map(async ({ name }) => [`schema ${name}`, ...(await shapeOf(sql, name))]))
    return lines.flat().join('\n')
  }
  const text = execFileSync(join(client.dir, 'pg_dump'), ['-s', '-N', 'pgbosun', urlOf(name)], { encoding: 'utf8' })
  return text.replaceAll(/^\\(un)?restrict .*$/gm, '')
}

/** Both agree that nothing is left to do, and change nothing. */
async function expectDone(tool: Tool, cwd: string, database: Database): Promise<void> {
  const before = [await historyOf(tool, database), await schemaOf(database)]
  expect(await withTool(tool, cwd, database)).toMatch(tool.nothing)
  expect(await withPgbosun(tool, cwd, database)).toEqual([])
  const { code, json } = await pgbosun(tool, ['migrate', 'status', '--exit-code'], cwd, database)
  expect([code, json.pending, json.problems]).toEqual([0, [], []])
  expect([await historyOf(tool, database), await schemaOf(database)]).toEqual(before)
}

for (const tool of tools ?? []) {
  describe(`taking turns with ${tool.format}`, () => {
    test('leaves the same history and the same schema, whoever did which half', async ({ databases, dir }) => {
      const [all, itFirst, weFirst, onlyWe] = (await databases(4)) as [Database, Database, Database, Database]
      const names = parts.map(
        (_, i) =>
          `${String(i + 1).padStart(tool.format === 'graphile-migrate' ? 6 : 3, '0')}${tool.format === 'graphile-migrate' ? '-' : '_'}part`,
      )

      await tool.write(dir, parts.slice(0, 3))
      await withTool(tool, dir, itFirst)
      expect(await withPgbosun(tool, dir, weFirst)).toEqual(names.slice(0, 3))
      await tool.write(dir, parts)
      await withTool(tool, dir, all)
      expect(await withPgbosun(tool, dir, itFirst)).toEqual(names.slice(3))
      await withTool(tool, dir, weFirst)
      expect(await withPgbosun(tool, dir, onlyWe)).toEqual(names)

      const [history, schema] = [await historyOf(tool, all), await schemaOf(all)]
      expect(history).toHaveLength(parts.length)
      expect(schema).toContain('orders_user')
      for (const database of [itFirst, weFirst, onlyWe]) {
        expect(await historyOf(tool, database)).toEqual(history)
        expect(await schemaOf(database)).toBe(schema)
      }
      for (const database of [all, itFirst, weFirst, onlyWe]) await expectDone(tool, dir, database)
    })

    test('`auto` takes the folder for what it is', async ({ databases, dir }) => {
      const [database] = (await databases(1)) as [Database]
      await tool.write(dir, parts.slice(0, 2))
      expect(await withPgbosun(tool, dir, database, { PGBOSUN_MIGRATE_FORMAT: 'auto' })).toHaveLength(2)
      expect(await withTool(tool, dir, database)).toMatch(tool.nothing)
    })

    test('turn by turn, one migration each', async ({ databases, dir }) => {
      const [all, turns] = (await databases(2)) as [Database, Database]
      for (const [i] of parts.entries()) {
        await tool.write(dir, parts.slice(0, i + 1))
        if (i % 2 === 0) await withTool(tool, dir, turns)
        else expect(await withPgbosun(tool, dir, turns)).toHaveLength(1)
      }
      await withTool(tool, dir, all)
      expect(await historyOf(tool, turns)).toEqual(await historyOf(tool, all))
      expect(await schemaOf(turns)).toBe(await schemaOf(all))
      await expectDone(tool, dir, turns)
    })

    test('a failure in the third of five leaves exactly the first two, for either to go on with', async ({
      databases,
      dir,
    }) => {
      const [database, all] = (await databases(2)) as [Database, Database]
      const broken = parts
        .slice(0, 5)
        .map((part, i) => (i === 2 ? { ...part, up: `${part.up}\nselect nothing_of_this;` } : part))
      await tool.write(dir, broken)
      const { code, json } = await pgbosun(tool, ['migrate'], dir, database)
      expect([code, json.error?.sqlstate]).toEqual([20, '42703'])
      expect(await historyOf(tool, database)).toHaveLength(2)
      expect(await schemaOf(database)).not.toContain('count_orders')

      await tool.write(dir, parts)
      await withTool(tool, dir, database)
      await withTool(tool, dir, all)
      expect(await schemaOf(database)).toBe(await schemaOf(all))
      await expectDone(tool, dir, database)
    })
  })
}

const withDown = (tools ?? []).filter(({ format }) => format !== 'graphile-migrate')

for (const tool of withDown) {
  const itsDown = tool.format === 'dbmate' ? ['rollback'] : ['down']

  test(`${tool.format} undoes what we applied, and we what it applied`, async ({ databases, dir }) => {
    const [ours, its, reference] = (await databases(3)) as [Database, Database, Database]
    await tool.write(dir, parts)
    await withPgbosun(tool, dir, ours)
    await withTool(tool, dir, its)
    for (let i = 0; i < 3; i++) {
      await withTool(tool, dir, ours, itsDown)
      const { code, stderr } = await pgbosun(tool, ['migrate', 'down'], dir, its)
      expect(code, stderr).toBe(0)
    }
    await tool.write(dir, parts.slice(0, 3))
    await withTool(tool, dir, reference)
    for (const database of [ours, its]) {
      expect(await historyOf(tool, database)).toEqual(await historyOf(tool, reference))
      expect(await schemaOf(database)).toBe(await schemaOf(reference))
      await expectDone(tool, dir, database)
    }
  })
}

const named = (format: Tool['format']) => {
  const tool = tools?.find((tool) => tool.format === format)
  if (!tool) throw new Error(`${format} is not there`)
  return tool
}

describe.skipIf(!tools)('what a tool does to its session', () => {
  test('node-pg-migrate: tables come into the schema of its option, not into that of the user', async ({
    databases,
    dir,
  }) => {
    const tool = named('node-pg-migrate')
    const [its, ours] = (await databases(2)) as [Database, Database]
    const [row] = await its.sql<{ user: string }[]>`select quote_ident(current_user) as user`
    await tool.write(dir, parts)
    for (const { sql } of [its, ours]) await sql.unsafe(`create schema ${row?.user}; create schema app`)
    await withTool(tool, dir, its)
    await withPgbosun(tool, dir, ours)
    expect(await schemaOf(ours)).toBe(await schemaOf(its))

    await withTool(tool, dir, its, ['up', '--schema', 'app'])
    await withPgbosun(tool, dir, ours, { PGBOSUN_MIGRATE_TABLE: 'app.pgmigrations' })
    expect(await schemaOf(ours)).toBe(await schemaOf(its))
    expect(await withTool(tool, dir, ours, ['up', '--schema', 'app'])).toMatch(tool.nothing)
    expect(await ours.sql`select count(*)::int as tables from pg_class where relname = 'orders'`).toEqual([
      { tables: 2 },
    ])
  })

  test('graphile-migrate: pgSettings, placeholders, and a migration outside a transaction', async ({
    databases,
    dir,
  }) => {
    const tool = named('graphile-migrate')
    const [its, ours] = (await databases(2)) as [Database, Database]
    await tool.write(dir, [
      {
        up: "create table users (id int, email text);\ncomment on table users is ':DATABASE_OWNER of :REGION';",
        down: '',
      },
      { up: '--! no-transaction\ncreate index concurrently users_email on users (email);', down: '' },
      { up: 'create view emails as select email from users;\ngrant select on emails to :DATABASE_OWNER;', down: '' },
    ])
    await writeFiles(dir, {
      '.gmrc': `{
        // JSON5, as \`graphile-migrate init\` writes it
        "pgSettings": { "search_path": "app, public", },
        "placeholders": { ":REGION": "eu" },
      }`,
    })
    for (const { sql } of [its, ours]) await sql.unsafe('create schema app')
    await withTool(tool, dir, its)
    expect(await withPgbosun(tool, dir, ours)).toHaveLength(3)
    expect(await schemaOf(ours)).toBe(await schemaOf(its))
    expect(await historyOf(tool, ours)).toEqual(await historyOf(tool, its))
    expect(await ours.sql`select tablename, indexname from pg_indexes where schemaname = 'app'`).toEqual([
      { tablename: 'users', indexname: 'users_email' },
    ])
    await expectDone(tool, dir, ours)
  })
})

const locks = [
  { format: 'node-pg-migrate', key: '7241865325823964', says: /Another migration is already running/ },
  { format: 'graphile-migrate', key: '4727445306447283', says: /Failed to get exclusive lock/ },
] as const

test.skipIf(!tools).for(locks)(
  '$format and we keep out of each other’s way',
  async ({ format, key, says }, { databases, dir }) => {
    const tool = named(format)
    const [database] = (await databases(1)) as [Database]
    await tool.write(dir, [{ up: 'select pg_sleep(4);', down: '' }])

    const working = withPgbosun(tool, dir, database)
    await expect
      .poll(
        () => database.sql`select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'`,
        { timeout: 20_000 },
      )
      .toHaveLength(1)
    const { code, output } = await tool.run(tool.up, { cwd: dir, url: urlOf(database.name) })
    expect([code, output]).toEqual([1, expect.stringMatching(says)])
    expect(await working).toHaveLength(1)

    await tool.write(dir, [{ up: 'select pg_sleep(4);', down: '' }, parts[0] as (typeof parts)[number]])
    const refused = await database.sql.begin(async (sql) => {
      await sql.unsafe(`select pg_advisory_lock(${key})`)
      const answer = await pgbosun(tool, ['migrate'], dir, database, { PGBOSUN_LOCK_TIMEOUT: '1s' })
      await sql.unsafe(`select pg_advisory_unlock(${key})`)
      return answer
    })
    expect([refused.code, refused.json.error?.message]).toEqual([11, expect.stringContaining(format)])
    expect(await withPgbosun(tool, dir, database)).toHaveLength(1)
  },
)
