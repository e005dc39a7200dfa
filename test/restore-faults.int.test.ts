import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmdirSync, symlinkSync } from 'node:fs'
import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { type Server, startServer } from '../scripts/server.ts'
import type { Manifest } from '../src/archive/manifest.ts'
import { sealManifest } from '../src/archive/seal.ts'
import { silentLog } from '../src/log.ts'
import { openSession } from '../src/postgres/connect.ts'
import { mayGoWithoutEventTriggers } from '../src/postgres/event-triggers.ts'
import { analyze } from '../src/restore/analyze.ts'
import { quoteIdent, quoteLiteral } from '../src/sql/quote.ts'
import { client, connectionTo } from './support/backup.ts'
import { type App, type Cluster, test, until } from './support/chaos.ts'
import { server, uniqueName, urlOf } from './support/postgres.ts'

/** A database with one backup of it. */
async function backedUp(
  cluster: Cluster,
  makeApp: (extra: object, name?: string) => Promise<App>,
  sql: string,
): Promise<App> {
  const app = await makeApp({ databases: {} })
  const config = { database: { url: { env: 'DATABASE_URL' } }, backup: { store: `file://${app.cwd}/store` } }
  await app.write({ 'pgbosun.yaml': JSON.stringify(config) })
  await cluster.ask(`create database ${quoteIdent(app.database)}`)
  await cluster.ask(sql, app.database)
  const { code, stderr } = await app.run('backup', 'run')
  expect(code, stderr).toBe(0)
  return app
}

async function changeManifest(app: App, change: (manifest: Manifest) => Manifest): Promise<void> {
  const folder = join(app.cwd, 'store', encodeURIComponent(app.database))
  const [id = ''] = (await readdir(folder)).filter((name) => /^\d{8}T/.test(name))
  const path = join(folder, id, 'manifest.json')
  await writeFile(path, sealManifest(change(JSON.parse(await readFile(path, 'utf8')))))
}

/** Databases whose name begins like this. */
const copies = (cluster: Cluster, prefix: string) =>
  cluster.ask(`select datname from pg_database where starts_with(datname, ${quoteLiteral(prefix)})`)

const hasFdw = async (cluster: Cluster) =>
  (await cluster.ask("select from pg_available_extensions where name = 'postgres_fdw'")).length > 0

/** A server that accepts connections and never says anything. */
async function silentServer(): Promise<{ port: number; seen(): number } & AsyncDisposable> {
  const sockets = new Set<{ destroy(): void }>()
  let seen = 0
  const server = createServer((socket) => {
    seen++
    sockets.add(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as { port: number }).port,
    seen: () => seen,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** An index whose function says that another server is down, but only when asked by a statement that begins like this. */
const unreachable = (statement: string) => `
  create function far(int) returns int language plpgsql immutable as $$ begin
    if pg_catalog.current_query() ilike '${statement}%' then raise exception 'could not connect to server "far"' using errcode = '08001'; end if;
    return $1; end $$`

const analyzed = async (cluster: Cluster, database: string) => {
  const rows = await cluster.ask<{ name: string }>(
    "select tablename as name from pg_stats where schemaname = 'public' group by 1 order by 1",
    database,
  )
  return rows.map(({ name }) => name)
}

describe.skipIf(!client)('restore and other servers', () => {
  for (const more of [[], ['--as-superuser']])
    test(`asks no other server for its statistics${more.map((flag) => ` (${flag})`)}`, async ({
      cluster,
      makeApp,
      skip,
    }) => {
      if (!(await hasFdw(cluster)))
        skip('NOT RUN: the server has no postgres_fdw: install the contrib package of PostgreSQL')
      await using silent = await silentServer()
      const app = await backedUp(
        cluster,
        makeApp,
        `create extension postgres_fdw;
         create server down foreign data wrapper postgres_fdw options (host '127.0.0.1', port '1');
         create server silent foreign data wrapper postgres_fdw options (host '127.0.0.1', port '${silent.port}');
         create user mapping for public server down; create user mapping for public server silent;
         create table parts (a int) partition by list (a);
         create table parts_1 partition of parts for values in (1);
         create foreign table parts_2 partition of parts for values in (2) server down;
         create foreign table parts_3 partition of parts for values in (3) server silent;
         create table parent (a int); create table child () inherits (parent);
         create foreign table far_child () inherits (parent) server silent;
         create foreign table alone (a int) server down;
         insert into parts values (1); insert into parent values (1); insert into child values (2)`,
      )
      const into = uniqueName('copy')
      const { code, json, stderr } = await app.runJson('restore', '--into', into, '--yes', ...more)
      expect(code, stderr).toBe(0)
      expect(json.warnings).toEqual([])
      expect(silent.seen()).toBe(0)
      expect(await analyzed(cluster, into)).toEqual(['child', 'parts_1'])
    }, 60_000)

  for (const more of [[], ['--as-superuser']])
    test(`warns of a table whose statistics could not be gathered, and gathers the others${more.map((flag) => ` (${flag})`)}`, async ({
      cluster,
      makeApp,
    }) => {
      const app = await backedUp(
        cluster,
        makeApp,
        `${unreachable('analyze')}; create table b (a int); insert into b values (1); create index on b (far(a));
         create table a as select 1 as a; create table c as select 1 as a; create materialized view d as select 1 as a`,
      )
      const into = uniqueName('copy')
      const { code, json, stderr } = await app.runJson('restore', '--into', into, '--yes', ...more)
      expect(code, stderr).toBe(0)
      expect(json).toMatchObject({
        touched: true,
        differences: [],
        warnings: [
          'no statistics were gathered of "public"."b": could not connect to server "far"; until `analyze` succeeds there, its queries may be slow',
        ],
      })
      expect(await analyzed(cluster, into)).toEqual(['a', 'c', 'd'])
    })

  test('does not take what the server says of another server for its own lost connection', async ({
    cluster,
    makeApp,
  }) => {
    const app = await backedUp(
      cluster,
      makeApp,
      `${unreachable('set row_security to off; refresh')}; create materialized view v as select far(1) as a`,
    )
    const into = uniqueName('copy')
    const { code, json } = await app.runJson('restore', '--into', into, '--yes')
    expect(json.error).toMatchObject({ sqlstate: '08001' })
    expect(json.error?.message).toBe(
      `${into} could not be restored: materialized view data v: could not connect to server "far"; nothing was changed`,
    )
    expect(code).toBe(70)
  })

  test('gives up on a table whose statistics take too long', async ({ database, sql }) => {
    const session = await openSession(connectionTo(urlOf(database)), { applicationName: 'test', log: silentLog })
    await sql.unsafe(`
      create function slow(int) returns int language plpgsql immutable as $$ begin
        if pg_catalog.current_query() ilike 'analyze%' then perform pg_catalog.pg_sleep(60); end if; return $1; end $$;
      create table a (a int); insert into a values (1); create index on a (slow(a)); create table b as select 1 as a`)
    const warnings: unknown[] = []
    await analyze(session.sql, { timeoutMs: 300, warn: (warning) => warnings.push(warning) })
    expect(warnings).toEqual([expect.stringContaining('"public"."a": canceling statement due to statement timeout')])
    expect(await sql`select distinct tablename as name from pg_stats where schemaname = 'public'`).toEqual([
      { name: 'b' },
    ])
    expect(await session.sql.unsafe('show statement_timeout')).toEqual([{ statement_timeout: '0' }])
    await session.end()
  })
})

const slow = `create function slow(int) returns int language plpgsql immutable as $$ begin
  if pg_catalog.current_query() ilike 'analyze%' then perform pg_catalog.pg_sleep(60); end if; return $1; end $$;
  create table a (a int); insert into a values (1); create index on a (slow(a))`

describe.skipIf(!client)('a restore that is asked to stop while statistics are gathered', () => {
  for (const more of [[], ['--as-superuser']])
    test(`stops at once and removes what it made${more.map((flag) => ` (${flag})`)}`, async ({ cluster, makeApp }) => {
      const app = await backedUp(cluster, makeApp, slow)
      const into = uniqueName('copy')
      const { child, finished } = app.start('restore', '--into', into, '--yes', ...more)
      await until('statistics are gathered', async () => {
        const busy = `select from pg_stat_activity where wait_event = 'PgSleep' and datname ^@ ${quoteLiteral(into)}`
        return (await cluster.ask(busy)).length > 0
      })
      const startedAt = performance.now()
      child.kill('SIGTERM')
      expect(await finished).toMatchObject({ code: 143 })
      expect(performance.now() - startedAt).toBeLessThan(10_000)
      expect(await copies(cluster, into)).toEqual([])
      expect(await cluster.ask("select from pg_roles where rolname ^@ 'pgbosun_restore_'")).toEqual([])
    })
})

const subscribed = `
  create table t as select 1 as a;
  create subscription "Sub ""s""" connection 'host=127.0.0.1 port=1 dbname=x' publication p with (connect = false, slot_name = 'slot_of_original');
  create function noted() returns event_trigger language plpgsql as $$ begin
    if pg_catalog.current_query() !~* 'create|pgbosun_restore' then raise exception 'code of the application ran'; end if; end $$`

const subscriptions = (cluster: Cluster, database: string) =>
  cluster.ask(
    `select subname, subslotname, subenabled from pg_subscription join pg_database d on d.oid = subdbid where datname = ${quoteLiteral(database)}`,
  )

describe.skipIf(!client)('restore of a subscription', () => {
  for (const more of [[], ['--as-superuser']])
    test(`leaves the slot to the original, and says so${more.map((flag) => ` (${flag})`)}`, async ({
      cluster,
      makeApp,
    }) => {
      const app = await backedUp(
        cluster,
        makeApp,
        `${subscribed}; create event trigger first on ddl_command_start execute function noted();
         create event trigger last on ddl_command_end execute function noted(); alter event trigger last enable always`,
      )
      const into = uniqueName('copy')
      const { code, json, stderr } = await app.runJson('restore', '--into', into, '--yes', ...more)
      expect(code, stderr).toBe(0)
      expect(json.warnings).toEqual([
        `the subscription "Sub ""s""" was restored without its slot, which the original may still use; when the original is gone: alter subscription "Sub ""s""" set (slot_name = 'slot_of_original'); alter subscription "Sub ""s""" enable`,
      ])
      expect(await subscriptions(cluster, into)).toEqual([{ subname: 'Sub "s"', subslotname: null, subenabled: false }])
      expect(await subscriptions(cluster, app.database)).toEqual([
        { subname: 'Sub "s"', subslotname: 'slot_of_original', subenabled: false },
      ])
      expect(await cluster.ask('select evtname, evtenabled from pg_event_trigger order by 1', into)).toEqual([
        { evtname: 'first', evtenabled: 'O' },
        { evtname: 'last', evtenabled: 'A' },
      ])
    })

  for (const more of [[], ['--as-superuser']])
    test(`that fails leaves nothing behind${more.map((flag) => ` (${flag})`)}`, async ({ cluster, makeApp }) => {
      const app = await backedUp(
        cluster,
        makeApp,
        `${subscribed}; create event trigger first on ddl_command_start execute function noted()`,
      )
      await changeManifest(app, (manifest) => ({ ...manifest, rows: { ...manifest.rows, 'public.t': 2 } }))
      const into = uniqueName('copy')
      const { code, stderr } = await app.run('restore', '--into', into, '--yes', ...more)
      expect(code, stderr).toBe(70)
      expect(stderr).toContain('the restored rows differ')
      expect(stderr).not.toContain('could not remove')
      expect(await copies(cluster, into)).toEqual([])
    })

  test('that was killed is removed by the next one', async ({ cluster, makeApp }) => {
    const app = await backedUp(cluster, makeApp, subscribed)
    const other = uniqueName('other')
    const work = `${other}__restore_0123abcd`
    const story = { pgbosun: 'restore', id: '0123abcd', into: other }
    await cluster.ask(`create database ${work}`)
    await cluster.ask(`comment on database ${work} is ${quoteLiteral(JSON.stringify(story))}`)
    await cluster.ask(
      `${subscribed}; create event trigger first on ddl_command_start execute function noted();
       alter event trigger first disable; alter subscription "Sub ""s""" enable; alter event trigger first enable always`,
      work,
    )
    if (server().major >= 17) await cluster.ask('create event trigger enter on login execute function noted()', work)
    const { code, stderr } = await app.run('restore', '--into', uniqueName('copy'), '--yes')
    expect(code, stderr).toBe(0)
    expect(await copies(cluster, other)).toEqual([])
  })
})

describe.skipIf(!client || server().major < 17)('a restore of an event trigger that refuses every login', () => {
  const denied = `create function deny() returns event_trigger language plpgsql as $$ begin raise 'nobody enters'; end $$`
  const trigger = 'create event trigger deny on login execute function public.deny()'
  const open = (cluster: Cluster, database: string, user: string, withoutEventTriggers: boolean) => {
    const url = new URL(cluster.url(database))
    url.username = user
    url.password = 'pw'
    const options = { applicationName: 'test', log: silentLog, withoutEventTriggers }
    return openSession(connectionTo(url.href), options)
  }

  for (const more of [[], ['--as-superuser']])
    test(`brings it back, and is not locked out${more.map((flag) => ` (${flag})`)}`, async ({ cluster, makeApp }) => {
      const app = await backedUp(cluster, makeApp, denied)
      const source = await openSession(connectionTo(cluster.url(app.database)), {
        applicationName: 'test',
        log: silentLog,
        withoutEventTriggers: true,
      })
      await source.sql.unsafe(trigger)
      const env = `alter role postgres in database ${quoteIdent(app.database)} set event_triggers to off`
      await source.sql.unsafe(env)
      expect((await app.run('backup', 'run')).code).toBe(0)
      await source.sql.unsafe(`alter role postgres in database ${quoteIdent(app.database)} reset all`)
      await source.end()
      const into = uniqueName('copy')
      const { code, stderr } = await app.run('restore', '--into', into, '--yes', ...more)
      expect(code, stderr).toBe(0)
      await cluster.ask(`alter role postgres in database ${quoteIdent(into)} set event_triggers to off`)
      expect(await cluster.ask('select evtname, evtenabled from pg_event_trigger', into)).toEqual([
        { evtname: 'deny', evtenabled: 'O' },
      ])
    })

  test('is refused before anything is read where sessions may not go without it, with what to grant', async ({
    cluster,
    makeApp,
  }) => {
    const user = uniqueName('plain')
    await cluster.ask(`create role ${user} login createdb password 'pw'`)
    const app = await backedUp(cluster, makeApp, `${denied}; ${trigger}; alter event trigger deny disable`)
    const source = await openSession(connectionTo(cluster.url(app.database)), {
      applicationName: 'test',
      log: silentLog,
    })
    await source.sql.unsafe('set event_triggers to off; alter event trigger deny enable')
    await source.sql.unsafe(`alter role postgres in database ${quoteIdent(app.database)} set event_triggers to off`)
    await source.end()
    expect((await app.run('backup', 'run')).code).toBe(0)
    const url = new URL(cluster.url('postgres'))
    url.username = user
    url.password = 'pw'
    const backup = { databases: [app.database], store: `file://${app.cwd}/store` }
    const config = { database: { url: { file: `${app.cwd}/url` } }, backup }
    await app.write({ url: url.href, 'pgbosun.yaml': JSON.stringify(config) })
    const { code, stderr } = await app.run(
      ...['restore', '--database', app.database, '--into', uniqueName('copy'), '--no-owner', '--yes'],
    )
    expect(code, stderr).toBe(12)
    expect(stderr).toContain(
      `the backup has 1 event trigger that runs at every login (deny), and ${user} may not start sessions without it; nothing was changed`,
    )
    expect(stderr).toContain(`grant set on parameter event_triggers to "${user}"`)
  })

  test('finds that a user who was granted it may go without event triggers', async ({ cluster }) => {
    const [user, database] = [uniqueName('granted'), uniqueName('denied')]
    await cluster.ask(`create role ${user} login password 'pw'`)
    await cluster.ask(`create database ${database}`)
    const before = await open(cluster, database, user, false)
    expect(await mayGoWithoutEventTriggers(before)).toBe(false)
    await expect(open(cluster, database, user, true)).rejects.toThrow('permission denied to set parameter')
    await cluster.ask(`grant set on parameter event_triggers to ${user}`)
    await cluster.ask(`${denied}; ${trigger}`, database)
    expect(await mayGoWithoutEventTriggers(before)).toBe(true)
    await before.end()
    await expect(open(cluster, database, user, false)).rejects.toThrow('nobody enters')
    const session = await open(cluster, database, user, true)
    await session.end()
  })
})

describe.skipIf(!client)('a backup', () => {
  test('connects to no database but its own and lock.database, whatever its name', async ({ cluster, makeApp }) => {
    const role = uniqueName('owner')
    const app = await makeApp({ databases: {} }, uniqueName("a=b host='x\\"))
    const { database } = app
    const url = new URL(cluster.url(database))
    url.username = role
    url.password = 'pw of the role'
    await app.write({
      url: url.href,
      'pgbosun.yaml': JSON.stringify({
        database: { url: { file: `${app.cwd}/url` } },
        lock: { database },
        backup: { store: `file://${app.cwd}/store` },
      }),
    })
    await cluster.ask(`create role ${role} login password 'pw of the role'`)
    await cluster.ask(`create database ${quoteIdent(database)} owner ${role}`)
    await cluster.ask(`alter database ${quoteIdent(database)} set statement_timeout to '1ms'`)
    await cluster.ask('revoke connect on database postgres from public')
    await cluster.ask('revoke connect on database template1 from public')
    try {
      const { code, stderr } = await app.run('backup', 'run')
      expect(code, stderr).toBe(0)
    } finally {
      await cluster.ask('grant connect on database postgres to public')
      await cluster.ask('grant connect on database template1 to public')
    }
  })
})

describe.skipIf(!client)('a restore whose server goes down', () => {
  const many =
    'create table many as select n, repeat(md5(n::text), 10) as text from generate_series(1, 60000) n; create index on many (text)'

  /** A restore that is loading. */
  async function loading(cluster: Cluster, app: App, into: string) {
    const restoring = app.start('restore', '--into', into, '--yes', '--json')
    await until('pg_restore works', async () => {
      const rows = await cluster.ask(
        `select from pg_stat_activity where starts_with(datname, '${into}__restore_') and state = 'active' and usename ~ '^pgbosun_restore_'`,
      )
      return rows.length > 0
    })
    return restoring
  }

  async function crash(cluster: Cluster): Promise<void> {
    const pid = cluster.pid()!
    process.kill(pid, 'SIGKILL')
    await until('the postmaster is gone', () => cluster.pid() === undefined)
  }

  /** Its processes notice the end of the postmaster a little later, and until then it cannot be started. */
  const startAgain = (cluster: Cluster) =>
    until('the server starts', () =>
      cluster.start().then(
        () => true,
        () => false,
      ),
    )

  test('and comes back is exit 70 with the size needed, and nothing stays behind', { timeout: 60_000 }, async ({
    cluster,
    makeApp,
  }) => {
    const app = await backedUp(cluster, makeApp, many)
    const into = uniqueName('copy')
    const { finished } = await loading(cluster, app, into)
    await crash(cluster)
    await startAgain(cluster)
    const { code, stdout, stderr } = await finished
    expect(code, stderr).toBe(70)
    expect(JSON.parse(stdout)).toMatchObject({
      touched: false,
      error: {
        kind: 'restore',
        message: `the server went down while ${into} was being restored; nothing was changed`,
        hint: expect.stringMatching(
          /^look in the log of the server .* the database had \d\S* MB when it was backed up/,
        ),
      },
    })
    expect(await copies(cluster, into)).toEqual([])
    expect(await cluster.ask("select from pg_roles where rolname ~ '^pgbosun_restore_'")).toEqual([])
    expect((await app.run('restore', '--into', into, '--yes')).code).toBe(0)
  })

  test('and stays down is exit 70, and names what is left; status and check show it, and the next restore removes it', {
    timeout: 90_000,
  }, async ({ cluster, makeApp }) => {
    const app = await backedUp(cluster, makeApp, many)
    await app.write({
      'pgbosun.yaml': (await readFile(join(app.cwd, 'pgbosun.yaml'), 'utf8')).replace('{', '{"wait":{"timeout":"6s"},'),
    })
    const into = uniqueName('copy')
    const { finished } = await loading(cluster, app, into)
    await crash(cluster)
    const { code, stdout, stderr } = await finished
    expect(code, stderr).toBe(70)
    await startAgain(cluster)
    const [{ datname: left } = { datname: '' }] = (await copies(cluster, into)) as { datname: string }[]
    expect(left).toContain(`${into}__restore_`)
    const { error } = JSON.parse(stdout)
    expect(error.message).toBe(
      `the server went down while ${into} was being restored; what was loaded so far is left in the database ${left}`,
    )
    expect(error.hint).toContain(`drop database "${left}" with (force)`)

    for (const command of ['status', 'check']) {
      const seen = await app.runJson(command)
      expect(seen.json.leftovers).toEqual([
        {
          database: left,
          kind: 'restore',
          size_bytes: expect.any(Number),
          remove: `drop database "${left}" with (force)`,
        },
      ])
      expect(JSON.stringify(seen.json.warnings)).toMatch(
        new RegExp(
          `a restore into ${into} left the database ${left} \\(\\S+ MB\\) behind: the next restore removes it`,
        ),
      )
    }
    expect((await app.run('status')).stdout).toMatch(new RegExp(`^leftovers    ${left} \\(\\S+ MB\\)$`, 'm'))

    expect((await app.run('restore', '--into', into, '--yes')).code).toBe(0)
    expect((await copies(cluster, into)).length).toBe(1)
    const after = await app.runJson('status')
    expect(after.json.leftovers).toEqual([])
  })

  test('is not waited for once it is asked to stop', { timeout: 60_000 }, async ({ cluster, makeApp }) => {
    const app = await backedUp(cluster, makeApp, many)
    const into = uniqueName('copy')
    const { finished, child, log } = await loading(cluster, app, into)
    await crash(cluster)
    await until('it tries to clean up', () => log().includes('to remove what was restored so far'))
    const askedAt = performance.now()
    child.kill('SIGTERM')
    expect((await finished).code).toBe(143)
    expect(performance.now() - askedAt).toBeLessThan(5_000)
    expect(log()).toContain(`drop database \\"${into}__restore_`)
    await startAgain(cluster)
  })

  /** A server with a small disk of its own, for everything or only for its write-ahead log. */
  async function withSmallDisk(
    only: 'data' | 'wal',
    size: string,
    use: (small: Server) => Promise<void>,
  ): Promise<void> {
    const disk = await mkdtemp(join(tmpdir(), 'pgbosun-disk-'))
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=777`, 'pgbosun-test', disk])
    try {
      const settings = ['fsync=off', 'min_wal_size=32MB']
      const small = await startServer(server().binDir, { settings, ...(only === 'data' && { parent: disk }) })
      try {
        if (only === 'wal') await moveLog(small, disk)
        await use(small)
      } finally {
        await small.remove()
      }
    } finally {
      execFileSync('umount', ['--lazy', disk])
      rmdirSync(disk)
    }
  }

  /** Root in a container may not. */
  function canMount(): boolean {
    const place = mkdtempSync(join(tmpdir(), 'pgbosun-disk-'))
    const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'pgbosun-test', place])
    if (status === 0) execFileSync('umount', [place])
    rmdirSync(place)
    return status === 0
  }

  async function ask(small: Server, query: string): Promise<object[]> {
    const session = await openSession(connectionTo(small.url('postgres')), { applicationName: 'test', log: silentLog })
    return session.sql.unsafe(query).finally(() => session.end())
  }

  async function moveLog(small: Server, disk: string): Promise<void> {
    await small.stop()
    const log = join(small.dir, 'data/pg_wal')
    execFileSync('cp', ['-a', log, disk])
    execFileSync('rm', ['-r', log])
    symlinkSync(join(disk, 'pg_wal'), log)
    await small.start()
  }

  for (const { full, size } of [
    { full: 'data', size: '80m' },
    { full: 'wal', size: '40m' },
  ] as const)
    test(`because its disk is full says how much the restore needs (${full})`, { timeout: 120_000 }, async ({
      cluster,
      makeApp,
      skip,
    }) => {
      if (!canMount()) skip('NOT RUN: a small disk for a server can only be mounted by root')
      const app = await backedUp(cluster, makeApp, many)
      await withSmallDisk(full, size, async (small) => {
        await app.write({
          url: small.url(app.database),
          'pgbosun.yaml': JSON.stringify({
            database: { url: { file: `${app.cwd}/url` } },
            wait: { timeout: '8s' },
            backup: { store: `file://${app.cwd}/store` },
          }),
        })
        const into = uniqueName('copy')
        const { code, stderr, json } = await app.runJson('restore', '--into', into, '--yes')
        expect(code, stderr).toBe(70)
        expect(json.error?.hint).toMatch(/the database had \d\S* MB when it was backed up, so the disk needs that much/)
        if (full === 'data') {
          expect(json.error?.message).toMatch(/(No space left on device|could not extend file).*; nothing was changed$/)
          const left = "select datname from pg_database where datname ~ '__restore_'"
          expect(await ask(small, left)).toEqual([])
        } else {
          expect(json.error?.message).toMatch(
            `the server went down while ${into} was being restored; what was loaded so far is left in the database`,
          )
          expect(stderr).toContain('  pg_restore')
          expect(stderr).toContain('No space left on device')
        }
      })
    })
})
