import { execFileSync } from 'node:child_process'
import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test as base, describe, expect } from 'vitest'
import { manifestSchema } from '../src/archive/manifest.ts'
import { readAccess } from '../src/backup/access.ts'
import { inspectDatabase, readMigration } from '../src/backup/inspect.ts'
import { countRows } from '../src/backup/rows.ts'
import { readSystemIdentifier } from '../src/postgres/system.ts'
import { adviceOnTools, findReader, findTools } from '../src/programs/pgtools.ts'
import { backUp, client, filesBelow, test } from './support/backup.ts'
import { until } from './support/chaos.ts'
import { type Sql, server, uniqueName, urlOf } from './support/postgres.ts'
import { openOne } from './support/roles.ts'

const { major } = server()
const password = 'pw of the role'

describe.skipIf(!client)('a role that may not read everything', () => {
  test('is told what is missing, and the statements it is given mend it', { timeout: 60_000 }, async ({
    configured,
    sql,
    database,
    store,
  }) => {
    const role = uniqueName('dumper')
    await sql.unsafe(`
      create role ${role} login password '${password}';
      create schema "my app"; create table "my app"."T x" (id serial, a int); insert into "my app"."T x" (a) values (1), (2);
      create table secret (x int); alter table secret enable row level security; insert into secret values (1);
      create table plain (x int); create sequence alone;
      select lo_from_bytea(0, 'large');
      create foreign data wrapper w; create server s foreign data wrapper w;
      create user mapping for ${role} server s options (u 'x')`)
    const { runJson, run } = await configured({ url: urlOf(database, { name: role, password }) })

    const refused = await run('backup')
    expect(refused.code).toBe(60)
    expect(refused.stderr).toContain(`error: the backup of ${database} failed: ${role} may not read everything:`)
    if (major >= 14) expect(refused.stderr).toContain(`grant pg_read_all_data to "${role}";`)
    expect(refused.stderr).not.toContain(password)
    expect(filesBelow(store).filter((path) => !path.includes('/failed/'))).toEqual([])

    const statements = [...refused.stderr.matchAll(/^ {2}.*?: ((?:grant|alter) .*;)$/gm)].map(
      ([, statement]) => statement!,
    )
    expect(new Set(statements)).toEqual(
      new Set([
        `grant usage on schema "my app" to "${role}";`,
        `grant select on table "my app"."T x" to "${role}";`,
        `grant select on table public.plain to "${role}";`,
        `grant select on table public.secret to "${role}";`,
        `grant select on sequence "my app"."T x_id_seq" to "${role}";`,
        `grant select on sequence public.alone to "${role}";`,
        `alter role "${role}" bypassrls;`,
        major >= 19 ? `grant pg_read_all_data to "${role}";` : `alter role "${role}" set lo_compat_privileges = on;`,
      ]),
    )
    for (const statement of statements) await sql.unsafe(statement)
    const { code, json } = await runJson('backup')
    expect(json.error).toBeNull()
    expect(code).toBe(0)
    const all = filesBelow(store).filter((path) => path.endsWith('dump.zst'))
    expect(all).toHaveLength(1)
  })

  test('backs up and restores although it may not ask whose cluster it is', { timeout: 30_000 }, async ({
    configured,
    sql,
    database,
  }) => {
    const role = uniqueName('dumper')
    await sql.unsafe(`
      create role ${role} login createdb password '${password}';
      revoke execute on function pg_control_system() from public`)
    const more = { lock: { database } }
    const { run } = await configured({ url: urlOf(database, { name: role, password }), more })
    for (const args of [['backup'], ['restore', '--into', `${database}_copy`, '--no-owner', '--yes']]) {
      const { code, stderr } = await run(...args)
      expect(code, stderr).toBe(0)
    }
  })

  test('is warned of what would be left out without a word, once, by the command and by serve', {
    timeout: 60_000,
  }, async ({ configured, sql, database }) => {
    const [role, other] = [uniqueName('dumper'), uniqueName('other')]
    await sql.unsafe(`
      create role ${role} login password '${password}'; create role ${other};
      create foreign data wrapper w; create server s foreign data wrapper w;
      create user mapping for ${other} server s options (secret 'x')`)
    const url = urlOf(database, { name: role, password })
    const { runJson } = await configured({ url })
    const { code, json, stderr } = await runJson('backup')
    expect(code).toBe(0)
    const warning = `the user mapping ${other} on s is backed up without its options`
    expect(json.warnings).toEqual([expect.stringContaining(warning)])
    expect(stderr.split(warning), 'logged once').toHaveLength(2)
    const more = { serve: { listen: '127.0.0.1:0' } }
    const { start } = await configured({ url, backup: { schedule: '@yearly', name: 'scheduled' }, more })
    const { child, finished } = start('serve', '--no-up')
    let said = ''
    child.stderr!.on('data', (text) => {
      said += text
    })
    await until('it has made a backup', () => said.includes('backed up and verified'))
    child.kill('SIGTERM')
    expect((await finished).stderr.split(warning), 'logged once').toHaveLength(2)
  })

  test('row-level security does not hide rows from whoever bypasses it, or owns the table', async ({
    configured,
    sql,
    database,
  }) => {
    const role = uniqueName('owner')
    await sql.unsafe(`
      create role ${role} login password '${password}'; create table mine (x int); alter table mine owner to ${role};
      alter table mine enable row level security; insert into mine values (1), (2)`)
    const { runJson } = await configured({ url: urlOf(database, { name: role, password }) })
    expect((await runJson('backup')).json.error).toBeNull()
    await sql.unsafe('alter table mine force row level security')
    const forced = await runJson('backup')
    expect(forced.json).toMatchObject({
      exit_code: 60,
      error: { message: expect.stringContaining('may not read everything') },
    })
  })

  test('without access to lock.database it is refused', async ({ configured, sql, database }) => {
    const [role, closed] = [uniqueName('dumper'), uniqueName('closed')]
    await sql.unsafe(`create role ${role} login password '${password}'`)
    await sql.unsafe(`create database ${closed}`)
    await sql.unsafe(`revoke connect on database ${closed} from public`)
    const { runJson } = await configured({
      url: urlOf(database, { name: role, password }),
      more: { lock: { database: closed } },
    })
    const { json } = await runJson('backup')
    expect(json).toMatchObject({
      exit_code: 12,
      error: {
        kind: 'refused',
        message: expect.stringContaining(`the lock database ${closed} cannot be used`),
        hint: expect.stringContaining(`grant connect on database "${closed}"`),
      },
    })
  })
})

/** A folder laid out as packages do, with the real programs in it. */
function layout(dir: string, ...folders: string[]): string[] {
  return folders.map((folder) => {
    mkdirSync(join(dir, folder), { recursive: true })
    for (const name of ['pg_dump', 'pg_restore', 'pg_dumpall'])
      symlinkSync(join(client!.dir, name), join(dir, folder, name))
    return join(dir, folder)
  })
}

describe.skipIf(!client)('client programs', () => {
  const versionOf = (serverMajor: number) => serverMajor * 10_000 + 1

  test('of the major of the server are found where packages put them, and on the PATH', async ({ dir }) => {
    const [packaged, path] = layout(dir, `postgresql/${major}/bin`, 'bin')
    const found = await findTools(versionOf(major), { path: undefined, packaged: [join(dir, 'postgresql/*/bin')] })
    expect(found).toMatchObject({ dir: packaged, major, version: client!.version })
    expect(await findTools(versionOf(major), { path: `/nowhere:${path}`, packaged: [] })).toMatchObject({
      dir: path,
      major,
    })
  })

  test('of the next newer major stand in for missing ones; older ones are refused, and a folder that lacks one of them', async ({
    dir,
  }) => {
    layout(dir, 'a/bin')
    const packaged = [join(dir, '*/bin')]
    await expect(findTools(versionOf(major + 1), { path: '', packaged })).rejects.toMatchObject({
      kind: 'backup',
      message: `pg_dump is too old: the server is PostgreSQL ${major + 1}, but there is only ${client!.version} in ${dir}/a/bin`,
      hint: expect.stringContaining(`postgresql-client-${major + 1}`),
    })
    const standIn = await findTools(versionOf(major - 1), { path: '', packaged })
    expect(standIn).toMatchObject({ major, unknownSettings: major === 17 ? ['transaction_timeout'] : [] })
    expect(adviceOnTools(standIn, versionOf(major - 1))).toContain(`there is no pg_dump ${major - 1}, so pg_dump`)
    await expect(
      findTools(versionOf(major), { path: '', packaged }, { name: 'pg_restore', writtenBy: major + 1 }),
    ).rejects.toMatchObject({
      reason: 'client-missing',
      message: expect.stringContaining(`pg_restore is too old: the dump was made by pg_dump ${major + 1}, but`),
      hint: expect.stringContaining(`postgresql-client-${major + 1}`),
    })
    execFileSync('rm', [join(dir, 'a/bin/pg_restore')])
    await expect(findTools(versionOf(major), { path: '', packaged })).rejects.toMatchObject({
      message: 'pg_dump was not found',
    })
  })

  test('an archive is read by the major that wrote it, or a newer one', async ({ dir }) => {
    layout(dir, 'a/bin')
    const packaged = [join(dir, '*/bin')]
    expect(await findReader(major, { path: '', packaged })).toMatchObject({ major })
    expect(await findReader(major - 1, { path: '', packaged })).toMatchObject({ major })
    await expect(findReader(major + 1, { path: '', packaged })).rejects.toMatchObject({ kind: 'backup' })
  })

  test('that are missing end the backup before anything is in the store but the record of it', async ({
    store,
    database,
  }) => {
    await expect(backUp(store, urlOf(database), { search: { path: '', packaged: [] } })).rejects.toMatchObject({
      kind: 'backup',
      message: `the backup of ${database} failed: pg_dump was not found`,
      hint: expect.stringContaining(`postgresql-client-${major}`),
    })
    expect(filesBelow(store)).toEqual([
      expect.stringMatching(new RegExp(`^${database}/failed/\\d{8}T\\d{6}Z-[0-9a-f]{8}\\.json$`)),
    ])
  })
})

base.runIf(!client)('without client programs of this server newer ones stand in, or a backup is refused', async () => {
  const found = await findTools(major * 10_000, { path: process.env.PATH }).catch((error: Error) => error)
  if (found instanceof Error) expect(found).toMatchObject({ kind: 'backup', reason: 'client-missing' })
  else expect(found.major).toBeGreaterThan(major)
})

describe('what is read of a database', () => {
  const reading = async <T>(
    database: string,
    user: { name: string; password: string } | undefined,
    use: (sql: Sql) => Promise<T>,
  ) => {
    const sql = openOne(database, user)
    try {
      await sql.unsafe(
        'begin isolation level repeatable read read only; set local search_path to pg_catalog; set local row_security to off',
      )
      return await use(sql)
    } finally {
      await sql.end({ timeout: 1 })
    }
  }

  test('fits the manifest on every version, for whomever', async ({ sql, database }) => {
    const role = uniqueName('nobody')
    await sql.unsafe(
      `create role ${role} login password '${password}'; comment on database ${database} is 'c'; create table t (x int); insert into t values (1)`,
    )
    for (const user of [undefined, { name: role, password }]) {
      const inspected = await reading(database, user, async (db) => ({
        ...(await inspectDatabase(db)),
        ...(await readMigration(db)),
        id: await readSystemIdentifier(db),
      }))
      expect(inspected.serverVersion).toMatch(new RegExp(`^${major}`))
      expect(inspected.id).toMatch(/^\d{15,}$/)
      const { database: described, roles, extensions, lsn } = manifestSchema.shape
      expect(described.parse(inspected.database)).toMatchObject({
        name: database,
        owner: 'postgres',
        encoding: 'UTF8',
        acl: null,
        comment: 'c',
      })
      expect(roles.parse(inspected.roles)).toEqual(['postgres'])
      expect(extensions.parse(inspected.extensions)).toMatchObject([{ name: 'plpgsql' }])
      expect(lsn.parse(inspected.lsn)).toMatch(/\//)
    }
  })

  test('counts what may be counted, and says what may not, on every version', async ({ sql, database }) => {
    const role = uniqueName('nobody')
    await sql.unsafe(
      `create role ${role} login password '${password}'; create table t as select generate_series(1, 7); create table u (x int); grant select on u to ${role}`,
    )
    const { signal } = new AbortController()
    expect(await reading(database, undefined, (db) => countRows(db, 'exact', signal))).toEqual({
      rows: { 'public.t': 7, 'public.u': 0 },
      samples: {},
      estimated: {},
      notCounted: [],
    })
    expect(await reading(database, { name: role, password }, (db) => countRows(db, 'exact', signal))).toEqual({
      rows: { 'public.u': 0 },
      samples: {},
      estimated: {},
      notCounted: [{ table: 'public.t', reason: 'permission denied for table t' }],
    })
  })

  test('a table that is truncated while others are counted is left out', async ({ sql, database }) => {
    await sql.unsafe('create table t as select generate_series(1, 7); create table u (x int)')
    const counted = await reading(database, undefined, async (db) => {
      await db.unsafe('select 1')
      await sql.unsafe('truncate t')
      return countRows(db, 'exact', new AbortController().signal)
    })
    expect(counted).toEqual({
      rows: { 'public.u': 0 },
      samples: {},
      estimated: {},
      notCounted: [{ table: 'public.t', reason: 'it was truncated or rewritten during the backup' }],
    })
  })

  test('finds what a role may not read, on every version, and that a large object was granted', async ({
    sql,
    database,
  }) => {
    const role = uniqueName('nobody')
    await sql.unsafe(`
      create role ${role} login password '${password}'; create table t (id serial); create table mine (x int); alter table mine owner to ${role};
      alter table t enable row level security; create extension if not exists plpgsql`)
    const [row] = await sql<{ oid: number }[]>`select lo_from_bytea(0, 'x') as oid, lo_from_bytea(0, 'y')`
    await sql.unsafe(`grant select on large object ${row!.oid} to ${role}`)
    expect(await reading(database, { name: role, password }, readAccess)).toEqual({
      role,
      superuser: false,
      major,
      schemas: [],
      tables: ['public.t'],
      sequences: ['public.t_id_seq'],
      rowSecurity: ['public.t'],
      largeObjects: 1,
      userMappings: [],
      subscriptions: [],
    })
    expect(await reading(database, undefined, readAccess)).toMatchObject({ superuser: true })
  })
})
