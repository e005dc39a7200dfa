import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'
import { describe, expect } from 'vitest'
import { type Server, startServer } from '../scripts/server.ts'
import { quoteIdent } from '../src/sql/quote.ts'
import { client } from './support/backup.ts'
import { type App, test as base, type Cluster, until } from './support/chaos.ts'
import { server, uniqueName } from './support/postgres.ts'

/** A second server, for test restores. */
// biome-ignore lint/correctness/noEmptyPattern: vitest demands the destructuring
const test = base.extend('other', { scope: 'file' }, async ({}, { onCleanup }) => {
  const other = await startServer(server().binDir, { settings: ['fsync=off'] })
  onCleanup(() => other.remove())
  return other
})

type Verify = { url?: string; where?: 'url' | 'same-server'; maxBytes?: string }
type Files = Record<string, string>
type MakeApp = (extra: object, name?: string) => Promise<App>

/** Writes the configuration and the files. Files are named without their folder. */
const write = (app: App, files: Files, verify?: Verify, more: object = {}) =>
  app.write({
    ...(verify && {
      url: verify.url ?? '',
      'pgbosun.yaml': JSON.stringify({
        database: { url: { env: 'DATABASE_URL' } },
        ...more,
        backup: {
          store: `file://${app.cwd}/store`,
          verify: { ...verify, ...(verify.url !== undefined && { url: { file: `${app.cwd}/url` } }) },
        },
      }),
    }),
    ...Object.fromEntries(Object.entries(files).map(([name, text]) => [`migrations/${name}`, text])),
  })

async function succeed(app: App, ...args: string[]): Promise<void> {
  const { code, stderr } = await app.run(...args)
  expect(code, stderr).toBe(0)
}

/** A database with these migrations and this content, and a backup of it. */
async function backedUp(
  { cluster, makeApp }: { cluster: Cluster; makeApp: MakeApp },
  files: Files,
  verify: Verify,
  { content, more }: { content?: string; more?: object } = {},
): Promise<App> {
  const app = await makeApp({})
  await write(app, files, verify, more)
  await cluster.ask(`create database ${quoteIdent(app.database)}`)
  await succeed(app, 'migrate')
  if (content !== undefined) await cluster.ask(content, app.database)
  await succeed(app, 'backup', 'run')
  return app
}

async function ask<Row extends object>(where: Pick<Server, 'url'>, query: string, database = 'postgres') {
  const options = { max: 1, fetch_types: false, onnotice() {}, no_subscribe: true }
  const sql = postgres(where.url(database), options as postgres.Options<Record<string, never>>)
  try {
    return [...(await sql.unsafe<Row[]>(query))]
  } finally {
    await sql.end({ timeout: 1 })
  }
}

/** What rehearsals and test restores leave on a server. */
const leftovers = (where: Pick<Server, 'url'>) =>
  ask<{ name: string }>(
    where,
    `select datname as name from pg_database where datname like 'pgbosun_test_restore%'
      union all select rolname from pg_roles where rolname like 'pgbosun_restore_%'`,
  )

/** Everything that a rehearsal must not change: rows with the transactions that wrote them, files, columns, history, roles, backups. */
async function everything(cluster: Cluster, app: App): Promise<unknown> {
  const tables = await cluster.ask<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname in ('public', 'pgbosun') order by 1`,
    app.database,
  )
  const rows = []
  for (const { name } of tables)
    rows.push([name, ...(await cluster.ask(`select xmin, ctid, t::text from ${name} t order by ctid`, app.database))])
  const catalog = await cluster.ask(
    `select c.oid, c.relname, c.relfilenode, c.relowner, a.attname, a.atttypid, a.xmin from pg_class c left join pg_attribute a on a.attrelid = c.oid
      where c.relnamespace in ('public'::regnamespace, to_regnamespace('pgbosun')) order by c.oid, a.attnum`,
    app.database,
  )
  const shared = await cluster.ask(
    'select datname as name, xmin::text from pg_database union all select rolname, oid::text from pg_roles order by 1',
  )
  // the lease of a run that was killed ends by itself
  const stored = readdirSync(join(app.cwd, 'store'), { recursive: true, encoding: 'utf8' })
  return { rows, catalog, shared, store: stored.filter((path) => !/lease-/.test(path)).sort() }
}

type Entry = {
  file: string
  already_applied: boolean
  duration_ms: number
  transaction: boolean
  locks: { object: string; mode: string }[]
  rewritten: { object: string; size_bytes: number }[]
}

async function rehearse(app: App, from = 'latest') {
  const { code, json, stderr } = await app.runJson('migrate', 'rehearse', '--from', from)
  return { code, stderr, json, files: json.files as Entry[] }
}

const first = {
  '001_tables.sql': `create table users (id int primary key, name varchar(20));
    create table orders (id int primary key, user_id int);`,
}
const content = `insert into users select n, 'u' || n from generate_series(1, 1000) n; insert into orders values (1, 1)`

describe.skipIf(!client)('migrate rehearse', () => {
  test('tells for each pending file what it locks and rewrites, and only reads the database', async ({
    cluster,
    other,
    makeApp,
  }) => {
    const app = await backedUp({ cluster, makeApp }, first, { url: other.url('postgres') }, { content })
    await write(app, {
      '002_wider.sql': 'alter table users alter column id type bigint;',
      '003_index.sql': 'create index orders_user on orders (user_id);',
      '004_rows.sql': 'insert into orders select n, 1 from generate_series(2, 50) n; create table fresh (a int);',
      '005_empty.sql': 'truncate orders;',
      '006_rebuild.sql': 'reindex index orders_user;',
    })
    const before = await everything(cluster, app)
    const { code, stderr, json, files } = await rehearse(app)
    expect(code, stderr).toBe(0)
    expect(json).toMatchObject({
      id: expect.stringMatching(/^\d{8}T\d{6}Z-/),
      database: app.database,
      server: expect.stringContaining(`127.0.0.1:${other.port}, PostgreSQL `),
      warnings: [],
    })
    expect(files).toMatchObject([
      { file: '002_wider', already_applied: false, transaction: true, duration_ms: expect.any(Number) },
      { file: '003_index' },
      { file: '004_rows' },
      { file: '005_empty' },
      { file: '006_rebuild' },
    ])
    expect(files.map(({ locks }) => locks.map(({ object, mode }) => `${mode} ${object}`))).toEqual([
      ['AccessExclusiveLock public.users'],
      ['ShareLock public.orders'],
      ['RowExclusiveLock public.orders'],
      ['AccessExclusiveLock public.orders'],
      ['AccessExclusiveLock public.orders_user', 'ShareLock public.orders'],
    ])
    expect(files.map(({ rewritten }) => rewritten)).toEqual([
      [{ object: 'public.users', size_bytes: expect.any(Number) }],
      [],
      [],
      [{ object: 'public.orders', size_bytes: 0 }],
      [],
    ])
    expect(files[0]!.rewritten[0]!.size_bytes).toBeGreaterThan(40_000)
    expect(await everything(cluster, app)).toEqual(before)
    expect(await leftovers(other)).toEqual([])
  })

  test('shows it to people too', async ({ cluster, other, makeApp }) => {
    const app = await backedUp({ cluster, makeApp }, first, { url: other.url('postgres') }, { content })
    await write(app, { '002_wider.sql': 'alter table users alter column id type bigint;' })
    const { code, stdout, stderr } = await app.run('migrate', 'rehearse', '--from', 'latest')
    expect(code, stderr).toBe(0)
    expect(
      stdout
        .replace(/\d{8}T\d{6}Z-[0-9a-f]{8}/, 'ID')
        .replaceAll(/\b\d+(\.\d+)? m?s\b/g, 'T')
        .replace(/taken .* ago/, 'taken T ago')
        .replace(/[\d.]+ kB/, 'SIZE')
        .replace(/127.*: 1005/, 'SERVER: 1005')
        .replaceAll(app.database, 'shop'),
    ).toBe(
      `backup    ID of shop, taken T ago
restored  in T on SERVER: 1005 rows in 5 tables, 104 of them with their contents
file      002_wider  T
            AccessExclusiveLock  public.users, rewritten (SIZE)
done      1 migration in T on the copy; shop was only read
`,
    )
  })

  test('of a file that fails is exit 20 with its place, and what ran before is in the result', async ({
    cluster,
    other,
    makeApp,
  }) => {
    const app = await backedUp({ cluster, makeApp }, first, { url: other.url('postgres') }, { content })
    await write(app, {
      '002_good.sql': 'alter table orders add note text;',
      '003_bad.sql': "insert into users values (2000, 'x');\nalter table users\n  add check (id < 500);",
      '004_never.sql': 'select 1;',
    })
    const before = await everything(cluster, app)
    const { code, stderr, json, files } = await rehearse(app)
    expect(code).toBe(20)
    expect(stderr).toContain('in a restored copy, 003_bad')
    expect(stderr).toContain('003_bad.sql:2:')
    expect(json.error).toMatchObject({ kind: 'migration', sqlstate: '23514', line: 2 })
    expect(files.map(({ file }) => file)).toEqual(['002_good'])
    expect(await everything(cluster, app)).toEqual(before)
    expect(await leftovers(other)).toEqual([])
  })

  test.for([
    ['one message', 'insert into late values (-1);'],
    ['rows for COPY', 'copy late from stdin;\n-1\n\\.\n'],
  ])('of a file whose commit fails says that the file failed: %s', async ([, rows], { cluster, other, makeApp }) => {
    const app = await backedUp({ cluster, makeApp }, first, { url: other.url('postgres') })
    const table = 'create table late (id int references users deferrable initially deferred);'
    await write(app, { '002_late.sql': `${table}\n${rows}` })
    const { code, json } = await rehearse(app)
    expect(code).toBe(20)
    expect(json.error).toMatchObject({ kind: 'migration', sqlstate: '23503' })
    expect(json.error!.message).toContain('002_late failed')
  })

  test('restores nothing when no migration is pending, and names the backup', async ({ cluster, other, makeApp }) => {
    const app = await backedUp({ cluster, makeApp }, first, { url: other.url('postgres') })
    // nobody listens there
    await write(app, {}, { url: 'postgres://nobody@127.0.0.1:1/postgres' })
    const { code, stderr, json } = await rehearse(app)
    expect(code, stderr).toBe(0)
    expect(json).toMatchObject({ id: expect.any(String), database: app.database, server: null, files: [] })
    const { stdout } = await app.run('migrate', 'rehearse', '--from', json.id as string)
    expect(stdout).toContain(`backup    ${json.id} of ${app.database}`)
    expect(stdout).toContain('no migration is pending, so nothing was restored')
  })

  test('says of a file outside a transaction that short locks may be missing', async ({ cluster, other, makeApp }) => {
    const slow = `create function slow(int) returns int immutable language plpgsql as
      $$ begin if current_database() like 'pgbosun_test%' then perform pg_sleep(0.1); end if; return $1; end $$;`
    const app = await backedUp(
      { cluster, makeApp },
      { '001_tables.sql': `${first['001_tables.sql']} ${slow}` },
      { url: other.url('postgres') },
      { content: 'insert into orders values (1, 1), (2, 1), (3, 1)' },
    )
    await write(app, { '002_index.sql': 'create index concurrently by_user on orders (slow(user_id));' })
    const { code, stderr, files } = await rehearse(app)
    expect(code, stderr).toBe(0)
    expect(files).toMatchObject([
      { file: '002_index', transaction: false, locks: [{ object: 'public.orders', mode: 'ShareUpdateExclusiveLock' }] },
    ])
    expect((await app.run('migrate', 'rehearse', '--from', 'latest')).stdout).toContain(
      'outside a transaction: short locks may be missing',
    )
  })

  test('first applies what the database got since the backup', async ({ cluster, other, makeApp }) => {
    const app = await backedUp({ cluster, makeApp }, first, { url: other.url('postgres') }, { content })
    await write(app, { '002_column.sql': 'alter table users add email text;' })
    await succeed(app, 'migrate')
    await write(app, { '003_index.sql': 'create index on users (email);' })
    const { code, stderr, files } = await rehearse(app)
    expect(code, stderr).toBe(0)
    expect(files.map(({ file, already_applied }) => [file, already_applied])).toEqual([
      ['002_column', true],
      ['003_index', false],
    ])
    const { stdout } = await app.run('migrate', 'rehearse', '--from', 'latest')
    expect(stdout).toMatch(/002_column .*already applied to the database/)
    expect(stdout).toContain(`1 of them is already applied to ${app.database}`)
  })

  test('is refused from a backup that has a pending file, because it was undone since', async ({
    cluster,
    other,
    makeApp,
  }) => {
    const files = { ...first, '002_more.sql': 'create table more (a int);', '002_more.down.sql': 'drop table more;' }
    const app = await backedUp({ cluster, makeApp }, files, { url: other.url('postgres') })
    await succeed(app, 'migrate', 'down')
    const { code, stderr } = await rehearse(app)
    expect(code).toBe(21)
    expect(stderr).toContain('002_more is pending in the database, but applied in the backup')
    expect(stderr).toContain('pgbosun backup run')
    expect(await leftovers(other)).toEqual([])
  })

  test('works with the files and the history of another tool', async ({ cluster, other, makeApp }) => {
    const up = (text: string) => `-- +goose Up\n${text}\n`
    const app = await backedUp(
      { cluster, makeApp },
      { '00001_tables.sql': up('create table users (id int primary key);') },
      { url: other.url('postgres') },
      { more: { migrate: { format: 'goose' } } },
    )
    await write(app, {
      '00002_wider.sql': up('alter table users alter column id type bigint;'),
      '00003_index.sql': `-- +goose NO TRANSACTION\n${up('create index concurrently on users (id);')}`,
    })
    const { code, stderr, files } = await rehearse(app)
    expect(code, stderr).toBe(0)
    expect(files).toMatchObject([
      {
        file: '00002_wider',
        transaction: true,
        locks: [{ object: 'public.users', mode: 'AccessExclusiveLock' }],
        rewritten: [{ object: 'public.users' }],
      },
      { file: '00003_index', transaction: false },
    ])
  })

  test('reads a file as the next `up` would: in the schemas of its role', async ({ cluster, other, makeApp }) => {
    const owner = uniqueName('owner')
    await cluster.ask(`create role ${owner} superuser; alter role ${owner} set search_path = '$user', public`)
    const app = await backedUp(
      { cluster, makeApp },
      { '001_schema.sql': `create schema ${owner}; create table ${owner}.t (a int);` },
      { url: other.url('postgres') },
      { more: { migrate: { role: owner } } },
    )
    await write(app, { '002_here.sql': 'alter table t add b int;' })
    const { code, stderr, files } = await rehearse(app)
    expect(code, stderr).toBe(0)
    expect(files[0]!.locks).toEqual([{ object: `${owner}.t`, mode: 'AccessExclusiveLock' }])
  })

  test('first creates the declared schemas and extensions that `up` would create', async ({
    cluster,
    other,
    makeApp,
  }) => {
    const app = await backedUp({ cluster, makeApp }, first, { url: other.url('postgres') })
    const declared = { schemas: { app: {} }, extensions: { pg_trgm: {}, file_fdw: {} } }
    await write(
      app,
      { '002_app.sql': 'create table app.words (word text); create index on app.words using gin (word gin_trgm_ops);' },
      { url: other.url('postgres') },
      { databases: { [app.database]: declared } },
    )
    const { code, stderr, json } = await rehearse(app)
    expect(code, stderr).toBe(0)
    expect(json.warnings).toEqual([
      expect.stringContaining('the copy lacks the extension file_fdw, which `up` creates before it migrates'),
    ])
  })

  test('says of a file that stopped outside a transaction nothing about a next run', async ({
    cluster,
    other,
    makeApp,
  }) => {
    const app = await backedUp({ cluster, makeApp }, first, { url: other.url('postgres') })
    await write(app, { '002_half.sql': '-- pgbosun: no-transaction\nvacuum users;\nselect 1 / 0;' })
    const { code, stderr } = await rehearse(app)
    expect(code).toBe(20)
    expect(stderr).toContain('002_half.sql:3:')
    expect(stderr).not.toContain('next run')
  })

  test('gives code in the backup and in the files none of the rights of its user', async ({
    cluster,
    other,
    makeApp,
  }) => {
    const evil = uniqueName('evil')
    const grab = `begin execute 'set role none; reset session authorization'; exception when others then null; end;
      begin execute 'create role ${evil} superuser'; exception when others then null; end;`
    const app = await backedUp(
      { cluster, makeApp },
      {
        '001_tables.sql': `create table t (a int);
          create function grab() returns trigger language plpgsql as $$ begin
            if current_database() like 'pgbosun_test%' then ${grab} end if; return new; end $$;
          create trigger grab before insert on t for each row execute function grab();`,
      },
      { url: other.url('postgres') },
    )
    await write(app, {
      '002_row.sql': 'insert into t values (1);',
      '003_role.sql': `create role ${evil} superuser;\ninsert into t values (2);`,
      '004_block.sql': `do $$ begin ${grab} end $$;`,
    })
    const { code, stderr, json } = await rehearse(app)
    expect(code, stderr).toBe(0)
    expect(json.warnings).toEqual(['left out of 003_role, because it would change the server: CREATE ROLE'])
    expect(await ask(other, `select rolname from pg_roles where rolname = '${evil}'`)).toEqual([])
    expect(await leftovers(other)).toEqual([])
  })

  test('says why a file that needs more rights cannot be rehearsed', async ({ cluster, other, makeApp }) => {
    const app = await backedUp({ cluster, makeApp }, first, { url: other.url('postgres') })
    await write(app, { '002_grant.sql': 'grant select on users to nobody_here;' })
    const missing = await rehearse(app)
    expect(missing.code).toBe(20)
    expect(missing.stderr).toContain('the roles that files name also have to exist on the server of the rehearsal')
    await write(app, { '002_grant.sql': "copy users to '/tmp/users';" })
    const denied = await rehearse(app)
    expect(denied.code).toBe(20)
    expect(denied.stderr).toContain('files run as a login that owns the copy and may do nothing else')
    expect(await leftovers(other)).toEqual([])
  })

  test('that is killed leaves a database that the next one removes; one that is stopped removes it itself', async ({
    cluster,
    other,
    makeApp,
  }) => {
    const app = await backedUp({ cluster, makeApp }, first, { url: other.url('postgres') })
    await write(app, { '002_slow.sql': 'select pg_sleep(30);' })
    const before = await everything(cluster, app)
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      const running = app.start('migrate', 'rehearse', '--from', 'latest')
      await until('the file that waits', () =>
        ask(other, "select from pg_stat_activity where wait_event = 'PgSleep'").then((rows) => rows.length),
      )
      running.child.kill(signal)
      const { code, stderr } = await running.finished
      if (signal === 'SIGTERM') expect(code, stderr).toBe(143)
      expect(await leftovers(other), signal).toHaveLength(signal === 'SIGKILL' ? 2 : 0)
      await ask(other, "select pg_terminate_backend(pid) from pg_stat_activity where usename like 'pgbosun_restore_%'")
    }
    expect(await everything(cluster, app)).toEqual(before)
  })

  test('of a program that migrates is a mistake, and so is one without a backup or a server', async ({
    cluster,
    other,
    makeApp,
  }) => {
    const app = await makeApp({})
    await cluster.ask(`create database ${quoteIdent(app.database)}`)
    const run = async (...args: string[]) => {
      const { code, stderr } = await app.run('migrate', 'rehearse', ...args)
      return [code, stderr] as const
    }
    await write(app, first, {})
    expect(await run('--from', 'latest')).toEqual([2, expect.stringContaining('there is no server for test restores')])
    await write(app, first, { url: other.url('postgres') })
    expect(await run()).toEqual([2, expect.stringContaining('the backup to rehearse on is missing')])
    expect(await run('--from', 'newest')).toEqual([2, expect.stringContaining('newest is not the id of a backup')])
    expect(await run('--from', 'latest')).toEqual([62, expect.stringContaining('there is no backup of database')])
    await write(app, first, { url: other.url('postgres') }, { migrate: { command: ['true'] } })
    expect(await run('--from', 'latest')).toEqual([
      2,
      expect.stringContaining(
        'migrate rehearse works on migration files, but here migrate.command migrates the database',
      ),
    ])
  })
})

describe.skipIf(!client)('on the server that was backed up, a rehearsal', () => {
  test('is refused to a superuser, and where free space is not known', async ({ cluster, makeApp }) => {
    const app = await backedUp({ cluster, makeApp }, first, { where: 'same-server' })
    await write(app, { '002_more.sql': 'create table more (a int);' })
    const asSuperuser = await rehearse(app)
    expect(asSuperuser.code).toBe(12)
    expect(asSuperuser.stderr).toContain('is not restored on its own server as postgres, which is a superuser')
    const user = uniqueName('verify')
    await cluster.ask(`create role ${user} login password 'pw' createdb`)
    const url = new URL(cluster.url('postgres'))
    url.username = user
    url.password = 'pw'
    await write(app, {}, { where: 'same-server', url: url.href })
    const unknown = await rehearse(app)
    expect(unknown.code).toBe(70)
    expect(unknown.stderr).toContain('the free space of the server is not known')
    await cluster.ask(`grant pg_read_all_settings to ${user}`)
    const before = await everything(cluster, app)
    const { code, stderr, files } = await rehearse(app)
    expect(code, stderr).toBe(0)
    expect(files).toMatchObject([{ file: '002_more', locks: [], rewritten: [] }])
    expect(await everything(cluster, app)).toEqual(before)
  })

  test('cannot create or drop databases through a file', async ({ cluster, makeApp }) => {
    const [user, victim] = [uniqueName('verify'), uniqueName('victim')]
    await cluster.ask(`create role ${user} login password 'pw' createdb; grant pg_read_all_settings to ${user}`)
    await cluster.ask(`create database ${victim} owner ${user}`)
    const url = new URL(cluster.url('postgres'))
    url.username = user
    url.password = 'pw'
    const app = await backedUp({ cluster, makeApp }, first, { where: 'same-server', url: url.href })
    await write(app, {
      '002_other.sql': `-- pgbosun: no-transaction\ndrop database ${victim};\ncreate database ${victim}_2;\nselect 1;`,
    })
    const { code, stderr, json } = await rehearse(app)
    expect(code, stderr).toBe(0)
    expect(json.warnings).toEqual([
      'left out of 002_other, because it would change the server: DROP DATABASE, CREATE DATABASE',
    ])
    expect(await cluster.ask(`select datname from pg_database where datname like '${victim}%'`)).toEqual([
      { datname: victim },
    ])
  })
})
