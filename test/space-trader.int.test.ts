import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort, type Server, serverAccount, startServer, temporary } from '../scripts/server.ts'
import { client } from './support/backup.ts'
import { run, runJson } from './support/cli.ts'
import { majorOf, programFolders } from './support/clients.ts'
import { server as shared, writeFiles } from './support/postgres.ts'

const example = join(import.meta.dirname, '../examples/space-trader')
const users = ['sectorwars_app', 'sectorwars_readonly', 'sectorwars_backup', 'sectorwars_monitor']

/** The names are the example's own, so the server is, too. */
let server: Server
let dir: string
const opened: postgres.Sql[] = []
beforeAll(async () => {
  server = await startServer(shared().binDir, {
    settings: ['fsync=off', 'shared_preload_libraries=pg_stat_statements'],
  })
  dir = mkdtempSync(join(tmpdir(), 'pgbosun-space-trader-'))
  cpSync(join(example, 'migrations'), join(dir, 'migrations'), { recursive: true })
  const config = readFileSync(join(example, 'pgbosun.yaml'), 'utf8')
  await writeFiles(dir, {
    'pgbosun.yaml': config.replace('file:///backups', `file://${dir}/backups`),
    'secrets/backup_url': `postgres://sectorwars_backup:s3cret@127.0.0.1:${server.port}/sectorwars_dev`,
    ...Object.fromEntries(users.map((name) => [`secrets/${name}`, 's3cret'])),
  })
  const up = await pgbosun('up')
  expect(up.code, up.stderr).toBe(0)
})
afterAll(async () => {
  for (const sql of opened) await sql.end({ timeout: 1 })
  await server?.remove()
  rmSync(dir, { recursive: true, force: true })
})

const pgbosun = (...args: string[]) => runJson(args, { cwd: dir, env: { DATABASE_URL: server.url('sectorwars_dev') } })

function open(user?: string): postgres.Sql {
  const url = new URL(server.url('sectorwars_dev'))
  if (user) [url.username, url.password] = [user, 's3cret']
  const sql = postgres(url.href, { max: 1, onnotice() {}, fetch_types: false })
  opened.push(sql)
  return sql
}

/** What a user sees on the screen. */
async function screen(files: Record<string, string>, ...args: string[]) {
  const other = mkdtempSync(join(tmpdir(), 'pgbosun-space-trader-'))
  try {
    cpSync(dir, other, { recursive: true })
    await writeFiles(
      other,
      Object.fromEntries(Object.entries(files).map(([name, text]) => [`migrations/${name}`, text])),
    )
    const { code, stdout, stderr } = await run(args, {
      cwd: other,
      env: { DATABASE_URL: server.url('sectorwars_dev') },
    })
    return { code, text: stdout + stderr }
  } finally {
    rmSync(other, { recursive: true })
  }
}

describe('config/', () => {
  const folders = [...new Set([shared().binDir, ...programFolders])].filter((bin) => existsSync(join(bin, 'postgres')))
  const majors = new Map(
    folders.map((bin) => [execFileSync(join(bin, 'postgres'), ['--version'], { encoding: 'utf8' }).trim(), bin]),
  )
  if (![...majors.values()].some((bin) => majorOf(bin) === 15))
    console.warn('NOT RUN: PostgreSQL 15 with examples/space-trader/config: it is not here')

  test.each([
    ...majors,
  ])('%s starts with postgresql.conf and pg_hba.conf as they are, and logs no warning', async (_, bin) => {
    const made = await startServer(bin)
    await made.stop()
    const account = serverAccount()
    const settings = mkdtempSync(join(temporary, 'pgbosun-config-'))
    let child: ChildProcess | undefined
    try {
      cpSync(join(example, 'config'), settings, { recursive: true })
      execFileSync('chmod', ['-R', 'a+rX', settings])
      const own = { port: await freePort(), unix_socket_directories: made.dir, hba_file: join(settings, 'pg_hba.conf') }
      const flags = Object.entries(own).flatMap(([name, value]) => ['-c', `${name}=${value}`])
      // nothing of what initdb and the test have set
      for (const name of ['postgresql.conf', 'postgresql.auto.conf']) writeFileSync(join(made.dir, 'data', name), '')
      const config = `config_file=${join(settings, 'postgresql.conf')}`
      child = spawn(join(bin, 'postgres'), ['-D', join(made.dir, 'data'), '-c', config, ...flags], {
        ...account,
        cwd: made.dir,
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      let log = ''
      child.stderr!.setEncoding('utf8').on('data', (text) => {
        log += text
      })
      while (!log.includes('ready to accept connections')) {
        expect(child.exitCode, log).toBe(null)
        await sleep(50)
      }
      expect(log).not.toMatch(/WARNING|ERROR|FATAL/)
      const url = made.url('postgres').replace(`:${made.port}/`, `:${own.port}/`)
      const sql = postgres(url, { max: 1, fetch_types: false })
      expect(
        await sql`select name, error from pg_file_settings where not applied and name not in ('port', 'hba_file')`,
      ).toEqual([])
      expect(await sql`select error from pg_hba_file_rules where error is not null or auth_method = 'trust'`).toEqual(
        [],
      )
      expect(await sql`select setting from pg_settings where name = 'shared_buffers'`).toEqual([{ setting: '32768' }])
      await sql.end()
      const wrong = postgres(url.replace(/:[^:@]+@/, ':wrong@'), { max: 1, fetch_types: false })
      await expect(wrong`select 1`).rejects.toMatchObject({ code: '28P01' })
      await wrong.end({ timeout: 0 })
    } finally {
      const ended = child && child.exitCode === null && new Promise((resolve) => child!.once('exit', resolve))
      child?.kill('SIGQUIT')
      await ended
      await made.remove()
      rmSync(settings, { recursive: true })
    }
  })
})

describe('sectorwars_dev', () => {
  test('has more than fifty tables with UUID keys, enums, and foreign keys in circles; a second `up` changes nothing', async () => {
    const sql = open()
    const [tables] = await sql`
      select count(*)::int as tables, count(*) filter (where data_type = 'uuid')::int as keys
      from information_schema.tables left join information_schema.columns using (table_schema, table_name)
      where table_schema = 'public' and table_type = 'BASE TABLE' and column_name = 'id'`
    expect(tables).toEqual({ tables: 54, keys: 54 })
    const [{ enums }] = await sql<[{ enums: number }]>`select count(*)::int as enums from pg_type where typtype = 'e'`
    expect(enums).toBe(12)
    const circles = await sql`
      select a.conrelid::regclass::text as one, a.confrelid::regclass::text as other
      from pg_constraint a join pg_constraint b on a.conrelid = b.confrelid and a.confrelid = b.conrelid
      where a.contype = 'f' and b.contype = 'f' and a.conrelid::regclass::text < a.confrelid::regclass::text
      order by 1, 2`
    expect(circles).toEqual([
      { one: 'players', other: 'ships' },
      { one: 'players', other: 'teams' },
    ])
    expect((await pgbosun('plan', '--exit-code')).code).toBe(0)
  })

  test('gives each of its four users what they are for, and nobody is superuser', async () => {
    const [app, readonly, backup, monitor] = users.map((name) => open(name))
    await app!`create table notes (id uuid primary key default gen_random_uuid(), text text)`
    await app!`insert into notes (text) values ('x')`
    expect(await readonly!`select text from notes`).toEqual([{ text: 'x' }])
    await expect(readonly!`insert into notes (text) values ('y')`).rejects.toMatchObject({ code: /^(42501|25006)$/ })
    await expect(readonly!`delete from users`).rejects.toMatchObject({ code: expect.stringMatching(/^(42501|25006)$/) })
    expect(await backup!`select count(*)::int as n from users`).toEqual([{ n: 0 }])
    await expect(backup!`delete from users`).rejects.toMatchObject({ code: expect.stringMatching(/^(42501|25006)$/) })
    expect(
      await monitor!`select count(*) > 0 as some from pg_stat_activity where query <> '<insufficient privilege>'`,
    ).toEqual([{ some: true }])
    await expect(monitor!`select from users`).rejects.toMatchObject({ code: '42501' })
    expect(await open()`select rolname from pg_roles where rolname like 'sectorwars%' and rolsuper`).toEqual([])
    await app!`drop table notes`
  })
})

describe('what went wrong there once', () => {
  const fleets = 'create table fleets (id serial primary key, leader_id integer references players);'

  test('a foreign key of another type: lint sees it before, and the error names both types', async () => {
    const linted = await screen({ '007_fleets.sql': fleets }, 'migrate', 'lint')
    expect([linted.code, linted.text]).toEqual([22, expect.stringContaining('fk-type-mismatch')])
    const applied = await screen({ '007_fleets.sql': fleets }, 'migrate')
    expect(applied.code).toBe(20)
    expect(applied.text).toContain('(SQLSTATE 42804)')
    expect(applied.text).toMatch(
      /^hint: {2}the types must match: column leader_id is integer, column id is uuid; declare leader_id as uuid$/m,
    )
  })

  test('an enum type that is there already: the hint shows its values', async () => {
    const text = `create type ship_class as enum ('scout', 'trader');`
    const applied = await screen({ '007_ship_class.sql': text }, 'migrate')
    expect(applied.code).toBe(20)
    expect(applied.text).toContain('(SQLSTATE 42710)')
    expect(applied.text).toMatch(
      /^hint: {2}the type ship_class exists with the values 'scout', 'trader', 'freighter', .*'warp_jumper': .*`alter type "ship_class" add value`$/m,
    )
  })

  test('two migrations that both want to be next', async () => {
    const files = { '007_fleets.sql': 'select 1;', '007_banks.sql': 'select 2;' }
    const applied = await screen(files, 'migrate')
    expect(applied.code).toBe(2)
    expect(applied.text).toMatch(
      /^error: 007_banks.sql and 007_fleets.sql in .* have the same version 7\nhint: {2}give the newer one a version of its own$/m,
    )
    expect(await open()`select to_regclass('fleets') as fleets`).toEqual([{ fleets: null }])
  })
})

describe.skipIf(!client)('a hosted database', () => {
  let hosted: Server
  let hostedDir: string
  beforeAll(async () => {
    hosted = await startServer(shared().binDir, {
      settings: ['fsync=off', 'shared_preload_libraries=pg_stat_statements'],
    })
    hostedDir = mkdtempSync(join(tmpdir(), 'pgbosun-space-trader-'))
    cpSync(dir, hostedDir, { recursive: true, filter: (path) => !path.endsWith('/backups') })
    await writeFiles(hostedDir, {
      'secrets/backup_url': `postgres://sectorwars_backup:s3cret@127.0.0.1:${hosted.port}/sectorwars_dev`,
    })
    const up = await there('up')
    expect(up.code, up.stderr).toBe(0)
    await ask(hosted, (sql) => sql.unsafe(readFileSync(join(example, 'hosted/universe.sql'), 'utf8')))
  })
  afterAll(async () => {
    await hosted?.remove()
    rmSync(hostedDir, { recursive: true, force: true })
  })

  /** Both write into one store. */
  const there = (...args: string[]) =>
    runJson(args, { cwd: hostedDir, env: { DATABASE_URL: hosted.url('sectorwars_dev') } })

  async function ask<T>(where: Server, use: (sql: postgres.Sql) => Promise<T>): Promise<T> {
    const sql = postgres(where.url('sectorwars_dev'), { max: 1, onnotice() {}, fetch_types: false })
    try {
      return await use(sql)
    } finally {
      await sql.end()
    }
  }

  /** Rows of each table, with a hash of their contents. */
  const content = (where: Server) =>
    ask(where, async (sql) => {
      const tables = await sql<
        { name: string }[]
      >`select tablename as name from pg_tables where schemaname = 'public' order by 1`
      const queries = tables.map(
        ({ name }) =>
          `select '${name}' as name, count(*)::int as rows, md5(string_agg(md5(t::text), '' order by id)) as hash from ${name} t`,
      )
      return sql.unsafe<{ name: string; rows: number; hash: string | null }[]>(queries.join(' union all '))
    })
  const systemIdentifier = (where: Server) =>
    ask(
      where,
      async (sql) => (await sql`select system_identifier::text as id from pg_control_system()`)[0]!.id as string,
    )
  const written = (where: Server) =>
    ask(where, async (sql) => {
      await sql`select pg_stat_clear_snapshot()`
      return (await sql`select sum(n_tup_ins + n_tup_upd + n_tup_del)::text as n from pg_stat_user_tables`)[0]!
        .n as string
    })

  test('comes home, and goes back with what was played meanwhile, row by row; both times the source is only read', {
    timeout: 180_000,
  }, async () => {
    const before = await content(hosted)
    expect(before.filter(({ rows }) => rows > 0).length).toBeGreaterThan(25)
    const writes = await written(hosted)
    const taken = await there('backup', 'run')
    expect(taken.code, taken.stderr).toBe(0)
    expect(await written(hosted)).toBe(writes)

    const home = await pgbosun(
      'restore',
      'latest',
      '--replace',
      'sectorwars_dev',
      '--cluster',
      await systemIdentifier(hosted),
    )
    expect(home.code, home.stderr).toBe(0)
    expect(home.json).toMatchObject({ differences: [], backup_before: expect.any(String) })
    expect(await content(server)).toEqual(before)
    expect((await pgbosun('restore', '--release', '--yes')).code).toBe(0)
    expect((await pgbosun('plan', '--exit-code')).code).toBe(0)

    const app = open('sectorwars_app')
    await app`insert into users (username, email) values ('newcomer', 'newcomer@example.com')`
    await app`update players set credits = credits + 1`
    const played = await content(server)
    expect(played).not.toEqual(before)
    const taken2 = await pgbosun('backup', 'run')
    expect(taken2.code, taken2.stderr).toBe(0)
    const back = await there(
      'restore',
      'latest',
      '--replace',
      'sectorwars_dev',
      '--cluster',
      await systemIdentifier(server),
    )
    expect(back.code, back.stderr).toBe(0)
    expect(await content(hosted)).toEqual(played)
  })

  test('comes home by `up` alone into an empty database, once, and goes back the same way', {
    timeout: 180_000,
  }, async () => {
    const home = await startServer(shared().binDir, {
      settings: ['fsync=off', 'shared_preload_libraries=pg_stat_statements'],
    })
    try {
      const from = (source: Server) => ({
        PGBOSUN_IMPORT_URL: `postgres://sectorwars_backup:s3cret@127.0.0.1:${source.port}/sectorwars_dev`,
      })
      const up = (where: Server, source: Server, ...args: string[]) =>
        runJson(args, { cwd: hostedDir, env: { DATABASE_URL: where.url('sectorwars_dev'), ...from(source) } })
      const before = await content(hosted)
      const writes = await written(hosted)
      const came = await up(home, hosted, 'up')
      expect(came.code, came.stderr).toBe(0)
      expect(await content(home)).toEqual(before)
      expect(await written(hosted)).toBe(writes)
      expect((await up(home, hosted, 'plan', '--exit-code')).code).toBe(0)

      await ask(home, (sql) => sql`update players set credits = credits + 1`)
      const played = await content(home)
      const admin = postgres(hosted.url('postgres'), { max: 1, onnotice() {}, fetch_types: false })
      await admin`drop database sectorwars_dev with (force)`
      await admin.end()
      const back = await up(hosted, home, 'up')
      expect(back.code, back.stderr).toBe(0)
      expect(await content(hosted)).toEqual(played)
    } finally {
      await home.remove()
    }
  })
})
