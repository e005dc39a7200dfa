import { randomUUID } from 'node:crypto'
import postgres from 'postgres'
import { describe, expect } from 'vitest'
import { quoteIdent } from '../src/sql/quote.ts'
import { deleteOldEvents, writeFinished, writeStarted } from '../src/state/events.ts'
import { createState, hasWholeState, planState, readState, type StateNeeds } from '../src/state/state.ts'
import { test as base, open, type Sql, uniqueName, urlOf } from './support/postgres.ts'
import { stateOfVersion1 } from './support/state-1.ts'

/** `work` is a superuser's session with the search_path of ours. */
const test = base.extend<{ work: Sql }>({
  work: async ({ database }, use) => {
    const work = pinned(database)
    await use(work)
    await work.end({ timeout: 1 })
  },
})

const password = 'secret of a test'
const pinned = (database: string, name?: string) =>
  postgres(urlOf(database, name === undefined ? undefined : { name, password }), {
    max: 1,
    fetch_types: false,
    onnotice() {},
    no_subscribe: true,
    connection: { role: 'none', search_path: 'pg_catalog, pg_temp' },
  } as postgres.Options<Record<string, never>>)
const createUser = async (sql: Sql, prefix: string, options = '') => {
  const name = uniqueName(prefix)
  await sql.unsafe(`create role ${quoteIdent(name)} login password '${password}' ${options}`)
  return name
}
const makeOwner = async (sql: Sql, database: string) => {
  const owner = uniqueName('Own "er')
  await sql.unsafe(`create role ${quoteIdent(owner)}; alter database ${database} owner to ${quoteIdent(owner)}`)
  return owner
}
const ownersOf = async (sql: Sql) => {
  const rows = await sql<{ owner: string }[]>`
    select pg_get_userbyid(relowner) as owner from pg_class where relnamespace = 'pgbosun'::regnamespace and relkind = 'r'
    union all select pg_get_userbyid(nspowner) from pg_namespace where nspname = 'pgbosun'`
  return [...new Set(rows.map(({ owner }) => owner))]
}
const tablesOf = async (sql: Sql) =>
  (
    await sql<{ name: string }[]>`
    select relname as name from pg_class where relnamespace = 'pgbosun'::regnamespace and relkind = 'r' order by 1`
  ).map(({ name }) => name)
const all: StateNeeds = { needs: ['migrations', 'migration_details', 'seeds'], readers: [] }
const insertRow = (sql: Sql) =>
  sql.unsafe(
    `insert into pgbosun.migrations (seq, version, name, sha256, status, tool_version) values (1, 1, '1_a', '', 'applied', '0')`,
  )

test('is made once, belongs to who made it, whoever owns the database, and has only the tables that are used', async ({
  sql,
  work,
  database,
}) => {
  await makeOwner(sql, database)
  const created = await createState(work, { needs: ['migrations'], readers: [] })
  expect(created.map(({ object }) => object)).toEqual([
    'schema pgbosun',
    'table pgbosun.state',
    'table pgbosun.migrations',
    'table pgbosun.events',
  ])
  expect(await ownersOf(sql)).toEqual(['postgres'])
  expect(await createState(work, { needs: ['migrations'], readers: [] })).toEqual([])
  expect(await hasWholeState(work, ['migrations'])).toBe(true)
  expect(await sql`select * from pgbosun.state`).toEqual([{ version: 2, hold: null, notes: null }])
  expect((await createState(work, { needs: ['seeds'], readers: [] })).map(({ object }) => object)).toEqual([
    'table pgbosun.seeds',
  ])
})

test('keeps one row for the version', async ({ sql, work }) => {
  await createState(work, all)
  await expect(sql`insert into pgbosun.state values (2)`).rejects.toMatchObject({ code: '23505' })
})

test('lets readers see the history, but not the audit trail, and nobody else anything', async ({
  sql,
  work,
  database,
}) => {
  const reader = await createUser(sql, 'Rea"der')
  const other = await createUser(sql, 'other')
  await sql.unsafe(
    `alter default privileges grant select on tables to public; alter default privileges grant all on tables to ${other};
     alter default privileges grant all on schemas to ${other}`,
  )
  const needs: StateNeeds = { ...all, readers: [reader, 'there is no such role'] }
  await createState(work, needs)
  const as = open(database, { name: reader, password })
  for (const table of ['migrations', 'seeds', 'state']) await as.unsafe(`select from pgbosun.${table}`)
  await expect(as.unsafe('select from pgbosun.events')).rejects.toMatchObject({ code: '42501' })
  await expect(as.unsafe('delete from pgbosun.state')).rejects.toMatchObject({ code: '42501' })
  await as.end()

  const asOther = open(database, { name: other, password })
  await expect(asOther.unsafe('select from pgbosun.state')).rejects.toMatchObject({ code: '42501' })
  await expect(asOther.unsafe('create table pgbosun.x ()')).rejects.toMatchObject({ code: '42501' })
  await asOther.end()
  expect(await createState(work, needs)).toEqual([])
})

test('repairs what was taken away or given to others, and then finds nothing', async ({ sql, work }) => {
  const reader = await createUser(sql, 'reader')
  const other = await createUser(sql, 'other')
  const needs: StateNeeds = { ...all, readers: [reader] }
  await createState(work, needs)
  await sql.unsafe(
    `revoke select on pgbosun.seeds from ${reader}; drop table pgbosun.events; grant select on pgbosun.state to public;
     grant insert, trigger on pgbosun.migrations to ${other}; grant create on schema pgbosun to ${other}`,
  )
  const changes = planState(await readState(work, [reader]), needs)
  expect(changes.map(({ action, object }) => `${action} ${object}`)).toEqual([
    'revoke schema pgbosun',
    'revoke table pgbosun.migrations',
    'revoke table pgbosun.state',
    'create table pgbosun.events',
    'grant schema pgbosun',
  ])
  await createState(work, needs)
  expect(planState(await readState(work, [reader]), needs)).toEqual([])
})

describe('an owner that others can become', () => {
  test('is refused, with the statements that hand the state over', async ({ sql, work, database }) => {
    const app = await createUser(sql, 'app')
    await sql.unsafe(`alter database ${database} owner to ${app}`)
    const as = pinned(database, app)
    await createState(as, all)
    await as.end()
    expect(await ownersOf(sql)).toEqual([app])
    const refusal = await createState(work, all).catch((error: unknown) => error)
    expect(refusal).toMatchObject({ kind: 'refused', message: expect.stringContaining(`belongs to ${app}`) })
    const { hint } = refusal as { hint: string }
    await sql.unsafe(hint.slice(hint.indexOf('alter schema')))
    expect(await createState(work, all)).toEqual([])
  })

  test('is found through any number of memberships', async ({ sql, work }) => {
    const group = uniqueName('group')
    const between = uniqueName('between')
    const app = await createUser(sql, 'app')
    await createState(work, all)
    await sql.unsafe(
      `create role ${group}; create role ${between}; grant ${group} to ${between}; grant ${between} to ${app};
       alter table pgbosun.events owner to ${group}`,
    )
    await expect(createState(work, all)).rejects.toMatchObject({
      kind: 'refused',
      message: expect.stringContaining(`table pgbosun.events belongs to ${group}, which ${app} is a member of`),
    })
  })

  test('is no danger to a run as that owner, nor when only superusers can become it', async ({
    sql,
    work,
    database,
  }) => {
    const app = await createUser(sql, 'app')
    await sql.unsafe(`alter database ${database} owner to ${app}`)
    const as = pinned(database, app)
    await createState(as, all)
    expect(await createState(as, all)).toEqual([])
    await insertRow(as)
    await as.end()
    const other = await createUser(sql, 'admin', 'superuser')
    await sql.unsafe(`alter schema pgbosun owner to ${other}; alter table pgbosun.state owner to ${other}`)
    for (const name of ['migrations', 'migration_details', 'seeds', 'events'])
      await sql.unsafe(`alter table pgbosun.${name} owner to ${other}`)
    expect(await createState(work, all)).toEqual([])
  })
})

describe('what is not ours', () => {
  const trigger = 'create function public.f() returns trigger language plpgsql as $$ begin return new; end $$;'
  const expression = 'create function public.g(text) returns text language sql immutable as $$ select $1 $$;'
  const planted: [what: string, sql: string, ends?: string][] = [
    [
      'the trigger z on pgbosun.migrations',
      `${trigger} create trigger z before insert on pgbosun.migrations for each row execute function public.f()`,
    ],
    ['the rule z on pgbosun.events', `create rule z as on insert to pgbosun.events do also select 1`],
    ['the policy z on pgbosun.seeds', `create policy z on pgbosun.seeds using (true)`],
    ['the forced row security of pgbosun.events', 'alter table pgbosun.events force row level security'],
    ['the column extra of pgbosun.state', `alter table pgbosun.state add column extra text default 'x'`],
    [
      'the default of name in pgbosun.migrations',
      `${expression} alter table pgbosun.migrations alter name set default public.g('')`,
    ],
    [
      'the default of applied_at in pgbosun.migrations',
      `create function public.clock_timestamp() returns timestamptz language sql as 'select null::timestamptz'; alter table pgbosun.migrations alter applied_at set default public.clock_timestamp()`,
    ],
    [
      'the constraint z on pgbosun.migration_details',
      `${expression} alter table pgbosun.migration_details add constraint z check (public.g(name) <> '')`,
    ],
    [
      'the index pgbosun.z on pgbosun.migrations',
      `${expression} create index z on pgbosun.migrations (public.g(name))`,
    ],
    ['the index pgbosun.y on pgbosun.migrations', `create index y on pgbosun.migrations (name) where seq > 3`],
    ['the statistics object z on pgbosun.events', `create statistics public.z on run_id, command from pgbosun.events`],
    [
      'the table public.child, which inherits from pgbosun.events,',
      `create table public.child () inherits (pgbosun.events)`,
    ],
    [
      'the foreign key k of public.t to pgbosun.migrations',
      `create table public.t (seq int constraint k references pgbosun.migrations)`,
    ],
    ['the view pgbosun.seeds', `drop table pgbosun.seeds; create view pgbosun.seeds as select ''::text as name`],
    [
      'the column name of pgbosun.seeds',
      `create domain public.d as text; alter table pgbosun.seeds alter name type public.d`,
    ],
  ]
  test.each(planted)('%s is refused before anything is written', async (what, statement) => {
    // test.each of the extended test has no fixtures: a database of its own
    const name = uniqueName('t')
    const admin = open('postgres')
    await admin.unsafe(`create database ${name}`)
    await admin.end()
    const work = pinned(name)
    await createState(work, all)
    await work.unsafe(statement)
    const refusal = await createState(work, all).catch((error: unknown) => error)
    expect(refusal).toMatchObject({ kind: 'refused', message: expect.stringContaining(`${what} is not ours`) })
    const { hint } = refusal as { hint: string }
    const remedy = hint.slice(hint.indexOf('remove it: ') + 11)
    if (!what.startsWith('the view') && !what.startsWith('the column name')) {
      await work.unsafe(remedy)
      expect(await createState(work, { ...all }).catch((error: Error) => error.message)).toEqual([])
    }
    await work.end()
  })

  test('is not what strangers do to every table: renamed constraints, row security, a comment', async ({
    sql,
    work,
  }) => {
    await createState(work, all)
    await sql.unsafe(`do $$ declare c record; begin
      for c in select conrelid::regclass as t, conname from pg_constraint where connamespace = 'pgbosun'::regnamespace loop
        execute format('alter table %s rename constraint %I to %I', c.t, c.conname, 'x_' || c.conname); end loop;
      for c in select oid::regclass as t from pg_class where relnamespace = 'pgbosun'::regnamespace and relkind = 'r' loop
        execute format('alter table %s enable row level security; comment on table %s is %L', c.t, c.t, 'hello'); end loop; end $$`)
    expect(await createState(work, all)).toEqual([])
    await insertRow(work)
  })
})

describe('a state of version 1', () => {
  const first = async (sql: Sql, owner: string) => {
    await sql.unsafe(`set role ${quoteIdent(owner)}; ${stateOfVersion1}; reset role`)
    await insertRow(sql)
  }

  test('is taken over from the owner of the database, with its rows', async ({ sql, work, database }) => {
    const owner = await makeOwner(sql, database)
    const deployer = await createUser(sql, 'deployer')
    await first(sql, owner)
    await sql.unsafe(
      `grant usage on schema pgbosun to ${deployer}; grant select, insert, update, delete on all tables in schema pgbosun to ${deployer}`,
    )
    const needs: StateNeeds = { needs: ['migrations'], readers: [] }
    const changes = await createState(work, needs)
    expect(changes.map(({ action, object }) => `${action} ${object}`)).toContain('alter schema pgbosun')
    expect(await ownersOf(sql)).toEqual(['postgres'])
    expect(await tablesOf(sql)).toEqual(['events', 'migrations', 'state'])
    expect(await sql`select version, hold, notes from pgbosun.state`).toEqual([{ version: 2, hold: null, notes: null }])
    expect(await sql`select name from pgbosun.migrations`).toEqual([{ name: '1_a' }])
    expect(await createState(work, needs)).toEqual([])
    const as = open(database, { name: deployer, password })
    await expect(as.unsafe('delete from pgbosun.events')).rejects.toMatchObject({ code: '42501' })
    await expect(as.unsafe('delete from pgbosun.migrations')).rejects.toMatchObject({ code: '42501' })
    await as.end()
  })

  test('keeps a table that nothing uses any more, while it has rows', async ({ sql, work }) => {
    await first(sql, 'postgres')
    await createState(work, { needs: ['seeds'], readers: [] })
    expect(await tablesOf(sql)).toEqual(['events', 'migrations', 'seeds', 'state'])
  })

  test('is taken over under renamed constraints, and without the column that came later', async ({ sql, work }) => {
    await first(sql, 'postgres')
    await sql.unsafe(`alter table pgbosun.migrations rename constraint migrations_version_key to k;
      alter table pgbosun.migrations rename constraint migrations_status_check to c; alter table pgbosun.migrations drop column progress`)
    await createState(work, all)
    expect(await createState(work, all)).toEqual([])
    await expect(
      sql.unsafe(
        `insert into pgbosun.migrations (seq, version, name, sha256, status, tool_version) values (2, 1, 'b', '', 'x', '0')`,
      ),
    ).rejects.toMatchObject({ code: '23505' })
    expect(await sql`select progress from pgbosun.migrations`).toEqual([{ progress: null }])
  })

  test('with something on it that is not ours is left alone', async ({ sql, work, database }) => {
    const owner = await makeOwner(sql, database)
    await first(sql, owner)
    await sql.unsafe(`create function public.f() returns trigger language plpgsql as $$ begin return new; end $$;
      create trigger z before insert on pgbosun.migrations for each row execute function public.f()`)
    await expect(createState(work, all)).rejects.toMatchObject({ kind: 'refused' })
    expect(await ownersOf(sql)).toEqual([owner])
    expect(await sql`select version from pgbosun.state`).toEqual([{ version: 1 }])
  })

  test('is upgraded by its own owner without the rights of anybody else', async ({ sql, database }) => {
    const app = await createUser(sql, 'app')
    await sql.unsafe(`alter database ${database} owner to ${app}`)
    await first(sql, app)
    const as = pinned(database, app)
    await createState(as, all)
    expect(await createState(as, all)).toEqual([])
    await as.end()
    expect(await ownersOf(sql)).toEqual([app])
  })
})

test('a user that may not create a schema is told the grant', async ({ sql, database }) => {
  const user = await createUser(sql, 'deployer')
  const as = pinned(database, user)
  await expect(createState(as, all)).rejects.toMatchObject({ code: '42501' })
  await sql.unsafe(`grant create on database ${database} to ${user}`)
  await createState(as, all)
  expect(await ownersOf(sql)).toEqual([user])
  expect(await createState(as, all)).toEqual([])
  await as.end()
})

test('a member of the owner that does not inherit from it owns the state all the same', async ({ sql, database }) => {
  const owner = await makeOwner(sql, database)
  const user = await createUser(sql, 'deployer', 'noinherit')
  await sql.unsafe(`grant ${quoteIdent(owner)} to ${user}`)
  const as = pinned(database, user)
  await createState(as, all)
  expect(await ownersOf(sql)).toEqual([user])
  await insertRow(as)
  expect(await createState(as, all)).toEqual([])
  expect(await sql`select has_database_privilege(${user}, ${database}, 'create') as may`).toEqual([{ may: false }])
  await as.end()
})

test('leaves the state of a newer program alone', async ({ sql, work }) => {
  await createState(work, all)
  await sql`update pgbosun.state set version = 3`
  await expect(createState(work, all)).rejects.toMatchObject({ kind: 'history', message: /newer pgbosun/ })
})

test('writes a pair of events and forgets old ones', async ({ sql, work }) => {
  await createState(work, all)
  const runId = randomUUID()
  await writeStarted(work, { runId, command: `up 'x'`, actor: 'pod-1' })
  await writeFinished(work, { runId, command: 'up', exitCode: 20, detail: { note: "it's \\ \0 ü" } })
  expect(await sql`select run_id, actor, command, phase, exit_code, detail from pgbosun.events order by id`).toEqual([
    { run_id: runId, actor: 'pod-1', command: `up 'x'`, phase: 'started', exit_code: null, detail: null },
    {
      run_id: runId,
      actor: 'postgres',
      command: 'up',
      phase: 'finished',
      exit_code: 20,
      detail: { note: "it's \\  ü" },
    },
  ])
  await sql`update pgbosun.events set at = at - interval '401 days' where phase = 'started'`
  await deleteOldEvents(work, 400 * 86_400_000)
  expect(await sql`select phase from pgbosun.events`).toEqual([{ phase: 'finished' }])
})
