import { describe, expect } from 'vitest'
import { runJson } from './support/cli.ts'
import { test as base, open, type Sql, server, uniqueName, urlOf, writeFiles } from './support/postgres.ts'
import { asSuperuser, asUser } from './support/roles.ts'

type World = {
  /** The role that goes; it may contain anything. */
  old: string
  heir: string
  sql: Sql
  /** Names for SQL. */
  q: { old: string; heir: string }
  roles(absence: object, more?: object): object
  apply(
    config: object,
    command?: string[],
  ): Promise<{ code: number | null; changes: string[]; message: string; hint: string }>
  exists(): Promise<boolean>
}

const test = base.extend<{ world: World }>({
  world: async ({ dir, database, sql }, use) => {
    const [old, heir] = [`${database} "old"; $$ '`, `${database}_heir`]
    const q = { old: `"${old.replaceAll('"', '""')}"`, heir: `"${heir}"` }
    await sql.unsafe(`create role ${q.old} login password 'x'; create role ${q.heir}`)
    const env = { DATABASE_URL: urlOf(database) }
    await use({
      old,
      heir,
      sql,
      q,
      roles: (absence, more = {}) => ({ roles: { [heir]: null, [old]: { ensure: 'absent', ...absence } }, ...more }),
      async apply(config, command = ['roles', 'apply']) {
        await writeFiles(dir, { 'pgbosun.yaml': JSON.stringify(config) })
        const { code, json } = await runJson(command, { cwd: dir, env })
        const steps = (json.steps ?? []) as { changes: { action: string; object: string; reason: string }[] }[]
        const short = (text: string) => text.replaceAll(old, 'old').replaceAll(database, 'd')
        const error = json.error as { message: string; hint: string } | null
        return {
          code,
          changes: steps.flatMap((step) =>
            step.changes.map((one) => short(`${one.action} ${one.object}: ${one.reason}`)),
          ),
          message: short(error?.message ?? ''),
          hint: short(error?.hint ?? ''),
        }
      },
      exists: async () => (await sql`select from pg_roles where rolname = ${old}`).length > 0,
    })
  },
})

describe('a role that is declared absent', () => {
  test('and on which nothing depends is dropped; then there is nothing to do', async ({ world }) => {
    expect(await world.apply(world.roles({}))).toMatchObject({
      code: 0,
      changes: ['alter role old: login is true, and it is declared absent', 'drop role old: is declared absent'],
    })
    expect(await world.exists()).toBe(false)
    expect(await world.apply(world.roles({}))).toMatchObject({ code: 0, changes: [] })
  })

  test('stays when something depends on it and nobody is to get it', async ({ world }) => {
    await world.sql.unsafe(
      `create table t (); alter table t owner to ${world.q.old}; create table u (); grant select on u to ${world.q.old}`,
    )
    const { code, message, hint } = await world.apply(world.roles({}))
    expect([code, message, hint]).toEqual([
      12,
      'old is declared absent, but something depends on it: it owns 1 object and it has privileges on 1 object in database d',
      'nothing was changed; set roles.old.reassignTo to the role that shall own its objects; its privileges go',
    ])
    expect(await world.exists()).toBe(true)
    expect((await world.apply(world.roles({}), ['check'])).code).toBe(50)
  })

  test('leaves what it owned, in every database, to its heir, and its privileges vanish', async ({
    world,
    database,
  }) => {
    const { sql, q, roles, apply, heir } = world
    const other = `${database}_2`
    await asSuperuser('postgres', `create database "${other}"`)
    await asSuperuser(
      other,
      `create schema "S ""x"; grant all on schema "S ""x" to ${q.old}; set role ${q.old};
      create table "S ""x"."T;" (id serial, v text); create view "S ""x".v as select 1; create type "S ""x".mood as enum ('a')`,
    )
    await sql.unsafe(`create table t (id int); alter table t owner to ${q.old}; create table u (id int); grant select on u to ${q.old};
      create policy p on u to ${q.old} using (true); grant temporary on database "${database}" to ${q.old};
      grant create on database "${database}" to ${q.old}; grant create on schema public to ${q.old}; set role ${q.old}; create extension pg_trgm; reset role;
      alter default privileges for role ${q.old} grant select on tables to public; select lo_create(0)`)
    await sql.unsafe(
      `alter large object ${(await sql`select max(oid) as n from pg_largeobject_metadata`)[0]!.n} owner to ${q.old}`,
    )
    const plan = await apply(roles({ reassignTo: heir }), ['roles', 'plan'])
    expect(plan.changes).toEqual([
      'alter role old: login is true, and it is declared absent',
      'alter table public.t (database d): owner is old, reassigned to d_heir',
      expect.stringMatching(/^alter large object \d+ \(database d\): owner is old, reassigned to d_heir/),
      'alter table "S ""x"."T;" (database d_2): owner is old, reassigned to d_heir',
      'alter type "S ""x".mood (database d_2): owner is old, reassigned to d_heir',
      'alter view "S ""x".v (database d_2): owner is old, reassigned to d_heir',
      'alter 1 extension or language (database d): owner is old, reassigned to d_heir',
      'revoke privileges of old on 4 objects (database d): old is declared absent; what it passed on goes too',
      'revoke privileges of old on 1 object (database d_2): old is declared absent; what it passed on goes too',
      'revoke privileges of old on 1 object of the whole server: old is declared absent; what it passed on goes too',
      'drop role old: is declared absent',
    ])
    const applied = await apply(roles({ reassignTo: heir }))
    expect(applied).toMatchObject({ code: 0, changes: plan.changes })
    expect(await world.exists()).toBe(false)
    expect(
      await asSuperuser(
        other,
        `select c.relname, pg_get_userbyid(relowner) as owner from pg_class c join pg_namespace n on n.oid = relnamespace where nspname = 'S "x' and relkind in ('r', 'v', 'S') order by 1`,
      ),
    ).toEqual(['T;', 'T;_id_seq', 'v'].map((relname) => ({ relname, owner: heir })))
    expect(await apply(roles({ reassignTo: heir }))).toMatchObject({ code: 0, changes: [] })
  })

  test('never gives away a database', async ({ world, database }) => {
    const { q, roles, apply, heir } = world
    const other = `${database}_own`
    await asSuperuser('postgres', `create database "${other}" owner ${q.old}`)
    const refused = await apply(roles({ reassignTo: heir }))
    expect([refused.code, refused.message, refused.hint]).toEqual([
      12,
      'old is declared absent, but it owns the database d_own, which reassignTo does not give away',
      'nothing was changed; declare another owner: databases: { d_own: { owner: … } }',
    ])
    const databases = { [other]: { owner: heir } }
    expect(await apply(roles({ reassignTo: heir }, { databases }))).toMatchObject({ code: 0 })
    expect(
      await asSuperuser(
        'postgres',
        `select pg_get_userbyid(datdba) as owner from pg_database where datname = '${other}'`,
      ),
    ).toEqual([{ owner: heir }])
    expect(await world.exists()).toBe(false)
  })

  test('has no rights to give: what runs as it is named first', async ({ world }) => {
    const { sql, q, roles, apply, heir } = world
    await sql.unsafe(
      `grant create on schema public to ${q.old}; set role ${q.old}; create function f() returns int language sql security definer as 'select 1'; reset role`,
    )
    expect(await apply(roles({ reassignTo: heir }))).toMatchObject({
      code: 12,
      message: expect.stringContaining(
        'would change the rights with which these run in database d: function public.f()',
      ),
      hint: expect.stringContaining('reassignTo: { role: d_heir, definer: true }'),
    })
    expect(await sql`select rolcanlogin from pg_roles where rolname = ${world.old}`).toEqual([{ rolcanlogin: true }])
    expect(await apply(roles({ reassignTo: { role: heir, definer: true } }))).toMatchObject({ code: 0 })
  })

  test('with open sessions is refused, or they are ended when that is declared', async ({ world, database }) => {
    const session = open(database, { name: world.old, password: 'x' })
    await session`select 1`
    expect(await world.apply(world.roles({}))).toMatchObject({
      code: 12,
      message: 'old is declared absent, but it has 1 open session',
      hint: 'nothing was changed; close them, or set roles.old.terminate: true, which ends them',
    })
    expect(await asUser(database, { name: world.old, password: 'x' }, 'select 1 as one')).toEqual([{ one: 1 }])
    const { code, changes } = await world.apply(world.roles({ terminate: true }))
    expect([code, changes]).toEqual([0, expect.arrayContaining(['end 1 session of old: old is declared absent'])])
    await expect(session`select 1`).rejects.toThrow()
    await session.end({ timeout: 1 })
    expect(await world.exists()).toBe(false)
  })

  test('leaves the memberships that it granted', async ({ world }) => {
    const { sql, q, roles, apply } = world
    const [group, member] = [uniqueName('group'), uniqueName('member')]
    await sql.unsafe(`create role ${group}; create role ${member}; grant ${group} to ${q.old} with admin option;
      set role ${q.old}; grant ${group} to ${member} with admin option; reset role`)
    expect(await apply(roles({}))).toMatchObject({
      code: 0,
      changes: expect.arrayContaining([`grant role ${group} to ${member}: old had granted it, and is declared absent`]),
    })
    expect(
      await sql`select admin_option, pg_get_userbyid(grantor) as grantor from pg_auth_members where member = ${member}::regrole`,
    ).toEqual([{ admin_option: true, grantor: 'postgres' }])
  })

  test('is never a superuser, nor the user that pgbosun connects as', async ({ world }) => {
    await world.sql.unsafe(`alter role ${world.q.old} superuser`)
    expect(await world.apply(world.roles({}))).toMatchObject({
      code: 12,
      message: 'old is declared absent, but it is a superuser',
    })
    expect(await world.apply({ users: { postgres: { ensure: 'absent' } } })).toMatchObject({
      code: 12,
      message: 'postgres is declared absent, but pgbosun itself connects as it',
    })
  })

  test('that is meant in two ways is exit 2', async ({ world }) => {
    const { roles, apply, old } = world
    for (const [config, message] of [
      [roles({ connectionLimit: 3 }), 'roles.old is declared absent, but has connectionLimit'],
      [roles({ reassignTo: 'nobody' }), 'roles.old.reassignTo refers to the role nobody, which is not declared'],
      [
        roles({}, { users: { eva: { memberOf: [old] } } }),
        'the role eva refers to the role old, which is declared absent',
      ],
      [{ roles: { a: { reassignTo: 'b' } } }, 'roles.a.reassignTo has no meaning for a role that shall exist'],
    ] as [object, string][])
      expect(await apply(config)).toMatchObject({ code: 2, message })
  })
})

test('a run that was killed on the way is finished by the next one', async ({ world }) => {
  const { sql, q, roles, apply, heir } = world
  await sql.unsafe(
    `alter role ${q.old} nologin; create table a (); create table b (); alter table a owner to ${q.heir}; alter table b owner to ${q.old}`,
  )
  expect((await apply(roles({ reassignTo: heir }))).changes).toEqual([
    'alter table public.b (database d): owner is old, reassigned to d_heir',
    'drop role old: is declared absent',
  ])
})

test('what a database hands over to its owner is named once, and goes there', async ({ world, database }) => {
  const { sql, q, roles, apply, heir, old } = world
  await sql.unsafe(`alter role ${q.old} nologin; create table a (); alter table a owner to ${q.old};
    create function f() returns int language sql security definer as 'select 1'; alter function f() owner to ${q.old};
    alter database "${database}" owner to ${q.heir}`)
  const config = roles(
    { reassignTo: heir },
    { databases: { [database]: { owner: heir, reassign: { from: [old], definer: true } } } },
  )
  const about = ({ changes }: { changes: string[] }) => changes.filter((change) => change.includes('owner is old'))
  const handedOver = [
    'alter function public.f() (database d): owner is old, reassigned to d_heir: it runs with the rights of its owner',
    'alter table public.a (database d): owner is old, reassigned to d_heir',
  ]
  const plan = await apply(config, ['roles', 'plan'])
  expect([plan.code, plan.message, about(plan).sort()]).toEqual([0, '', handedOver])
  const applied = await apply(config)
  expect([applied.code, applied.message, about(applied).sort()]).toEqual([0, '', handedOver])
  expect(await world.exists()).toBe(false)
})

test.runIf(server().major >= 15)('a privilege on a parameter goes too', async ({ world }) => {
  const { sql, q, roles, apply, heir } = world
  await sql.unsafe(`grant set on parameter log_statement to ${q.old}`)
  expect(await apply(roles({ reassignTo: heir }))).toMatchObject({ code: 0 })
  expect(await world.exists()).toBe(false)
})
