import { expect } from 'vitest'
import { runJson, type Started, start } from './support/cli.ts'
import { test as base, type Sql, urlOf, writeFiles } from './support/postgres.ts'
import { openOne } from './support/roles.ts'

type Handover = {
  name: string
  owner: string
  /** Whose things are handed to the owner, and who would like to have the owner's rights. */
  legacy: string
  sql: Sql
  declare(reassign: object, more?: object): Promise<void>
  up(): Promise<{ code: number | null; message: string; objects: string[] }>
  start(): Started
}

/** A database whose owner has a secret, and a role that may create objects there. */
const test = base.extend<{ handover: Handover }>({
  handover: async ({ dir, database: name, sql }, use) => {
    const [owner, legacy] = [`${name}_owner`, `${name}_old`]
    await sql.unsafe(`create role "${owner}"; create role "${legacy}"; alter database ${name} owner to "${owner}";
      grant all on schema public to "${owner}", "${legacy}";
      set role "${owner}"; create table secret (id int); insert into secret values (1); reset role`)
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(name) } }
    await use({
      name,
      owner,
      legacy,
      sql,
      declare: (reassign, more = {}) =>
        writeFiles(dir, { 'pgbosun.yaml': JSON.stringify({ databases: { [name]: { owner, reassign } }, ...more }) }),
      async up() {
        const { code, json } = await runJson(['up'], options)
        const steps = json.steps as { changes: { object: string }[] }[]
        const { message = '' } = (json.error ?? {}) as { message?: string }
        return { code, message, objects: steps.flatMap(({ changes }) => changes.map(({ object }) => object)) }
      },
      start: () => start(['up', '--json'], options),
    })
  },
})

test('a view and a rule that would gain access to more with the rights of the owner are refused by name', async ({
  handover,
}) => {
  const { sql, legacy } = handover
  await sql.unsafe(`set role "${legacy}"; create table mine (id int); create view own as select * from mine;
    create view spy as select * from secret; grant select on spy to public;
    create table trap (id int); grant insert on trap to public; create rule r as on insert to trap do also delete from secret; reset role`)
  await handover.declare([legacy])
  const { code, message } = await handover.up()
  expect([code, message]).toEqual([
    12,
    expect.stringMatching(/these run: table public\.trap of .*, view public\.spy of/),
  ])
  expect(message).not.toContain('public.own')
})

test('a view of tables that its owner may use needs no confirmation', async ({ handover }) => {
  const { sql, legacy, owner } = handover
  await sql.unsafe(`grant select on secret to "${legacy}"; set role "${legacy}"; create view allowed as select count(*) from secret; reset role;
    create view by_admin as select * from secret; create table mixed (id int); set role "${owner}"; create view theirs as select 1; reset role`)
  await handover.declare([legacy, 'postgres'])
  expect(await handover.up()).toMatchObject({ code: 0, message: '' })
  expect(await handover.up()).toMatchObject({ code: 0, objects: [] })
})

test('a function in an index, which runs with the rights of the owner of its table, is refused by name', async ({
  handover,
}) => {
  const { sql, legacy } = handover
  await sql.unsafe(`set role "${legacy}"; create table t (id int); create function planted(int) returns int language sql immutable as 'select 1';
    create index on t (planted(id)); create table plain (id int); create index on plain (abs(id));
    create materialized view m as select planted(id) from t; reset role`)
  await handover.declare([legacy])
  const { code, message } = await handover.up()
  expect([code, message]).toEqual([12, expect.stringMatching(/materialized view public\.m of .*, table public\.t of/)])
  expect(message).not.toContain('public.plain')
})

test('an object that has changed since the plan keeps its owner', async ({ handover }) => {
  const { sql, legacy, name } = handover
  await sql.unsafe(`create schema z; grant all on schema z to "${legacy}"; set role "${legacy}"; create table a (id int);
    create function z.f() returns text language sql as 'select current_user::text'; create table z.v (id int); reset role`)
  await handover.declare([legacy], { migrate: { lockTimeout: '300ms' } })
  const blocker = openOne(name)
  await blocker.unsafe('begin; lock table a')
  const { finished } = handover.start()
  const waiting = async () =>
    (await sql`select count(*)::int as n from pg_locks where not granted and relation = 'a'::regclass`)[0]!.n
  await expect.poll(waiting, { timeout: 20_000 }).toBeGreaterThan(0)
  await sql.unsafe(`set role "${legacy}"; alter function z.f() security definer; drop table z.v;
    create view z.v as select * from secret; grant select on z.v to public; reset role`)
  await blocker.unsafe('rollback')
  await blocker.end()
  expect([(await finished).code, (await handover.up()).code]).toEqual([12, 12])
  const owned =
    await sql`select pg_get_userbyid(proowner) as owner from pg_proc where proname = 'f' union all select pg_get_userbyid(relowner) from pg_class where relname = 'v'`
  expect(owned).toEqual([{ owner: legacy }, { owner: legacy }])
})

test('objects that only superusers can create, or that superusers run unknowingly, keep their owner', async ({
  handover,
}) => {
  const { sql, owner } = handover
  await sql.unsafe(`create function on_ddl() returns event_trigger language plpgsql as 'begin end'; create event trigger "${owner}_et" on ddl_command_end execute function on_ddl();
    create function raw(text) returns int language internal as 'int4abs'; revoke execute on function raw(text) from public;
    create function plain() returns int language sql as 'select 1'; create type span as range (subtype = int); create aggregate agg(int) (sfunc = int4pl, stype = int)`)
  await handover.declare(['postgres'])
  expect(await handover.up()).toMatchObject({ code: 0, message: '' })
  const rows =
    await sql`select proname as name, pg_get_userbyid(proowner) as owner from pg_proc where pronamespace = 'public'::regnamespace and proname <> 'span_multirange' order by 1, 2`
  expect(rows.map(({ name, owner }) => `${name} ${owner}`)).toEqual([
    `agg ${owner}`,
    'on_ddl postgres',
    `plain ${owner}`,
    'raw postgres',
    'span postgres',
    'span postgres',
  ])
  expect(await handover.up()).toMatchObject({ code: 0, objects: [] })
})
