import { readdirSync, readFileSync } from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import postgres from 'postgres'
import { describe, expect } from 'vitest'
import { freePort, type Server, startServer } from '../scripts/server.ts'
import type { Manifest } from '../src/archive/manifest.ts'
import { sealManifest } from '../src/archive/seal.ts'
import { quoteIdent } from '../src/sql/quote.ts'
import { client } from './support/backup.ts'
import { type App, test as base, type Cluster, until } from './support/chaos.ts'
import { server, uniqueName } from './support/postgres.ts'

const richSql = readFileSync(join(import.meta.dirname, 'support/rich.sql'), 'utf8')

/** A second server, for test restores. */
// biome-ignore lint/correctness/noEmptyPattern: vitest demands the destructuring
const test = base.extend('other', { scope: 'file' }, async ({}, { onCleanup }) => {
  const other = await startServer(server().binDir, { settings: ['fsync=off'] })
  onCleanup(() => other.remove())
  return other
})

type Place = { url?: string; where?: 'url' | 'same-server'; maxBytes?: string; schedule?: string }

const configure = (app: App, { url, ...verify }: Place, more: { backup?: object; serve?: object } = {}) =>
  app.write({
    url: url ?? '',
    'pgbosun.yaml': JSON.stringify({
      database: { url: { env: 'DATABASE_URL' } },
      ...more,
      backup: {
        ...more.backup,
        store: `file://${app.cwd}/store`,
        verify: { ...verify, ...(url !== undefined && { url: { file: `${app.cwd}/url` } }) },
      },
    }),
  })

/** A database with one backup of it. */
async function backedUp(
  cluster: Cluster,
  makeApp: (extra: object, name?: string) => Promise<App>,
  sql: string,
  place: Place,
): Promise<App> {
  const app = await makeApp({ databases: {} })
  await configure(app, place)
  await cluster.ask(`create database ${quoteIdent(app.database)}`)
  await cluster.ask(sql, app.database)
  const { code, stderr } = await app.run('backup', 'run')
  expect(code, stderr).toBe(0)
  return app
}

const folderOf = (app: App) => {
  const all = join(app.cwd, 'store', encodeURIComponent(app.database))
  return join(all, readdirSync(all).find((name) => /^\d{8}T/.test(name))!)
}

async function changeManifest(app: App, change: (manifest: Manifest) => Manifest): Promise<void> {
  const path = join(folderOf(app), 'manifest.json')
  await writeFile(path, sealManifest(change(JSON.parse(await readFile(path, 'utf8')))))
}

async function ask<Row extends object>(where: Pick<Server, 'url'>, query: string, database = 'postgres') {
  const sql = postgres(where.url(database), {
    max: 1,
    fetch_types: false,
    onnotice() {},
    no_subscribe: true,
  } as postgres.Options<Record<string, never>>)
  try {
    return [...(await sql.unsafe<Row[]>(query))]
  } finally {
    await sql.end({ timeout: 1 })
  }
}

/** What test restores leave on a server. */
const leftovers = (where: Pick<Server, 'url'>) =>
  ask<{ name: string }>(
    where,
    `select datname as name from pg_database where datname like 'pgbosun_test_restore%'
      union all select rolname from pg_roles where rolname like 'pgbosun_restore_%'`,
  )

/** What the last test restore wrote into the store. */
async function recorded(app: App): Promise<Record<string, unknown> | undefined> {
  const name = (await readdir(folderOf(app)))
    .filter((one) => one.startsWith('verified-'))
    .sort()
    .at(-1)
  return name === undefined ? undefined : JSON.parse(await readFile(join(folderOf(app), name), 'utf8'))
}

/** A login that may do nothing but this, on a server. */
async function loginOn(
  where: Pick<Server, 'url'>,
  rights: string,
  more: (user: string) => string = () => '',
): Promise<string> {
  const user = uniqueName('verify')
  await ask(where, `create role ${user} login password 'pw' ${rights}; ${more(user)}`)
  const url = new URL(where.url('postgres'))
  url.username = user
  url.password = 'pw'
  return url.href
}

describe.skipIf(!client)('a test restore', () => {
  test('restores on another server, compares rows and contents, and leaves nothing there', async ({
    cluster,
    other,
    makeApp,
  }) => {
    const [owner, reader] = [uniqueName('owner'), uniqueName('reader')]
    await cluster.ask(`create role "${owner}"; create role "${reader}"`)
    const rich = richSql.replaceAll('$owner', owner).replaceAll('$reader', reader)
    const app = await backedUp(cluster, makeApp, rich, { url: other.url('postgres') })
    const { code, json, stderr } = await app.runJson('backup', 'verify', 'latest', '--restore')
    expect(code, stderr).toBe(0)
    const server = `127.0.0.1:${other.port}, PostgreSQL ${(await ask<{ v: string }>(other, "select split_part(current_setting('server_version'), ' ', 1) as v"))[0]!.v}`
    const [result] = json.results as Record<string, unknown>[]
    expect(result).toMatchObject({ database: app.database, level: 'restore', ok: true, problem: null, server })
    const manifest = JSON.parse(await readFile(join(folderOf(app), 'manifest.json'), 'utf8')) as Manifest
    expect(await recorded(app)).toMatchObject({
      level: 'restore',
      ok: true,
      duration_ms: result!.duration_ms,
      server,
      same_server: false,
      tables_compared: Object.keys(manifest.rows).length,
      rows_compared: Object.values(manifest.rows).reduce((sum, rows) => sum + rows, 0),
      rows_sampled: Object.values(manifest.samples!).reduce((sum, { rows }) => sum + rows, 0),
      wal_bytes: expect.any(Number),
    })
    expect(manifest.samples!['app.people']).toEqual({ rows: 100, md5: expect.stringMatching(/^[0-9a-f]{32}$/) })
    expect(await leftovers(other)).toEqual([])
  })

  test('makes nothing that could act by itself, and lets nobody else in', async ({ cluster, other, makeApp }) => {
    const app = await backedUp(
      cluster,
      makeApp,
      `create extension postgres_fdw;
       create server far foreign data wrapper postgres_fdw options (host '127.0.0.1', port '1', dbname 'x');
       create user mapping for public server far options (user 'a', password 'b');
       create foreign table far_rows (a int) server far;
       create function noted() returns event_trigger language plpgsql as 'begin end';
       create event trigger first on ddl_command_end execute function noted();
       create subscription sub connection 'host=127.0.0.1 port=1 dbname=x' publication p with (connect = false, slot_name = none);
       create materialized view far_counts as select count(*) from far_rows with no data;
       create function slow() returns int language plpgsql as
         $$ begin if current_database() like 'pgbosun_test%' then perform pg_sleep(8); end if; return 1; end $$;
       create materialized view slowly as select public.slow() as one`,
      { url: other.url('postgres') },
    )
    const guest = await loginOn(other, '')
    const trying = app.start('backup', 'verify', '--restore')
    const work = await until('a database for the test restore', async () =>
      (await leftovers(other)).map(({ name }) => name).find((name) => name.includes('__restore_')),
    )
    await until('the function that waits', () =>
      ask(other, `select from pg_stat_activity where datname = '${work}' and wait_event = 'PgSleep'`).then(
        (rows) => rows.length,
      ),
    )
    expect(
      await ask(
        other,
        `select (select count(*)::int from pg_event_trigger) as triggers, (select count(*)::int from pg_user_mapping) as mappings,
                (select count(*)::int from pg_subscription s join pg_database d on d.oid = s.subdbid where d.datname = current_database()) as subscriptions,
                (select relispopulated from pg_class where relname = 'far_counts') as filled`,
        work,
      ),
    ).toEqual([{ triggers: 0, mappings: 0, subscriptions: 0, filled: false }])
    await expect(ask({ url: (name) => guest.replace(/postgres$/, name) }, 'select 1', work)).rejects.toThrow(
      /permission denied for database/,
    )
    const { code, stderr } = await trying.finished
    expect(code, stderr).toBe(0)
    expect(await leftovers(other)).toEqual([])
  })

  test('gives code in the backup none of the rights of its user', async ({ cluster, other, makeApp }) => {
    const evil = uniqueName('evil')
    const app = await backedUp(
      cluster,
      makeApp,
      `create function grab(int) returns bool immutable language plpgsql as $$ begin
         if current_database() like 'pgbosun_test%' then
           begin execute 'set role none; reset session authorization'; exception when others then null; end;
           begin execute 'create role ${evil} superuser'; exception when others then null; end;
         end if;
         return true; end $$;
       create table t (a int primary key); insert into t values (1); alter table t add check (public.grab(a));
       create index on t ((public.grab(a)));
       create materialized view m as select public.grab(a) from t`,
      { url: other.url('postgres') },
    )
    const { code, stderr } = await app.run('backup', 'verify', '--restore')
    expect(code, stderr).toBe(0)
    expect(await ask(other, `select rolname from pg_roles where rolname = '${evil}'`)).toEqual([])
    expect(await leftovers(other)).toEqual([])
  })

  test('that is killed leaves a database that the next one removes; one that is stopped removes it itself', async ({
    cluster,
    other,
    makeApp,
  }) => {
    const app = await backedUp(
      cluster,
      makeApp,
      `create function slow() returns int language plpgsql as
         $$ begin if current_database() like 'pgbosun_test%' then perform pg_sleep(30); end if; return 1; end $$;
       create materialized view slowly as select public.slow() as one`,
      { url: other.url('postgres') },
    )
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      const trying = app.start('backup', 'verify', '--restore')
      await until('the function that waits', () =>
        ask(other, "select from pg_stat_activity where wait_event = 'PgSleep'").then((rows) => rows.length),
      )
      trying.child.kill(signal)
      const { code, stderr } = await trying.finished
      if (signal === 'SIGTERM') expect(code, stderr).toBe(143)
      expect(await leftovers(other), signal).toHaveLength(signal === 'SIGKILL' ? 2 : 0)
      await ask(other, "select pg_terminate_backend(pid) from pg_stat_activity where usename like 'pgbosun_restore_%'")
    }
  })

  test('of a backup that cannot be restored is exit 61, and the backup stays the latest', async ({
    cluster,
    other,
    makeApp,
  }) => {
    const app = await backedUp(
      cluster,
      makeApp,
      `create table t (at timestamptz); insert into t values ('2020-01-01');
       create function late(timestamptz) returns bool language sql as $$ select $1 > '2021-01-01' or current_database() not like 'pgbosun_test%' $$;
       alter table t add check (late(at))`,
      { url: other.url('postgres') },
    )
    const { code, json } = await app.runJson('backup', 'verify', '--restore')
    expect(code).toBe(61)
    expect(json.results).toMatchObject([
      { level: 'restore', ok: false, problem: expect.stringContaining('violates check constraint') },
    ])
    expect(await recorded(app)).toMatchObject({ ok: false, duration_ms: null })
    const list = await app.runJson('backup', 'list')
    expect(list.json.backups).toMatchObject([
      { verified: true, restore_test: { ok: false, problem: expect.stringContaining('violates check constraint') } },
    ])
    expect((await app.run('backup', 'list')).stdout).toContain('verified, test restore FAILED')
    expect((await app.run('restore', '--into', uniqueName('copy'), '--yes')).code).toBe(0)
  })

  test('finds rows with other contents, and rows that are missing', async ({ cluster, other, makeApp }) => {
    const app = await backedUp(
      cluster,
      makeApp,
      'create table t (id int primary key, word text); insert into t select n, n::text from generate_series(1, 300) n',
      { url: other.url('postgres') },
    )
    await changeManifest(app, (manifest) => ({
      ...manifest,
      samples: { 'public.t': { rows: 100, md5: '0'.repeat(32) } },
    }))
    const changed = await app.run('backup', 'verify', '--restore')
    expect(changed.code).toBe(61)
    expect(changed.stderr).toContain('rows of public.t have other contents')
    await changeManifest(app, (manifest) => ({ ...manifest, rows: { 'public.t': 301 }, samples: {} }))
    const missing = await app.run('backup', 'verify', '--restore')
    expect(missing.code).toBe(61)
    expect(missing.stderr).toContain('public.t has 300 rows instead of 301')
    expect(await leftovers(other)).toEqual([])
  })

  test('of a damaged backup says so, and the backup counts as damaged', async ({ cluster, other, makeApp }) => {
    const app = await backedUp(cluster, makeApp, 'create table t (a int)', { url: other.url('postgres') })
    const path = join(folderOf(app), 'dump.zst')
    const dump = await readFile(path)
    dump[dump.length - 8]! ^= 1
    await writeFile(path, dump)
    const { code, json } = await app.runJson('backup', 'verify', '--restore')
    expect(code, JSON.stringify(json.error)).toBe(61)
    expect((await app.runJson('backup', 'list')).json.backups).toMatchObject([{ verified: false }])
    expect(await leftovers(other)).toEqual([])
  })
})

describe.skipIf(!client)('on the server that was backed up, a test restore', () => {
  test('is refused to a superuser, who is told which role to create', async ({ cluster, makeApp }) => {
    const app = await backedUp(cluster, makeApp, 'create table t (a int)', { where: 'same-server' })
    const { code, stderr } = await app.run('backup', 'verify', '--restore')
    expect(code).toBe(12)
    expect(stderr).toContain('is not restored on its own server as postgres, which is a superuser')
    expect(stderr).toContain('create role "pgbosun_verify" login createdb')
    expect(await recorded(app)).toBeUndefined()
  })

  test('needs to be asked for: backup.verify.url alone is not enough', async ({ cluster, makeApp }) => {
    const app = await backedUp(cluster, makeApp, 'create table t (a int)', { url: cluster.url('postgres') })
    const { code, stderr } = await app.run('backup', 'verify', '--restore')
    expect(code).toBe(70)
    expect(stderr).toContain('the server of backup.verify.url is the one that was backed up')
  })

  test('works as a role that may only create databases, where free space is known', async ({ cluster, makeApp }) => {
    const url = await loginOn(cluster, 'createdb', (user) => `grant pg_read_all_settings to ${user}`)
    const app = await backedUp(
      cluster,
      makeApp,
      `create extension pg_trgm; create table t (id int primary key, a text); insert into t values (1, 'one');
       create table p (id int primary key); alter table p enable row level security; create policy q on p using (true);
       create function noted() returns event_trigger language plpgsql as 'begin end';
       create event trigger first on ddl_command_end execute function noted();
       create index on t using gin (a gin_trgm_ops)`,
      { url, where: 'same-server' },
    )
    const { code, stderr } = await app.run('backup', 'verify', '--restore')
    expect(code, stderr).toBe(0)
    expect(await recorded(app)).toMatchObject({ ok: true, same_server: true, rows_compared: 1, rows_sampled: 1 })
    expect(await leftovers(cluster)).toEqual([])
  })

  test('is refused where free space is not known', async ({ cluster, makeApp }) => {
    const url = await loginOn(cluster, 'createdb')
    const app = await backedUp(cluster, makeApp, 'create table t (a int)', { url, where: 'same-server' })
    const { code, stderr } = await app.run('backup', 'verify', '--restore')
    expect(code).toBe(70)
    expect(stderr).toContain('the free space of the server is not known')
    expect(stderr).toContain('grant pg_read_all_settings to')
  })

  test('is refused above backup.verify.maxBytes', async ({ cluster, makeApp }) => {
    const url = await loginOn(cluster, 'createdb', (user) => `grant pg_read_all_settings to ${user}`)
    const place = { url, where: 'same-server', maxBytes: '1MB' } as const
    const app = await backedUp(cluster, makeApp, 'create table t (a int)', place)
    const { code, stderr } = await app.run('backup', 'verify', '--restore')
    expect(code).toBe(70)
    expect(stderr).toContain('more than backup.verify.maxBytes (1 MB)')
  })
})

describe.skipIf(!client)('backup verify --restore', () => {
  test('is a mistake where no server is configured', async ({ cluster, makeApp }) => {
    const app = await backedUp(cluster, makeApp, 'create table t (a int)', {})
    const { code, stderr } = await app.run('backup', 'verify', '--restore')
    expect(code).toBe(2)
    expect(stderr).toContain('there is no server for test restores')
  })
})

describe.skipIf(!client)('serve', () => {
  /** Longer ago than a day, so that its slot has been missed. */
  const schedule = '0 0 1 1 *'

  async function serving(app: App, place: Place) {
    const port = await freePort()
    await configure(app, place, { serve: { listen: `127.0.0.1:${port}` } })
    const process = app.start('serve', '--no-up')
    const status = async () =>
      JSON.parse(await (await fetch(`http://127.0.0.1:${port}/status.json`)).text()) as {
        backups: { restore_test: { running: boolean; last: { ok: boolean } | null; last_error: string | null } }[]
        conditions: { name: string; severity: string; message: string }[]
      }
    return {
      process,
      seen: (what: string, is: (now: Awaited<ReturnType<typeof status>>) => boolean) =>
        until(what, async () => {
          const now = await status().catch(() => undefined)
          return now && is(now) ? now : undefined
        }),
    }
  }

  test('restores the newest backup on schedule, and shows how long it took and where', async ({
    cluster,
    other,
    makeApp,
  }) => {
    const app = await backedUp(cluster, makeApp, 'create table t (a int primary key)', {})
    const { process, seen } = await serving(app, { url: other.url('postgres'), schedule })
    const { backups, conditions } = await seen(
      'a test restore',
      ({ backups }) => backups[0]!.restore_test.last !== null,
    )
    expect(backups).toMatchObject([
      {
        restore_test: {
          running: false,
          last: {
            ok: true,
            problem: null,
            duration_ms: expect.any(Number),
            server: expect.stringContaining(`${other.port}`),
          },
          last_error: null,
          next_run_at: expect.stringMatching(/-01-01T00:00:00.000Z$/),
        },
      },
    ])
    expect(conditions).toEqual([])
    process.child.kill('SIGTERM')
    expect((await process.finished).code).toBe(0)
    expect((await app.run('check')).stdout).toContain('; restored in ')
  })

  test('goes on after one that could not be made, and after one that failed', async ({ cluster, other, makeApp }) => {
    const app = await backedUp(cluster, makeApp, 'create table t (a int primary key)', {})
    const wrong = new URL(other.url('postgres'))
    wrong.password = 'wrong'
    const first = await serving(app, { url: wrong.href, schedule })
    const refused = await first.seen('the condition', ({ conditions }) => conditions.length > 0)
    expect(refused.conditions).toMatchObject([
      { name: 'restore-test-failed', severity: 'error', message: expect.stringContaining('could not be tried') },
    ])
    expect(refused.backups[0]!.restore_test).toMatchObject({ last: null, last_error: expect.any(String) })
    first.process.child.kill('SIGTERM')
    expect((await first.process.finished).code).toBe(0)

    await changeManifest(app, (manifest) => ({ ...manifest, rows: { 'public.t': 1 } }))
    const second = await serving(app, { url: other.url('postgres'), schedule })
    const failed = await second.seen('the condition', ({ conditions }) => conditions.length > 0)
    expect(failed.conditions).toMatchObject([
      { name: 'restore-test-failed', message: expect.stringContaining('public.t has 0 rows instead of 1') },
    ])
    expect((await app.run('healthcheck', '--backups')).code).toBe(1)
    second.process.child.kill('SIGTERM')
    expect((await second.process.finished).code).toBe(0)
    const { code, stderr } = await app.run('check')
    expect(code).toBe(50)
    expect(stderr).toContain('could not be restored for a test')
  })

  test('is told by check that no backup was ever restored for a test, where backups are scheduled', async ({
    cluster,
    other,
    makeApp,
  }) => {
    const app = await backedUp(cluster, makeApp, 'create table t (a int primary key)', { url: other.url('postgres') })
    const said = 'no backup was ever restored for a test: set backup.verify.schedule'
    expect((await app.run('check')).stderr).not.toContain(said)
    await configure(app, { url: other.url('postgres') }, { backup: { schedule } })
    const before = await app.run('check')
    expect(before.stderr.split(said)).toHaveLength(2)
    expect((await app.run('backup', 'verify', '--restore')).code).toBe(0)
    expect((await app.run('check')).stderr).not.toContain(said)
  })
})
