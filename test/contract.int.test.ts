import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { client } from './support/backup.ts'
import { runJson, start } from './support/cli.ts'
import { open, server, test, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

type Step = { name: string; state: string; changes: unknown[]; duration_ms: number }

const config = (text = '') => ({ 'pgbosun.yaml': text, 'migrations/1_a.sql': 'create table a ()' })
const wrong = (database: string) => urlOf(database, { name: 'postgres', password: 'geheim' })
const states = (json: Record<string, unknown>) =>
  Object.fromEntries((json.steps as Step[]).map(({ name, state }) => [name, state]))

test('A newer state is read, and never written', async ({ dir, database, sql }) => {
  await writeFiles(dir, config())
  const options = { cwd: dir, env: { DATABASE_URL: urlOf(database) } }
  expect((await runJson(['up'], options)).code).toBe(0)
  await sql.unsafe('update pgbosun.state set version = 99')
  await writeFile(join(dir, 'migrations', '2_b.sql'), 'create table b ()')

  const status = await runJson(['migrate', 'status'], options)
  expect(status.json).toMatchObject({ exit_code: 0, applied: ['1_a'], pending: ['2_b'], problems: [] })
  expect((await runJson(['status'], options)).json).toMatchObject({ exit_code: 0, current_version: '1_a' })
  expect((await runJson(['migrate', 'verify'], options)).code).toBe(0)
  expect((await runJson(['check'], options)).code).toBe(50)
  for (const command of ['up', 'migrate', 'plan'])
    expect((await runJson([command], options)).json, command).toMatchObject({
      exit_code: 21,
      error: { kind: 'history' },
    })
  const role = uniqueName('late')
  await writeFile(join(dir, 'pgbosun.yaml'), `roles: { ${role}: {} }`)
  expect((await runJson(['roles', 'apply'], options)).json).toMatchObject({ exit_code: 21 })
  expect(await sql`select 1 from pg_roles where rolname = ${role}`).toEqual([])
  expect(await sql`select count(*)::int as count from pgbosun.events`).toEqual([{ count: 2 }])
})

test('A failure has the fields of its command', async ({ dir, database }) => {
  await writeFiles(dir, config(`backup: { store: "file://${dir}/store" }`))
  const options = { cwd: dir, env: { DATABASE_URL: wrong(database) } }

  for (const command of ['up', 'plan']) {
    const { code, json } = await runJson([command], options)
    expect(code).toBe(12)
    expect(states(json), command).toEqual({
      wait: 'failed',
      ensure: 'not-run',
      migrate: 'not-run',
      grant: 'not-run',
      seed: 'not-run',
      check: 'not-run',
    })
  }
  expect((await runJson(['migrate', 'status'], options)).json).toMatchObject({
    ...{ exit_code: 12, applied: [], pending: [], problems: [] },
  })
  expect((await runJson(['backup', 'run'], options)).json).toMatchObject({
    ...{ exit_code: 12, id: null, database, size_bytes: null, duration_ms: null },
    error: { hint: expect.stringContaining('password') },
  })
  expect((await runJson(['restore'], options)).json).toMatchObject({
    ...{ exit_code: 2, id: null, database: null, touched: false, rows_compared: 0, differences: [] },
  })
})

test('A refused plan says at which step', async ({ dir, database }) => {
  await writeFiles(dir, config(`databases: { ${database}: {} }`))
  const options = { cwd: dir, env: { DATABASE_URL: urlOf(database) } }
  expect((await runJson(['up'], options)).code).toBe(0)
  await writeFile(join(dir, 'migrations', '1_a.sql'), 'create table other ()')

  const plan = await runJson(['plan'], options)
  expect(plan.json).toMatchObject({ exit_code: 21, problems: [{ code: 'edited', name: '1_a' }] })
  expect(states(plan.json)).toMatchObject({ wait: 'nothing', migrate: 'failed', seed: 'not-run' })
  const up = await runJson(['up'], options)
  expect(states(up.json)).toMatchObject({ wait: 'nothing', ensure: 'not-run', migrate: 'failed', seed: 'not-run' })
})

test('Commands that only read need no access to lock.database', async ({ dir, database }) => {
  await writeFiles(dir, config())
  const options = { cwd: dir, env: { DATABASE_URL: urlOf(database), PGBOSUN_LOCK_DATABASE: 'not_there_at_all' } }
  for (const args of [['migrate', 'status'], ['status'], ['plan']])
    expect((await runJson(args, options)).code, args.join(' ')).toBe(0)
  expect((await runJson(['up'], options)).json).toMatchObject({ exit_code: 12, error: { kind: 'refused' } })
})

test('Hosts and ports of a URL may be lists of its parameters', async ({ dir, database }) => {
  const { adminUrl, password } = server()
  const { port } = new URL(adminUrl)
  const DATABASE_URL = `postgres://postgres@/${database}?host=127.0.0.1,127.0.0.1&port=1,${port}`
  expect((await runJson(['wait'], { cwd: dir, env: { DATABASE_URL, PGPASSWORD: password } })).code).toBe(0)
})

test('The message about a wrong variable names the variable, not a line of the file', async ({ dir, database }) => {
  await writeFiles(dir, config())
  const env = { DATABASE_URL: urlOf(database), PGBOSUN_MIGRATE_LOCK_TIMEOUT: '5', PGBOSUN_NO_SUCH_KEY: '1' }
  const { json } = await runJson(['wait'], { cwd: dir, env })
  expect(json).toMatchObject({ exit_code: 2, error: { file: null } })
  expect(json.error?.message).toContain('migrate.lockTimeout (PGBOSUN_MIGRATE_LOCK_TIMEOUT)')
  expect(json.error?.message).not.toContain('pgbosun.yaml')
})

test('A run that is stopped reports its steps and records its end', async ({ dir, database, sql }) => {
  await writeFiles(dir, { ...config(), 'migrations/2_b.sql': 'select pg_sleep(60)' })
  const { child, finished } = start(['up', '--json'], { cwd: dir, env: { DATABASE_URL: urlOf(database) } })
  const sleeping = async () =>
    (
      await sql`select 1 from pg_stat_activity where datname = ${database} and query like '%pg_sleep(60)' and state = 'active'`
    ).length > 0
  await expect.poll(sleeping, { timeout: 20_000 }).toBe(true)
  child.kill('SIGTERM')

  const json = JSON.parse((await finished).stdout)
  expect(json).toMatchObject({ exit_code: 143, error: { kind: 'terminated' } })
  expect(states(json)).toMatchObject({ wait: 'nothing', migrate: 'failed', seed: 'not-run' })
  expect(
    await sql`select phase, exit_code, detail -> 'changes' -> -1 ->> 'object' as last from pgbosun.events order by id`,
  ).toEqual([
    { phase: 'started', exit_code: null, last: null },
    { phase: 'finished', exit_code: 143, last: 'migration 1_a' },
  ])
})

test('serve refuses a wrong configuration of backups before it changes anything', async ({ dir, database, sql }) => {
  await writeFiles(dir, config('{ serve: { listen: "127.0.0.1:0" }, backup: { url: { env: NOT_SET } } }'))
  const { json } = await runJson(['serve'], { cwd: dir, env: { DATABASE_URL: urlOf(database) } })
  expect(json).toMatchObject({ exit_code: 2, error: { message: expect.stringContaining('NOT_SET') } })
  expect(await sql`select to_regclass('pgbosun.state') as state`).toEqual([{ state: null }])
})

test.skipIf(!client)(
  'check and status tell of a store that cannot be read, and status of backups that nothing asks for',
  async ({ dir, database }) => {
    await writeFiles(dir, { ...config(), 'no-folder': '' })
    const env = { DATABASE_URL: urlOf(database), PGBOSUN_BACKUP_STORE: `file://${dir}/store` }
    expect((await runJson(['up'], { cwd: dir, env })).code).toBe(0)
    expect((await runJson(['status'], { cwd: dir, env })).json).not.toHaveProperty('backups')
    const { id } = (await runJson(['backup'], { cwd: dir, env })).json
    expect((await runJson(['status'], { cwd: dir, env })).json).toMatchObject({
      backups: { ok: true, databases: [{ database, last_id: id, age_ms: expect.any(Number), next_run_at: null }] },
    })

    const broken = { ...env, PGBOSUN_BACKUP_STORE: `file://${dir}/no-folder/x`, PGBOSUN_CHECK_BACKUP_MAX_AGE: '1h' }
    const problem = expect.stringContaining('cannot be read')
    const backups = { ok: false, databases: [{ database, ok: false, problem }] }
    expect((await runJson(['check'], { cwd: dir, env: broken })).json).toMatchObject({ exit_code: 50, backups })
    expect((await runJson(['status'], { cwd: dir, env: broken })).json).toMatchObject({ exit_code: 0, backups })
  },
)

test('Paths are relative to the configuration file, in every key', async ({ dir, database }) => {
  await writeFiles(dir, { ...config(), 'elsewhere/x': '', url: urlOf(database), pw: `${server().password}\n` })
  const cwd = join(dir, 'elsewhere')
  const wait = (env: Record<string, string>) => runJson(['wait', '--config', '../pgbosun.yaml'], { cwd, env })
  const alone = new URL(urlOf(database))
  alone.password = ''
  for (const env of [
    { PGBOSUN_DATABASE_URL_FILE: 'url' },
    { DATABASE_URL_FILE: 'url' },
    { DATABASE_URL: alone.href, PGPASSWORD_FILE: 'pw' },
  ])
    expect((await wait(env)).code, Object.keys(env).join()).toBe(0)
})

test('Migrations of a database that was created with its default owner make objects of that owner', async ({ dir }) => {
  const name = uniqueName('own')
  const database = `databases: { ${name}: { users: { ${name}_ro: { preset: readonly, password: { env: RO } } } } }`
  await writeFiles(dir, config(database))
  const env = { DATABASE_URL: urlOf(name), RO: 'geheim' }
  expect((await runJson(['up'], { cwd: dir, env })).code).toBe(0)
  const sql = open(name)
  expect(await sql`select pg_get_userbyid(relowner) as owner from pg_class where relname = 'a'`).toEqual([
    { owner: `${name}_owner` },
  ])
  await sql.end()
  expect((await runJson(['plan', '--exit-code'], { cwd: dir, env })).code).toBe(0)
})

test('An error at run time has the place of the statement, even in the middle of a file', async ({ dir, database }) => {
  const text =
    'create table b (a int primary key);\ninsert into b values (1);\n  insert into b values (1);\nselect 1;\n'
  await writeFiles(dir, { ...config(), 'migrations/2_b.sql': text, 'migrations/3_c.sql': 'select 1; select 1' })
  const options = { cwd: dir, env: { DATABASE_URL: urlOf(database) } }
  const { json, stderr } = await runJson(['up'], options)
  expect(json.error).toMatchObject({ kind: 'migration', sqlstate: '23505', file: `${dir}/migrations/2_b.sql` })
  expect(json.error).toMatchObject({ line: 3, column: 3 })
  expect(stderr).toContain('3 |   insert into b values (1);\n    |   ^\n  DETAIL: Key (a)=(1) already exists.')

  const seeds = '{ migrate: { dir: none }, seeds: [{ file: s.sql }] }'
  await writeFiles(dir, { 'pgbosun.yaml': seeds, 'none/x': '', 's.sql': 'select 1;\nselect 1 / (1 - 1);' })
  const seeded = await runJson(['seed'], options)
  expect(seeded.json).toMatchObject({ exit_code: 40, error: { sqlstate: '22012', line: 2, column: 1 } })
})

test('The seeds may be one folder, or a list', async ({ dir, database }) => {
  const options = { cwd: dir, env: { DATABASE_URL: urlOf(database) } }
  await writeFiles(dir, { 's/a.sql': 'create table a (b int)', 'none/x': '' })
  const of = (seeds: unknown) =>
    writeFiles(dir, { 'pgbosun.yaml': JSON.stringify({ migrate: { dir: 'none' }, seeds }) })
  await of({ dri: 's' })
  expect((await runJson(['seed'], options)).json).toMatchObject({
    exit_code: 2,
    error: { message: expect.stringContaining('seeds.dri: unknown key') },
  })
  await of({ dir: 's', when: ['other'] })
  expect((await runJson(['seed'], options)).json).toMatchObject({ exit_code: 0, seeds: [] })
  await of({ dir: 's' })
  expect((await runJson(['seed'], options)).json).toMatchObject({ exit_code: 0, seeds: [{ name: 's/a.sql' }] })
})
