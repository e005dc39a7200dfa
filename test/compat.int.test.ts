import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { client } from './support/backup.ts'
import { runJson } from './support/cli.ts'
import { test as base, open, type Sql, uniqueName, urlOf } from './support/postgres.ts'
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

/** Runs pgbosun with the tool's format. */
const pgbosun = (tool: Tool, args: string[], cwd: string, { name }: Database) =>
  runJson(args, {
    cwd,
    env: { DATABASE_URL: urlOf(name), PGBOSUN_MIGRATE_FORMAT: tool.format },
  })

async function withPgbosun(tool: Tool, cwd: string, database: Database): Promise<string[]> {
  const { code, json, stderr } = await pgbosun(tool, ['migrate'], cwd, database)
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
  if (!client)
    return [...(await shapeOf(sql, 'public')), ...(await shapeOf(sql, 'graphile_migrate').catch(() => []))].join('\n')
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
