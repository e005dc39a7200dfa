import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { client } from './backup.ts'
import { runJson } from './cli.ts'
import { test as base, open, type Sql, uniqueName, urlOf, writeFiles } from './postgres.ts'
import { shapeOf } from './shape.ts'
import type { Part, Tool } from './tools/tool.ts'

export type Database = { name: string; sql: Sql }
type Fixtures = { databases: (count: number) => Promise<Database[]> }

/** `test` with any number of databases. */
export const test = base.extend<Fixtures>({
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

/** Writes a tool's folder with these migrations, in place of those that are there. */
export async function write(tool: Tool, cwd: string, parts: Part[]): Promise<void> {
  rmSync(join(cwd, 'migrations'), { recursive: true, force: true })
  await writeFiles(cwd, { 'migrations/.keep': '', ...tool.files(parts) })
}

type Env = Record<string, string>

/** Runs pgbosun with the tool's format. */
export const pgbosun = (tool: Tool, args: string[], cwd: string, { name }: Database, env: Env = {}) =>
  runJson(args, { cwd, env: { DATABASE_URL: urlOf(name), PGBOSUN_MIGRATE_FORMAT: tool.format, ...env } })

/** Runs `migrate` or another command, which has to succeed. @returns the names of what it did */
export async function withPgbosun(
  tool: Tool,
  cwd: string,
  database: Database,
  { env = {}, args = ['migrate'] }: { env?: Env; args?: string[] } = {},
): Promise<string[]> {
  const { code, json, stderr } = await pgbosun(tool, args, cwd, database, env)
  expect(code, stderr).toBe(0)
  return (json.results as { name: string }[]).map(({ name }) => name)
}

/** Runs the tool, which has to succeed. @returns what it printed */
export async function withTool(tool: Tool, cwd: string, { name }: Database, args = tool.up): Promise<string> {
  const { code, output } = await tool.run(args, { cwd, url: urlOf(name) })
  expect(code, output).toBe(0)
  return output
}

/** All that the tool keeps, but times. */
export const historyOf = (tool: Tool, { sql }: Database) => sql.unsafe(tool.history)

/** The whole schema as pg_dump writes it, without ours; where there is no pg_dump, as the catalogs have it. */
export async function schemaOf({ name, sql }: Database): Promise<string> {
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
export async function expectDone(tool: Tool, cwd: string, database: Database): Promise<void> {
  const before = [await historyOf(tool, database), await schemaOf(database)]
  expect(await withTool(tool, cwd, database)).toMatch(tool.nothing)
  expect(await withPgbosun(tool, cwd, database)).toEqual([])
  const { code, json } = await pgbosun(tool, ['migrate', 'status', '--exit-code'], cwd, database)
  expect([code, json.pending, json.problems]).toEqual([0, [], []])
  expect([await historyOf(tool, database), await schemaOf(database)]).toEqual(before)
}

/** What people have in their migrations: tables, keys, data, a function with a body, an index, a view, a comment, a type. */
export const parts: Part[] = [
  {
    up: 'create table users (id bigint generated always as identity primary key, email text not null unique);',
    down: 'drop table users;',
  },
  {
    up: `create table orders (id serial primary key, user_id bigint not null references users, note text default 'it''s; -- new');
insert into users (email) values ('a@example.com');
insert into orders (user_id) select id from users;`,
    down: 'drop table orders;\ndelete from users;',
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
