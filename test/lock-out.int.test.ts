import { describe, expect } from 'vitest'
import { runJson, type Started, start } from './support/cli.ts'
import { test as base, open, type Sql, uniqueName, urlOf, writeFiles } from './support/postgres.ts'
import { openOne } from './support/roles.ts'

type Step = { changes: { object: string; reason: string }[] }

type Finished = {
  code: number | null
  json: {
    error: { kind: string; message: string; hint: string } | null
    steps: Step[]
    warnings: string[]
    roles: { locked_out: string[] }
    overall_healthy: boolean
  }
}

type App = {
  /** The database, and the names of who may own it. */
  name: string
  user: { name: string; password: string }
  owner: string
  legacy: string
  /** A superuser's connection. */
  sql: Sql
  asApp<T>(use: (sql: Sql) => Promise<T>): Promise<T>
  declare(fields: object, more?: object): Promise<void>
  pgbosun(...args: string[]): Promise<Finished>
  start(...args: string[]): Started
}

/** A database with an application that has worked there for years. */
const test = base.extend<{ app: App }>({
  app: async ({ dir, database: name, sql }, use) => {
    const user = { name: `${name}_app`, password: 'geheim' }
    const legacy = `${name}_old`
    await sql.unsafe(`create role "${user.name}" login password '${user.password}'; create role "${legacy}"`)
    const declare = (fields: object, more: object = {}) =>
      writeFiles(dir, {
        'pgbosun.yaml': JSON.stringify({
          databases: { [name]: { users: { [user.name]: { preset: 'app', password: { env: 'PW' } } }, ...fields } },
          ...more,
        }),
      })
    await declare({})
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(name), PW: user.password } }
    await use({
      name,
      user,
      owner: `${name}_owner`,
      legacy,
      sql,
      declare,
      async asApp(work) {
        const session = open(name, user)
        try {
          return await work(session)
        } finally {
          await session.end({ timeout: 1 })
        }
      },
      pgbosun: (...args) => runJson(args, options) as unknown as Promise<Finished>,
      start: (...args) => start(args, options),
    })
  },
})

/** One object of each kind that has an owner. */
const everything = `
  create schema old; create table t (id serial primary key, doc text); create table old.part (id int) partition by list (id);
  create table old.part1 partition of old.part for values in (1); create view v as select * from t;
  create materialized view m as select * from t; create sequence s; create table "Odd ""name" (id int generated always as identity);
  create function f(a int, b text) returns int language sql as 'select 1'; create procedure p() language sql as 'select 1';
  create aggregate agg(int) (sfunc = int4pl, stype = int); create type mood as enum ('ok'); create type pair as (a int, b int);
  create domain positive as int check (value > 0); create type span as range (subtype = int);
  create function eq(mood, mood) returns boolean language sql immutable as 'select true';
  create operator === (leftarg = mood, rightarg = mood, function = eq);
  create collation german (locale = 'C'); create statistics st on id, doc from t; create text search dictionary d (template = simple);
  create text search configuration c (copy = simple); select lo_create(0);
  create index on t (doc); insert into t (doc) values ('kept');`

/** Without the types that PostgreSQL creates with other objects: some major versions do not change their owner. */
const owners = `select distinct pg_get_userbyid(o) as owner from (
  select relowner o from pg_class where oid >= 16384 and relnamespace <> 'pg_toast'::regnamespace union all select nspowner from pg_namespace where oid >= 16384 and nspname <> 'pgbosun' and nspname !~ '^pg_' union all
  select proowner from pg_proc where oid >= 16384 union all select typowner from pg_type where oid >= 16384 and typtype <> 'm' and typcategory <> 'A' union all
  select oprowner from pg_operator where oid >= 16384 union all select opfowner from pg_opfamily where oid >= 16384 union all select collowner from pg_collation where oid >= 16384 union all
  select stxowner from pg_statistic_ext union all select dictowner from pg_ts_dict where oid >= 16384 union all select cfgowner from pg_ts_config where oid >= 16384 union all
  select lomowner from pg_largeobject_metadata) x order by 1`

const fingerprint = `select (select json_agg(r order by rolname) from pg_roles r where rolname like current_database() || '%') as roles,
  (select json_agg(d) from pg_db_role_setting d) as settings, (select datdba from pg_database where datname = current_database()) as owner,
  (select json_agg(c.oid::text || relowner order by c.oid) from pg_class c) as tables, (select count(*) from pg_auth_members) as members`

describe('an application that owns its tables', () => {
  test('is not locked out of them: up and plan refuse, and nothing was changed', async ({ app }) => {
    await app.sql.unsafe(
      `alter database ${app.name} owner to "${app.user.name}"; alter schema public owner to "${app.user.name}"`,
    )
    await app.asApp((sql) =>
      sql.unsafe('create table t (id serial); create function f() returns int language sql as $$select 1$$'),
    )
    const [before] = await app.sql.unsafe(fingerprint)
    for (const args of [['up'], ['plan'], ['roles', 'plan'], ['roles', 'apply']]) {
      const { code, json } = await app.pgbosun(...args)
      expect([args, code, json.error?.kind], JSON.stringify(json)).toEqual([args, 12, 'refused'])
      expect(json.error?.message).toContain(`1 table of ${app.user.name} (public.t)`)
      expect(json.error?.hint).toContain(`databases.${app.name}.owner: ${app.user.name}`)
      expect(json.error?.hint).toContain(`databases.${app.name}.reassign: [${app.user.name}]`)
    }
    expect((await app.sql.unsafe(fingerprint))[0]).toEqual(before)
    await app.asApp((sql) => sql.unsafe('insert into t default values'))
  })

  test('an application keeps its tables with `owner`', async ({ app }) => {
    await app.sql.unsafe(
      `alter database ${app.name} owner to "${app.user.name}"; grant create on schema public to "${app.user.name}"`,
    )
    await app.asApp((sql) => sql.unsafe('create table t (id serial)'))
    await app.declare({ owner: app.user.name })
    expect((await app.pgbosun('up')).code).toBe(0)
    await app.asApp((sql) => sql.unsafe('insert into t default values'))
    expect((await app.pgbosun('check')).code).toBe(0)
  })

  test('owns everything with `reassign`: every kind of object, with its count in the plan, and nothing else', async ({
    app,
  }) => {
    await app.sql.unsafe(
      `alter database ${app.name} owner to "${app.user.name}"; grant all on schema public to "${app.user.name}"`,
    )
    await app.asApp((sql) => sql.unsafe(everything))
    const other = uniqueName('other')
    await app.sql.unsafe(`create database ${other} owner "${app.user.name}"`)
    await app.sql.unsafe(
      `create operator family fam using btree; alter operator family fam using btree owner to "${app.user.name}"`,
    )
    await app.sql.unsafe('create extension if not exists pg_trgm; create table bystander (id int)')
    await app.declare({
      reassign: [app.user.name],
      schemas: { public: { grants: [{ to: app.owner, on: 'table', names: ['bystander'], privileges: ['SELECT'] }] } },
    })

    const plan = await app.pgbosun('plan')
    const changes = plan.json.steps[1]!.changes.filter(({ reason }) => /reassigned/.test(reason))
    const objects = changes.map(({ object }) => object.replaceAll(app.name, 'shop'))
    expect(objects).toContain('2 tables in schema public (database shop)')
    expect(objects).toContain('2 functions in schema public (database shop)')
    expect(objects).toContain('schema old (database shop)')
    const up = await app.pgbosun('up')
    expect([up.code, up.json.error]).toEqual([0, null])
    expect(up.json.steps[1]!.changes).toEqual(plan.json.steps[1]!.changes)
    expect(await app.sql.unsafe(owners)).toEqual([{ owner: 'postgres' }, { owner: app.owner }])
    expect(
      await app.sql.unsafe(`select pg_get_userbyid(relowner) as owner from pg_class where relname = 'bystander'`),
    ).toEqual([{ owner: 'postgres' }])
    expect(await app.sql`select pg_get_userbyid(datdba) as owner from pg_database where datname = ${other}`).toEqual([
      { owner: app.user.name },
    ])
    await app.asApp((sql) =>
      sql.unsafe(
        "insert into t (doc) values ('new'); select * from v; refresh materialized view m; drop function f(int, text)",
      ),
    )
    const again = await app.pgbosun('up')
    expect(again.json.steps.flatMap(({ changes }) => changes)).toEqual([])
    expect((await app.pgbosun('check')).code).toBe(0)
  })

  test('works while its objects change their owner, and the next run continues after a killed one', async ({ app }) => {
    await app.sql.unsafe(
      `grant all on schema public to "${app.user.name}"; grant create on database ${app.name} to "${app.user.name}"`,
    )
    await app.asApp((sql) => sql.unsafe('create table a (id int); create table b (id int); create table c (id int)'))
    await app.declare({ reassign: [app.user.name] }, { migrate: { lockTimeout: '300ms' } })
    const blocker = openOne(app.name)
    await blocker.unsafe('begin; lock table b')
    const { child, finished } = app.start('up')
    const ownerOf = async (table: string) =>
      (await app.sql`select pg_get_userbyid(relowner) as owner from pg_class where relname = ${table}`)[0]!.owner
    await expect.poll(() => ownerOf('a')).toBe(app.owner)
    // neither existing sessions nor new ones start as the owner before it owns everything
    await app.asApp((sql) => sql.unsafe('insert into a values (1); insert into c values (1)'))
    child.kill('SIGKILL')
    await finished
    await blocker.unsafe('rollback')
    await blocker.end()
    expect(await ownerOf('c')).toBe(app.user.name)
    const up = await app.pgbosun('up')
    expect([up.code, up.json.error]).toEqual([0, null])
    expect([await ownerOf('b'), await ownerOf('c')]).toEqual([app.owner, app.owner])
  })

  test('stays a member of the old owner until the new one owns everything', async ({ app }) => {
    await app.declare({ owner: app.legacy })
    expect((await app.pgbosun('up')).code).toBe(0)
    await app.asApp((sql) => sql.unsafe('create table a (id int)'))
    await app.declare({ owner: app.owner, reassign: [app.legacy] }, { migrate: { lockTimeout: '300ms' } })
    const blocker = openOne(app.name)
    await blocker.unsafe('begin; lock table a in row exclusive mode')
    const { finished } = app.start('up')
    const waiting = async () =>
      (await app.sql`select count(*)::int as n from pg_locks where not granted and relation = 'a'::regclass`)[0]!.n
    await expect.poll(waiting, { timeout: 20_000 }).toBeGreaterThan(0)
    const [row] = await app.asApp((sql) => sql`select current_user as name`)
    expect(row!.name).toBe(app.legacy)
    await blocker.unsafe('rollback')
    await blocker.end()
    expect((await finished).code).toBe(0)
    await app.asApp((sql) => sql.unsafe('insert into a values (1)'))
    expect(await app.sql`select from pg_auth_members where roleid = ${app.legacy}::regrole`).toEqual([])
  })

  test('a table that stays locked is exit 11, with the session that locks it', async ({ app }) => {
    await app.sql.unsafe(`grant all on schema public to "${app.user.name}"`)
    await app.asApp((sql) => sql.unsafe('create table a (id int)'))
    await app.declare({ reassign: [app.user.name] }, { migrate: { lockTimeout: '200ms' }, lock: { timeout: '1s' } })
    const blocker = openOne(app.name)
    await blocker.unsafe('begin; lock table a')
    const up = await app.pgbosun('up')
    await blocker.end({ timeout: 1 })
    expect([up.code, up.json.error?.message]).toEqual([
      11,
      expect.stringMatching(/owner of table public\.a .*blocked by pid/),
    ])
  })

  test('objects that run with the rights of their owner get a new one only with definer: true', async ({ app }) => {
    await app.sql.unsafe(
      `grant all on schema public to "${app.user.name}"; create table secret (id int); grant select on secret to "${app.user.name}"; grant select on secret to public`,
    )
    await app.asApp((sql) =>
      sql.unsafe(`create table t (id int); create view own as select * from t; create view reads_other as select * from secret;
        create function d() returns int language sql security definer as 'select 1'`),
    )
    await app.declare({ reassign: [app.user.name] })
    const refused = await app.pgbosun('up')
    expect([refused.code, refused.json.error?.message]).toEqual([
      12,
      expect.stringContaining(`function public.d() of ${app.user.name}, view public.reads_other of`),
    ])
    expect(refused.json.error?.message).not.toContain('public.own')
    expect(refused.json.error?.hint).toContain('definer: true')
    await app.declare({ reassign: { from: [app.user.name], definer: true } })
    const up = await app.pgbosun('up')
    expect([up.code, up.json.error]).toEqual([0, null])
    const named = up.json.steps[1]!.changes.map(({ object }) => object)
    expect(named).toContain(`function public.d() (database ${app.name})`)
  })
})

describe('tables of other owners', () => {
  test('are listed by owner and kind, and get their new owner together', async ({ app }) => {
    await app.sql.unsafe(`create table mine (id int); create sequence counter; create type mood as enum ('a');
      set role "${app.legacy}"; reset role; grant all on schema public to "${app.legacy}"; set role "${app.legacy}"; create table theirs (id int)`)
    const refused = await app.pgbosun('up')
    expect(refused.code).toBe(12)
    expect(refused.json.error?.message).toContain(`1 table of postgres (public.mine)`)
    expect(refused.json.error?.message).toContain(`1 table of ${app.legacy} (public.theirs)`)
    expect(refused.json.error?.message).toContain(`1 sequence of postgres (public.counter)`)
    expect(refused.json.error?.message).not.toContain('mood')
    await app.declare({ reassign: ['postgres', app.legacy] })
    const up = await app.pgbosun('up')
    expect([up.code, up.json.error]).toEqual([0, null])
    await app.asApp((sql) => sql.unsafe('insert into mine values (1); insert into theirs values (1); drop type mood'))
  })

  test('are no reason to refuse if the owner has privileges on them', async ({ app }) => {
    await app.sql.unsafe('create table lookup (id int)')
    const grants = [{ to: app.owner, on: 'table', names: ['lookup'], privileges: ['SELECT'] }]
    await app.declare({ schemas: { public: { grants } } })
    expect((await app.pgbosun('up')).code).toBe(0)
    await app.asApp((sql) => sql.unsafe('select * from lookup'))
  })

  test('are no reason to refuse if the user is declared to be a member of their owner', async ({ app }) => {
    await app.sql.unsafe(
      `create schema reports authorization "${app.legacy}"; set role "${app.legacy}"; create table reports.r (id int); reset role`,
    )
    const users = { [app.user.name]: { preset: 'app', password: { env: 'PW' }, memberOf: [app.legacy] } }
    await app.declare({ users }, { roles: { [app.legacy]: { external: true } } })
    expect((await app.pgbosun('up')).json.error).toBeNull()
    expect((await app.pgbosun('up')).json.error).toBeNull()
    await app.asApp((sql) => sql.unsafe(`set role "${app.legacy}"; select * from reports.r`))
  })

  test('that appear later are an error of check, but only a warning of up, which must not stop a working application', async ({
    app,
  }) => {
    expect((await app.pgbosun('up')).code).toBe(0)
    await app.sql.unsafe('create table by_hand (id int)')
    const up = await app.pgbosun('up')
    expect([up.code, up.json.warnings.join()]).toEqual([
      0,
      expect.stringContaining('1 table of postgres (public.by_hand)'),
    ])
    const check = await app.pgbosun('check')
    expect([check.code, check.json.roles.locked_out.join()]).toEqual([50, expect.stringContaining('by_hand')])
    expect(check.json.overall_healthy).toBe(false)
  })
})

test('a superuser cannot be an app user, and check says so', async ({ app }) => {
  await app.sql.unsafe(`alter role "${app.user.name}" superuser`)
  const up = await app.pgbosun('up')
  expect([up.code, up.json.error?.message]).toEqual([12, expect.stringContaining('is a superuser')])
  const check = await app.pgbosun('check')
  expect([check.code, check.json.roles.locked_out.join()]).toEqual([50, expect.stringContaining('is a superuser')])
  expect(await app.sql`select from pg_roles where rolname = ${app.owner}`).toEqual([])
})
