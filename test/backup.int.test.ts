import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import { describe, expect } from 'vitest'
import type { Manifest } from '../src/archive/manifest.ts'
import { isSealed } from '../src/archive/seal.ts'
import { quoteIdent } from '../src/sql/quote.ts'
import { backUp, client, filesBelow, test } from './support/backup.ts'
import { until } from './support/chaos.ts'
import { open, uniqueName, urlOf } from './support/postgres.ts'
import { openOne } from './support/roles.ts'

const id = expect.stringMatching(/^\d{8}T\d{6}Z-[0-9a-f]{8}$/)
const shop = `
  create table users (id serial primary key, name text);
  insert into users (name) select 'user ' || i from generate_series(1, 1000) i;
  create schema "Odd schema"; create table "Odd schema"."T x" (a int); insert into "Odd schema"."T x" values (1), (2);
  create table parted (a int) partition by range (a); create table parted_1 partition of parted for values from (0) to (10);
  insert into parted values (1), (2), (3);
  select lo_from_bytea(0, 'large')`

const manifestOf = (store: string, database: string, id: string) =>
  JSON.parse(readFileSync(join(store, database, id, 'manifest.json'), 'utf8')) as Manifest

describe.skipIf(!client)('backup run', () => {
  test('makes a verified backup: a dump, the roles, and a manifest that describes both', async ({
    pgbosun,
    store,
    sql,
    database,
  }) => {
    await sql.unsafe(shop)
    const { code, json } = await pgbosun.runJson('backup', 'run')
    expect(code).toBe(0)
    expect(json).toMatchObject({
      command: 'backup run',
      ok: true,
      id,
      database,
      size_bytes: expect.any(Number),
      duration_ms: expect.any(Number),
      warnings: [],
    })
    const folder = join(database, json.id as string)
    expect(filesBelow(store)).toEqual(
      ['dump.zst', 'globals.sql.zst', 'manifest.json'].map((name) => join(folder, name)),
    )

    const manifest = manifestOf(store, database, json.id as string)
    expect(manifest).toMatchObject({
      schema_version: 1,
      id: json.id,
      series: { name: 'default', system_identifier: expect.stringMatching(/^\d+$/), database, kind: 'logical' },
      slot: null,
      client_version: client!.version,
      lsn: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/),
      database: {
        name: database,
        owner: 'postgres',
        encoding: 'UTF8',
        locale_provider: 'libc',
        acl: null,
        connection_limit: -1,
      },
      roles: ['postgres'],
      extensions: [{ name: 'plpgsql' }],
      migration: null,
      rows: { '"Odd schema"."T x"': 2, 'public.parted_1': 3, 'public.users': 1000 },
      warnings: [],
    })
    expect(manifest.verified_at).toBe(manifest.finished_at)
    const stored = manifest.objects.reduce((sum, { size_bytes }) => sum + size_bytes, 0)
    expect(json.size_bytes).toBe(stored)
    const dump = zstdDecompressSync(readFileSync(join(store, folder, 'dump.zst')))
    expect(dump.length).toBe(manifest.dump_size_bytes)
    const listing = execFileSync(join(client!.dir, 'pg_restore'), ['-l'], { input: dump, encoding: 'utf8' })
    expect(listing).toMatch(/Compression: (0|none)/)
    expect(listing).toContain('TABLE DATA public users')
    const globals = zstdDecompressSync(readFileSync(join(store, folder, 'globals.sql.zst'))).toString()
    expect(globals).toContain('CREATE ROLE postgres')
    expect(globals).not.toMatch(/PASSWORD|TABLESPACE/)
  })

  test('describes what the database is and whom it needs', async ({ pgbosun, store, sql, database }) => {
    const [owner, reader, setter] = [uniqueName('owner'), uniqueName('reader'), uniqueName('setter')]
    await sql.unsafe(`
      create role ${owner}; create role ${reader}; create role ${setter}; create role ${uniqueName('nobody')};
      alter database ${database} owner to ${owner}; alter schema public owner to ${owner};
      revoke connect on database ${database} from public; grant connect on database ${database} to ${reader} with grant option;
      alter database ${database} set work_mem = '5MB'; alter role ${setter} in database ${database} set search_path to a, b;
      alter database ${database} connection limit 7; comment on database ${database} is 'It''s a shop';
      set role ${owner}; create table t (); grant select on t to ${reader}; reset role;
      create schema pgbosun; create table pgbosun.migrations (version bigint, name text, status text);
      insert into pgbosun.migrations values (2, '002_b.sql', 'applied'), (10, '010_c.sql', 'applied'), (11, '011_d.sql', 'started')`)
    const { json } = await pgbosun.runJson('backup')
    expect(json.error).toBeNull()
    const manifest = manifestOf(store, database, json.id as string)
    expect(manifest.database).toMatchObject({
      owner,
      connection_limit: 7,
      comment: "It's a shop",
      settings: [
        { role: null, name: 'work_mem', value: '5MB' },
        { role: setter, name: 'search_path', value: 'a, b' },
      ],
      acl: expect.arrayContaining([{ grantee: reader, privilege: 'CONNECT', grantable: true }]),
    })
    expect(manifest.database.acl).not.toContainEqual(
      expect.objectContaining({ grantee: 'PUBLIC', privilege: 'CONNECT' }),
    )
    expect(manifest.roles).toEqual([owner, 'postgres', reader, setter].sort())
    expect(manifest.migration).toBe('010_c')
  })

  test('counts the very rows that it dumps, while others write', { timeout: 60_000 }, async ({
    pgbosun,
    store,
    sql,
    database,
  }) => {
    await sql.unsafe('create table t (x int); create table u (x int); insert into t select generate_series(1, 100000)')
    let going = true
    const writing = (async () => {
      const writer = open(database)
      for (let i = 0; going; i++)
        await writer.unsafe(
          `insert into t values (${i}); insert into u values (${i}); delete from t where x = ${i} and x % 2 = 0`,
        )
      await writer.end()
    })()
    const { json } = await pgbosun.runJson('backup')
    going = false
    await writing
    const { rows } = manifestOf(store, database, json.id as string)
    const dump = zstdDecompressSync(readFileSync(join(store, database, json.id as string, 'dump.zst')))
    for (const name of ['t', 'u']) {
      const text = execFileSync(join(client!.dir, 'pg_restore'), ['-a', '-t', name, '-f', '-'], {
        input: dump,
        encoding: 'utf8',
        maxBuffer: 2 ** 28,
      })
      expect(text.split('\n').filter((line) => /^\d+$/.test(line))).toHaveLength(rows[`public.${name}`]!)
    }
  })

  test('writes nothing into the database and keeps nobody from writing', async ({ pgbosun, sql, database }) => {
    await sql.unsafe('create table t (x int)')
    const before = await sql`select count(*) from pg_class`
    const holder = open(database)
    await holder.unsafe('begin; insert into t values (1)').catch(() => {})
    expect((await pgbosun.run('backup')).code).toBe(0)
    await holder.end({ timeout: 1 })
    expect(await sql`select count(*) from pg_class`).toEqual(before)
  })

  test.for(["it's = host\\port", '../up "and" %2E', 'dbname=postgres', 'postgres://x', '.hidden', 'Größe 💾', '-Fc'])(
    'a database may be called %s',
    { timeout: 60_000 },
    async (odd, { configured, store }) => {
      const name = `${odd} ${uniqueName('')}`.slice(0, 40)
      const admin = open('postgres')
      await admin.unsafe(`create database ${quoteIdent(name)}`)
      await admin.end()
      const sql = openOne(name)
      await sql.unsafe('create table here (x int); insert into here values (42)')
      await sql.end()
      const { runJson } = await configured({ url: urlOf(name), backup: { databases: [name] } })
      const { code, json } = await runJson('backup')
      expect(json.error).toBeNull()
      expect(code).toBe(0)
      expect(json.database).toBe(name)
      const [manifest] = filesBelow(store).filter((path) => path.endsWith('manifest.json'))
      expect(JSON.parse(readFileSync(join(store, manifest!), 'utf8'))).toMatchObject({
        database: { name },
        rows: { 'public.here': 1 },
      })
      expect((await runJson('backup', 'verify', 'all')).json).toMatchObject({
        exit_code: 0,
        results: [{ database: name, ok: true }],
      })
    },
  )

  test('several databases: one that fails does not stop the others', async ({ configured, database }) => {
    const { runJson } = await configured({ backup: { databases: [uniqueName('missing'), database, 'postgres'] } })
    const { code, json } = await runJson('backup')
    expect(code).toBe(60)
    expect(json.error).toMatchObject({ kind: 'backup', message: expect.stringMatching(/^1 of 3 backups failed/) })
    expect(json.backups).toMatchObject([{ database }, { database: 'postgres' }])
    const unknown = await runJson('backup', 'list', '--database', 'postgers')
    expect(unknown.json.error).toMatchObject({
      message: expect.stringContaining('; did you mean postgres?'),
      hint: expect.stringContaining('a database that is only backed up belongs in `backup.databases`'),
    })
    const only = await runJson('backup', 'run', '--database', 'postgres')
    expect(only.json).toMatchObject({ exit_code: 0, database: 'postgres', backups: [{}] })
  })

  test('backup.url says as whom, and alone is enough', async ({ configured, sql, database, store }) => {
    const role = uniqueName('backup')
    await sql.unsafe(`create table t (x int); create role ${role} login superuser password 'secret of backup'`)
    const url = urlOf(database, { name: role, password: 'secret of backup' })
    const { run } = await configured({ url: '', more: {}, backup: { url: { env: 'DATABASE_URL' } } })
    expect((await run('backup')).code).toBe(2)
    const other = await configured({ url, backup: { url: { env: 'DATABASE_URL' } } })
    const { code, stderr } = await other.run('backup')
    expect(code).toBe(0)
    expect(stderr).not.toContain('secret of backup')
    expect(filesBelow(store).filter((path) => readFileSync(join(store, path)).includes('secret of backup'))).toEqual([])
  })

  test('two at once: one waits for the other, and both are there', async ({ pgbosun, sql }) => {
    await sql.unsafe(shop)
    const runs = await Promise.all([pgbosun.runJson('backup'), pgbosun.runJson('backup')])
    expect(runs.map(({ code }) => code)).toEqual([0, 0])
    const { json } = await pgbosun.runJson('backup', 'list')
    expect(json.backups).toHaveLength(2)
  })

  test('one slot is backed up once, by whomever', async ({ store, sql, database }) => {
    await sql.unsafe(shop)
    const slot = new Date('2026-11-20T03:00:00Z')
    const results = await Promise.all([1, 2, 3].map(() => backUp(store, urlOf(database), { slot })))
    expect(new Set(results.map(({ id }) => id)).size).toBe(1)
    expect(results.map(({ existing }) => existing).sort()).toEqual([false, true, true])
    expect(results[0]!.manifest.slot).toBe('2026-11-20T03:00:00.000Z')
    const other = await backUp(store, urlOf(database), { slot, name: 'another series' })
    expect(other.existing).toBe(false)
    const next = await backUp(store, urlOf(database), { slot: new Date('2026-11-21T03:00:00Z') })
    expect(next.existing).toBe(false)
  })

  test('a slot of each schedule is backed up once', async ({ store, sql, database }) => {
    await sql`create table t (id int)`
    const slot = new Date('2026-11-20T03:00:00Z')
    const of = (schedule: string) => backUp(store, urlOf(database), { slot, schedule })
    const [hourly, daily] = [await of('hourly'), await of('daily')]
    expect([hourly, daily].map(({ existing, manifest }) => [existing, manifest.series.schedule])).toEqual([
      [false, 'hourly'],
      [false, 'daily'],
    ])
    expect(await of('daily')).toMatchObject({ id: daily.id, existing: true })
  })

  test('a backup by hand joins the first schedule, or the one that is named', async ({
    configured,
    store,
    database,
  }) => {
    const schedules = ['hourly', 'daily'].map((name) => ({ name, schedule: '@hourly' }))
    const { run, runJson } = await configured({ backup: { schedules } })
    for (const args of [[], ['--schedule', 'daily']]) expect((await run('backup', 'run', ...args)).code).toBe(0)
    const { json } = await runJson('backup', 'list')
    expect(json.backups).toMatchObject([{ schedule: 'hourly' }, { schedule: 'daily' }])
    const [hourly, daily] = (json.backups as { id: string }[]).map(({ id }) => id)
    expect((await runJson('check')).json.backups).toMatchObject({
      ok: true,
      databases: [
        {
          last_id: daily,
          schedules: [
            { name: 'hourly', ok: true, last_id: hourly },
            { name: 'daily', ok: true, last_id: daily },
          ],
        },
      ],
    })
    expect((await run('backup', 'list')).stdout).toMatch(/ hourly, verified\n.* daily, verified\n/)
    expect(await runJson('backup', '--schedule', 'weekly')).toMatchObject({
      code: 2,
      json: {
        error: {
          message: 'there is no schedule weekly',
          hint: 'the names in backup.schedules are: hourly, daily',
        },
      },
    })
    expect(readdirSync(join(store, database)).filter((name) => /^\d/.test(name))).toHaveLength(2)
  })

  test('a backup that takes too long to begin is locked, and names who is in the way', async ({
    configured,
    sql,
    database,
  }) => {
    const { start, runJson } = await configured({ more: { lock: { timeout: '500ms' } } })
    await sql.unsafe('create table t (x int)')
    const holder = open(database)
    const held = holder.begin(async (transaction) => {
      await transaction.unsafe('lock table t in access exclusive mode')
      const first = start('backup')
      await until('the first one dumps', () =>
        sql`select from pg_stat_activity where application_name ~ '^pgbosun backup' and wait_event_type = 'Lock' and datname = ${database}`.then(
          ({ length }) => length > 0,
        ),
      )
      const { code, json } = await runJson('backup')
      expect(code).toBe(11)
      expect(json.error).toMatchObject({
        message: expect.stringMatching(/backup lock of database .* was held .* by `pgbosun backup` on host /),
      })
      first.child.kill('SIGTERM')
      expect((await first.finished).code).toBe(143)
    })
    await held
    await holder.end()
  })

  test('a backup says how far it is', async ({ store, sql, database }) => {
    await sql.unsafe('create table t as select repeat(md5(i::text), 10) from generate_series(1, 20000) i')
    const seen: [number, number][] = []
    await backUp(store, urlOf(database), { onProgress: (done, total) => seen.push([done, total]) })
    expect(seen.length).toBeGreaterThan(3)
    expect(seen.every(([done, total]) => done <= total && total > 0)).toBe(true)
  })
})

describe.skipIf(!client)('backup list and verify', () => {
  test('list shows what is there, and an absent store is an empty one', async ({ pgbosun, sql, database }) => {
    const empty = await pgbosun.runJson('backup', 'list')
    expect(empty.json).toMatchObject({ exit_code: 0, backups: [], warnings: [] })
    await sql.unsafe(shop)
    const made = (await pgbosun.runJson('backup')).json
    const { json } = await pgbosun.runJson('backup', 'list')
    expect(json.backups).toEqual([
      {
        id: made.id,
        database,
        series: { name: 'default', system_identifier: expect.stringMatching(/^\d+$/), database, kind: 'logical' },
        name: 'default',
        schedule: null,
        kind: 'logical',
        started_at: expect.stringMatching(/^\d{4}-.*Z$/),
        size_bytes: made.size_bytes,
        verified: true,
        verified_at: expect.stringMatching(/Z$/),
        restore_test: null,
        pinned: false,
        pin_notes: [],
        stores: [expect.stringMatching(/^file:/)],
        partial: false,
        problem: null,
      },
    ])
    const { stdout } = await pgbosun.run('backup', 'list')
    expect(stdout).toMatch(
      new RegExp(`^${database}  ${made.id}  \\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ  [\\d.]+ kB  verified\\n$`),
    )
  })

  test('verify reads back the newest, one, or all, without a server', async ({ configured, pgbosun, database }) => {
    const ids = [await pgbosun.runJson('backup'), await pgbosun.runJson('backup')].map(({ json }) => json.id as string)
    const offline = await configured({ url: `postgres://nobody@127.0.0.1:1/${database}` })
    const verified = async (...args: string[]) => (await offline.runJson('backup', 'verify', ...args)).json
    const ok = (id: string) => ({ id, database, level: 'decode', ok: true, problem: null })
    expect(await verified()).toMatchObject({ exit_code: 0, results: [ok(ids[1]!)] })
    expect(await verified('latest')).toMatchObject({ results: [ok(ids[1]!)] })
    expect(await verified(ids[0]!)).toMatchObject({ results: [ok(ids[0]!)] })
    expect(await verified('all')).toMatchObject({ results: ids.toSorted().map(ok) })
  })

  test('nothing that matches is exit 62, an id that is none exit 2', async ({ pgbosun }) => {
    const codeOf = async (...args: string[]) => (await pgbosun.runJson('backup', 'verify', ...args)).json.exit_code
    expect(await codeOf()).toBe(62)
    expect(await codeOf('all')).toBe(62)
    expect(await codeOf('20261120T030000Z-1a2b3c4d')).toBe(62)
    expect(await codeOf('yesterday')).toBe(2)
  })

  test('a manifest that is not JSON, or lacks something, is a problem of that backup alone', async ({
    pgbosun,
    store,
    database,
  }) => {
    const made: string[] = []
    for (let i = 0; i < 4; i++) made.push((await pgbosun.runJson('backup')).json.id as string)
    // without its manifest, all that is known of when a backup was begun is the second in its id
    const ids = [...made.slice(0, 3).sort(), made[3]]
    const path = (i: number) => join(store, database, ids[i]!, 'manifest.json')
    const good = readFileSync(path(0), 'utf8')
    expect(isSealed(good)).toBe(true)
    writeFileSync(path(0), '{ "schema_version": 1, ')
    writeFileSync(path(1), '{ "schema_version": 1 }')
    writeFileSync(path(2), '{ "schema_version": 99 }')

    const { json } = await pgbosun.runJson('backup', 'list')
    expect(json).toMatchObject({
      exit_code: 0,
      backups: [
        { id: ids[0], verified: false, size_bytes: null, problem: expect.stringContaining('not JSON') },
        { id: ids[1], verified: false, problem: expect.stringContaining('damaged') },
        { id: ids[2], verified: false, problem: expect.stringContaining('use a newer pgbosun') },
        { id: ids[3], verified: true, problem: null },
      ],
    })
    expect(json.warnings).toHaveLength(3)
    const verified = await pgbosun.runJson('backup', 'verify', 'all')
    expect(verified.json).toMatchObject({
      exit_code: 61,
      error: { kind: 'corrupt', message: expect.stringContaining('3 of 4 backups did not verify') },
    })
    // two of one second are in any order
    const oks = (verified.json.results as { ok: boolean }[]).map(({ ok }) => ok)
    expect(oks.sort()).toEqual([false, false, false, true])
    expect((await pgbosun.runJson('backup')).code).toBe(0)
  })

  test('what a verification found is remembered, also that it was mended', async ({ pgbosun, store, database }) => {
    const made = (await pgbosun.runJson('backup')).json
    const dump = join(store, database, made.id as string, 'dump.zst')
    const good = readFileSync(dump)
    writeFileSync(dump, good.subarray(0, -1))
    const bad = await pgbosun.runJson('backup', 'verify')
    expect(bad.json).toMatchObject({
      exit_code: 61,
      error: { message: expect.stringContaining(made.id as string) },
      results: [{ id: made.id, ok: false, problem: expect.stringContaining('dump.zst is damaged') }],
    })
    expect((await pgbosun.runJson('backup', 'list')).json.backups).toMatchObject([{ verified: false }])
    writeFileSync(dump, good)
    expect((await pgbosun.runJson('backup', 'verify')).code).toBe(0)
    expect((await pgbosun.runJson('backup', 'list')).json.backups).toMatchObject([{ verified: true }])
  })
})
