import { existsSync } from 'node:fs'
import { chmod, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { envPy, hasAlembic, ini, revision } from './support/alembic.ts'
import { until } from './support/chaos.ts'
import { run, runJson, start } from './support/cli.ts'
import { expectNoSecret, fails } from './support/fails.ts'
import { test as base, open, type Sql, server, uniqueName, urlOf, writeFiles } from './support/postgres.ts'
import { startTlsServer, tlsMissing } from './support/tls.ts'

const asyncEnvPy = `
import asyncio, os
from sqlalchemy import pool, text
from sqlalchemy.ext.asyncio import create_async_engine
from alembic import context

def migrate(connection):
    if os.environ.get("USE_DATABASE_ROLE"):
        connection.execute(text('set role "%s"' % os.environ["DATABASE_ROLE"]))
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()

async def main():
    engine = create_async_engine(os.environ["DATABASE_URL"], poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
        await connection.commit()
    await engine.dispose()

asyncio.run(main())
`

const users = revision('aaa1', null, 'create table users (id int primary key)')
const email = revision('bbb1', 'aaa1', 'alter table users add column email text')

type Fixtures = {
  /** Files of an Alembic project, and of pgbosun which runs it, in the folder of the test. */
  project(revisions: Record<string, string>, config?: object): Promise<void>
  env: Record<string, string>
}

const test = base.extend<Fixtures>({
  project: async ({ dir }, use) => {
    await use(async (revisions, config = {}) => {
      const versions = Object.entries(revisions).map(([name, text]) => [`alembic/versions/${name}.py`, text])
      await writeFiles(dir, {
        'alembic.ini': ini,
        'alembic/env.py': envPy,
        ...Object.fromEntries(versions),
        'pgbosun.yaml': JSON.stringify({ migrate: { command: ['alembic', 'upgrade', 'head'] }, ...config }),
      })
    })
  },
  env: async ({ database }, use) => use({ DATABASE_URL: urlOf(database) }),
})

const heads = async (sql: Sql) =>
  (await sql<{ version: string }[]>`select version_num as version from alembic_version order by 1`).map(
    ({ version }) => version,
  )
const events = async (sql: Sql) =>
  (
    await sql<
      { event: string }[]
    >`select command || ' ' || phase || coalesce(' ' || exit_code, '') as event from pgbosun.events order by id`
  ).map(({ event }) => event)
const stepOf = (json: Record<string, unknown>, name = 'migrate') =>
  (json.steps as { name: string; state: string; changes: { action: string; object: string; reason: string }[] }[]).find(
    (step) => step.name === name,
  )

describe.skipIf(!hasAlembic)('Alembic', () => {
  test('is run under up, and the second time there is nothing to do', async ({ dir, sql, env, project }) => {
    await project({ a: users, b: email }, { check: { tables: ['users'] } })
    const planned = await runJson(['plan', '--exit-code'], { cwd: dir, env })
    expect(planned.code, planned.stderr).toBe(3)
    const change = {
      action: 'run',
      object: 'alembic upgrade head',
      reason: 'the database is at no revision, the files are at bbb1',
    }
    const state = { action: 'create', object: 'schema pgbosun', reason: 'keeps the history' }
    expect(stepOf(planned.json)).toMatchObject({ state: 'not-run', changes: [state, change] })

    const first = await runJson(['up'], { cwd: dir, env })
    expect(first.code, first.stderr).toBe(0)
    expect(stepOf(first.json)).toMatchObject({ state: 'done', changes: [state, change] })
    expect(await heads(sql)).toEqual(['bbb1'])
    expect(await events(sql)).toEqual(['up started', 'up finished 0'])

    const again = await runJson(['up'], { cwd: dir, env })
    expect(again.json.steps).toEqual(
      (again.json.steps as object[]).map((step) => ({ ...step, state: 'nothing', changes: [] })),
    )
    expect(await events(sql)).toEqual(['up started', 'up finished 0'])
    expect((await run(['plan', '--exit-code'], { cwd: dir, env })).code).toBe(0)

    const status = await run(['migrate', 'status'], { cwd: dir, env })
    expect(status.stdout).toBe('migrated by `alembic upgrade head`, at bbb1\n')
    expect((await runJson(['migrate', 'status'], { cwd: dir, env })).json).toMatchObject({
      current_version: 'bbb1',
      pending: [],
    })
    expect((await runJson(['check'], { cwd: dir, env })).json).toMatchObject({
      initialized: true,
      current_version: 'bbb1',
      overall_healthy: true,
    })

    await project({ a: users, b: email, c: revision('ccc1', 'bbb1', 'create table games (id int)') })
    const third = await runJson(['migrate'], { cwd: dir, env })
    expect(third.json.results).toEqual([
      { name: 'alembic upgrade head', status: 'applied', duration_ms: expect.any(Number) },
    ])
    expect(stepOf(third.json)?.changes[0]?.reason).toBe('the database is at bbb1, the files are at ccc1')
    expect(await heads(sql)).toEqual(['ccc1'])
  })

  test('its output is in the log, and not on stdout', async ({ dir, env, project }) => {
    await project({ a: revision('aaa1', null, 'select 1') })
    await writeFiles(dir, {
      'alembic/env.py': `print("out: a line")\nimport sys\nprint("err: \\x1b[31mred", file=sys.stderr)\n${envPy}`,
    })
    const { stdout, stderr, code } = await run(['migrate', '--log-format', 'pretty'], { cwd: dir, env })
    expect(code, stderr).toBe(0)
    expect(stdout).not.toContain('a line')
    expect(stderr).toMatch(/^\S+ INFO {2}alembic: out: a line$/m)
    expect(stderr).toMatch(/^\S+ INFO {2}alembic: err: red$/m)
  })

  test('what it creates belongs to the owner of the database, and the users of the application may use it', async ({
    dir,
    project,
  }) => {
    const name = uniqueName('app')
    await project(
      { a: users },
      {
        databases: {
          [name]: {
            users: {
              [`${name}_rw`]: { preset: 'app', password: { env: 'PW_RW' } },
              [`${name}_ro`]: { preset: 'readonly', password: { env: 'PW_RO' } },
            },
          },
        },
        seeds: [{ file: 'seed.sql' }],
      },
    )
    await writeFiles(dir, { 'seed.sql': 'insert into users values (1) on conflict do nothing' })
    const env = { DATABASE_URL: urlOf(name), PW_RW: 'geheim rw', PW_RO: 'geheim ro' }
    const planned = await runJson(['plan', '--exit-code'], { cwd: dir, env })
    expect(stepOf(planned.json)?.changes.map(({ object }) => object)).toEqual([
      'schema pgbosun',
      'alembic upgrade head',
    ])
    expect(planned.code).toBe(3)
    const first = await run(['up'], { cwd: dir, env })
    expect(first.code, first.stderr).toBe(0)
    expectNoSecret(first)
    const sql = open(name)
    const owners =
      await sql`select distinct pg_get_userbyid(relowner) as owner from pg_class where relnamespace = 'public'::regnamespace`
    expect(owners).toEqual([{ owner: `${name}_owner` }])
    await sql.end()
    const reader = open(name, { name: `${name}_ro`, password: 'geheim ro' })
    expect(await reader`select id from users`).toEqual([{ id: 1 }])
    expect(await heads(reader)).toEqual(['aaa1'])
    await reader.end()
    expect((await run(['up'], { cwd: dir, env })).stdout).toContain('ready, nothing to do')
  })

  test('with asyncpg works too, if env.py sets the owner of the tables', async ({ dir, project }) => {
    const name = uniqueName('app')
    const databases = { [name]: { users: { [`${name}_rw`]: { preset: 'app', password: { env: 'PW_RW' } } } } }
    await project({ a: users }, { databases })
    await writeFiles(dir, { 'alembic/env.py': asyncEnvPy })
    // a login made for the run would start as the role, whatever its driver reads
    const env = {
      DATABASE_URL: urlOf(name).replace('postgres:', 'postgresql+asyncpg:'),
      PW_RW: 'geheim rw',
      PGBOSUN_MIGRATE_ISOLATION: 'role',
    }
    const first = await runJson(['up'], { cwd: dir, env })
    expect(first.code, first.stderr).toBe(0)
    expect(first.json.warnings).toContain(
      `public.alembic_version belongs to postgres, not to ${name}_owner: the driver of alembic does not read PGOPTIONS; make the program run \`set role\` with the name in DATABASE_ROLE before it migrates`,
    )

    const other = uniqueName('app')
    await project(
      { a: users },
      { databases: { [other]: { users: { [`${other}_rw`]: { preset: 'app', password: { env: 'PW_RW' } } } } } },
    )
    await writeFiles(dir, { 'alembic/env.py': asyncEnvPy })
    const env2 = {
      ...env,
      DATABASE_URL: urlOf(other).replace('postgres:', 'postgresql+asyncpg:'),
      USE_DATABASE_ROLE: 'yes',
    }
    const second = await runJson(['up'], { cwd: dir, env: env2 })
    expect(second.code, second.stderr).toBe(0)
    expect(second.json.warnings).toEqual([])
  })

  test('a failing revision is exit 20 with the last lines, and the next run continues', async ({
    dir,
    sql,
    env,
    project,
  }) => {
    await project({ a: users, b: revision('bbb1', 'aaa1', 'alter tabel users add email text') })
    const failure = await fails(['up'], { cwd: dir, env })
    expect(failure).toMatchObject({ kind: 'migration', message: 'alembic upgrade head ended with code 1' })
    expect(failure.stderr).toContain('syntax error at or near "tabel"')
    expect(failure.json.results).toEqual([
      { name: 'alembic upgrade head', status: 'failed', duration_ms: expect.any(Number) },
    ])
    expect(stepOf(failure.json)?.state).toBe('failed')
    expect(await events(sql)).toEqual(['up started', 'up finished 20'])

    await project({ a: users, b: email })
    expect((await run(['up'], { cwd: dir, env })).code).toBe(0)
    expect(await heads(sql)).toEqual(['bbb1'])
  })

  test('several heads in the files are exit 21, before anything is changed', async ({ dir, sql, env, project }) => {
    const branches = { a: users, b: email, c: revision('ccc1', 'aaa1', 'alter table users add column phone text') }
    await project(branches)
    for (const command of [['up'], ['plan'], ['migrate', '--dry-run']]) {
      expect(await fails(command, { cwd: dir, env })).toMatchObject({
        kind: 'history',
        message: 'the files have 2 heads: bbb1, ccc1',
        hint: 'join the branches: `alembic merge -m "merge heads" bbb1 ccc1`',
      })
    }
    expect(await sql`select to_regclass('alembic_version') as found, to_regnamespace('pgbosun') as state`).toEqual([
      { found: null, state: null },
    ])

    const name = uniqueName('app')
    await project(branches, { databases: { [name]: {} } })
    expect(await fails(['up'], { cwd: dir, env: { DATABASE_URL: urlOf(name) } })).toMatchObject({ kind: 'history' })
    expect(await sql`select datname from pg_database where datname = ${name}`).toEqual([])

    await project({ ...branches, d: revision('ddd1', ['bbb1', 'ccc1'], 'select 1') })
    expect((await run(['up'], { cwd: dir, env })).code).toBe(0)
    expect(await heads(sql)).toEqual(['ddd1'])
  })

  test('several heads in the database are exit 21 if no revision joins them', async ({ dir, sql, env, project }) => {
    const branches = { a: users, b: email, c: revision('ccc1', 'aaa1', 'alter table users add column phone text') }
    await project(branches, { migrate: { command: ['sh', '-c', 'alembic upgrade heads'] } })
    expect(await fails(['up'], { cwd: dir, env })).toMatchObject({
      kind: 'history',
      message: 'public.alembic_version has 2 heads: bbb1, ccc1',
    })
    await project({ ...branches, d: revision('ddd1', ['bbb1', 'ccc1'], 'select 1') })
    const planned = await runJson(['plan'], { cwd: dir, env })
    expect(planned.json.warnings).toEqual(['public.alembic_version has 2 heads: bbb1, ccc1'])
    expect(stepOf(planned.json)?.changes).toHaveLength(1)
    expect((await run(['up'], { cwd: dir, env })).code).toBe(0)
    expect(await heads(sql)).toEqual(['ddd1'])
  })

  test('a database at a revision that the files do not have is exit 21', async ({ dir, sql, env, project }) => {
    await sql`create table alembic_version (version_num varchar(32) primary key)`
    await sql`insert into alembic_version values ('zzz9')`
    await project({ a: users })
    const failure = await fails(['migrate'], { cwd: dir, env })
    expect(failure).toMatchObject({
      kind: 'history',
      message: expect.stringMatching(/^alembic upgrade head ended with code \d+$/),
    })
    expect(failure.hint).toContain('the database is at a revision that these files do not have')
    expect(failure.stderr).toContain("Can't locate revision identified by 'zzz9'")
  })

  test('files that Alembic cannot read are found by plan', async ({ dir, env, project }) => {
    await project({ a: 'import this_is_missing\n' })
    const failure = await fails(['plan'], { cwd: dir, env })
    expect(failure).toMatchObject({
      kind: 'migration',
      message: 'alembic heads --resolve-dependencies ended with code 1',
    })
    expect(failure.stderr).toContain("No module named 'this_is_missing'")
  })

  test('where the table is in another schema or has another name, it is found', async ({ dir, sql, env, project }) => {
    const placed = envPy.replace('connection=connection', 'connection=connection, version_table_schema="meta"')
    await sql`create schema meta`
    await project({ a: users })
    await writeFiles(dir, { 'alembic/env.py': placed })
    expect((await run(['up'], { cwd: dir, env })).code).toBe(0)
    expect((await run(['up'], { cwd: dir, env })).stdout).toContain('ready, nothing to do')

    const named = { migrate: { command: ['alembic', 'upgrade', 'head'], table: 'meta.revisions' } }
    await project({ a: revision('aaa1', null, 'create table more (id int)') }, named)
    await writeFiles(dir, {
      'alembic/env.py': placed.replace('_schema="meta"', '_schema="meta", version_table="revisions"'),
    })
    expect((await run(['up'], { cwd: dir, env })).code).toBe(0)
    expect((await run(['up'], { cwd: dir, env })).stdout).toContain('ready, nothing to do')
    expect(await sql`select version_num from meta.revisions`).toEqual([{ version_num: 'aaa1' }])
  })

  test('ten runners at once apply each revision once', async ({ dir, sql, env, project }) => {
    await project({ a: revision('aaa1', null, 'create table users (id int); select pg_sleep(0.3)') })
    const finished = await Promise.all(Array.from({ length: 10 }, () => run(['migrate'], { cwd: dir, env })))
    expect(finished.map(({ code, stderr }) => (code === 0 ? 0 : stderr))).toEqual(Array(10).fill(0))
    expect(finished.filter(({ stdout }) => stdout.includes('run alembic upgrade head'))).toHaveLength(1)
    expect(await heads(sql)).toEqual(['aaa1'])
  }, 60_000)
})

/** A program that writes down its arguments and environment. */
const witness = '#!/bin/sh\nenv > env.txt; pwd > pwd.txt; for a in "$@"; do echo "$a"; done > args.txt\n'

async function script(dir: string, text: string, config: object = {}, args: string[] = []): Promise<void> {
  await writeFiles(dir, {
    'migrate.sh': text,
    'pgbosun.yaml': JSON.stringify({ ...config, migrate: { command: ['./migrate.sh', ...args] } }),
  })
  await chmod(join(dir, 'migrate.sh'), 0o755)
}

const environmentOf = async (dir: string) =>
  Object.fromEntries(
    (await readFile(join(dir, 'env.txt'), 'utf8'))
      .trim()
      .split('\n')
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  ) as Record<string, string>

describe('any other program', () => {
  test('gets the connection in its environment, and nothing of ours', async ({ dir, database }) => {
    await script(dir, witness, { database: { url: { env: 'PGBOSUN_SHOP' } } }, ['a b', '$HOME', '*'])
    const env = {
      PGBOSUN_DATABASE_URL: urlOf(database),
      PGBOSUN_WAIT_TIMEOUT: '10s',
      PGPORT: '1',
      PGPASSWORD: 'wrong',
      HOME: dir,
      OTHER: 'kept',
    }
    const { code, stderr } = await run(['migrate', '--log-level', 'silent', '--config', join(dir, 'pgbosun.yaml')], {
      cwd: '/',
      env,
    })
    expect(code, stderr).toBe(0)
    const seen = await environmentOf(dir)
    const { port, password } = server()
    expect(seen).toMatchObject({
      PGHOST: '127.0.0.1',
      PGPORT: String(port),
      PGUSER: 'postgres',
      PGDATABASE: database,
      PGPASSWORD: password,
      OTHER: 'kept',
      HOME: dir,
    })
    expect(seen.PGAPPNAME).toMatch(/^pgbosun [0-9a-f-]{36} command$/)
    expect(new URL(seen.DATABASE_URL!).pathname).toBe(`/${database}`)
    expect(decodeURIComponent(new URL(seen.DATABASE_URL!).password)).toBe(password)
    expect(Object.keys(seen).filter((name) => name.startsWith('PGBOSUN_'))).toEqual([])
    expect((await readFile(join(dir, 'pwd.txt'), 'utf8')).trim()).toBe(dir)
    expect((await readFile(join(dir, 'args.txt'), 'utf8')).trim().split('\n')).toEqual(['a b', '$HOME', '*'])
  })

  test('gets the settings of the URL in PGOPTIONS', async ({ dir, env }) => {
    await script(dir, witness)
    const options = encodeURIComponent('-c app.tenant=a\\ b --search-path=app,\\ public')
    const given = { DATABASE_URL: `${env.DATABASE_URL}?options=${options}&timezone=UTC` }
    expect(await runJson(['migrate'], { cwd: dir, env: given })).toMatchObject({ code: 0 })
    const { PGOPTIONS } = await environmentOf(dir)
    for (const setting of ['-c app.tenant=a\\ b', '-c timezone=UTC', '-c search_path=app,\\ public'])
      expect(PGOPTIONS).toContain(setting)
  })

  test('is run each time, and that counts as the change', async ({ dir, sql, env }) => {
    await script(dir, witness)
    const planned = await runJson(['plan', '--exit-code'], { cwd: dir, env })
    // all that is known is that the schema for the audit trail is missing
    expect(stepOf(planned.json)?.changes.map(({ object }) => object)).toEqual(['schema pgbosun'])
    expect(planned.json.warnings).toEqual([
      'what `./migrate.sh` would change is not known before it runs: it decides itself what is pending',
    ])
    for (const time of [1, 2]) {
      const { json, code } = await runJson(['up'], { cwd: dir, env })
      expect(code).toBe(0)
      expect(stepOf(json)?.changes.at(-1)).toEqual({
        action: 'run',
        object: './migrate.sh',
        reason: 'migrate.sh itself decides what is pending',
      })
      expect(await events(sql)).toHaveLength(2 * time)
    }
    const after = await runJson(['plan', '--exit-code'], { cwd: dir, env })
    expect([after.code, stepOf(after.json)?.changes]).toEqual([0, []])
  })

  test('has changed something only if alembic_version is different afterwards', async ({ dir, sql, env }) => {
    await sql`create table alembic_version (version_num varchar(32) primary key)`
    await sql`insert into alembic_version values ('aaa1')`
    await script(dir, `#!/bin/sh\npsql -qc "update alembic_version set version_num = 'bbb1'"\n`)
    const env2 = { ...env, PATH: `${server().binDir}:/usr/bin:/bin` }
    const first = await runJson(['migrate'], { cwd: dir, env: env2 })
    expect(first.code, first.stderr).toBe(0)
    expect(stepOf(first.json)?.changes.at(-1)).toEqual({
      action: 'run',
      object: './migrate.sh',
      reason: 'from aaa1 to bbb1',
    })
    const second = await runJson(['migrate'], { cwd: dir, env: env2 })
    expect(stepOf(second.json)).toMatchObject({ state: 'nothing', changes: [] })
  })

  test('that is not there is exit 2 before anything is changed', async ({ dir, sql, env }) => {
    for (const [command, message] of [
      ['no-such-program', 'the program no-such-program was not found'],
      ['./no-such-file', 'the program ./no-such-file was not found'],
    ] as const) {
      await writeFiles(dir, { 'pgbosun.yaml': JSON.stringify({ migrate: { command: [command, 'up'] } }) })
      for (const words of [['up'], ['plan'], ['migrate']])
        expect(await fails(words, { cwd: dir, env })).toMatchObject({ kind: 'usage', message })
      // commands that only read do not need it
      expect((await run(['check'], { cwd: dir, env })).code).toBe(0)
    }
    expect(await sql`select to_regnamespace('pgbosun') as state`).toEqual([{ state: null }])
    await script(dir, '#!/no/such/interpreter\n')
    expect(await fails(['up'], { cwd: dir, env })).toMatchObject({
      kind: 'migration',
      message: expect.stringContaining('migrate.sh could not be started'),
    })
  })

  test('cannot be used with --to, --steps and --fake', async ({ dir, env }) => {
    await script(dir, witness)
    for (const flags of [['--to', '1'], ['--steps', '1'], ['--fake']])
      expect(await fails(['migrate', ...flags], { cwd: dir, env })).toMatchObject({ kind: 'usage' })
    expect(existsSync(join(dir, 'env.txt'))).toBe(false)
  })

  test('that prints the password does not get it into the log', async ({ dir, database }) => {
    await script(dir, '#!/bin/sh\necho "$PGPASSWORD"; echo "url is $DATABASE_URL" >&2; exit 3\n')
    const failure = await fails(['migrate'], { cwd: dir, env: { DATABASE_URL: urlOf(database) } })
    expect(failure.message).toBe('./migrate.sh ended with code 3')
    expect(failure.stderr).toContain('***')
    const loud = await run(['migrate'], { cwd: dir, env: { DATABASE_URL: urlOf(database) } })
    expectNoSecret(loud)
  })

  test('is asked to end when we are, and the server ends what it had started', async ({ dir, sql, env }) => {
    await script(dir, `#!/bin/sh\ntrap 'echo bye > bye.txt; exit 1' TERM\npsql -qc "select pg_sleep(600)" &\nwait\n`)
    const started = start(['migrate'], { cwd: dir, env: { ...env, PATH: `${server().binDir}:/usr/bin:/bin` } })
    const sessions = () =>
      sql`select pid from pg_stat_activity where application_name like 'pgbosun % command' and datname = current_database() and state = 'active'`
    await until('the program works', async () => (await sessions()).length === 1)
    started.child.kill('SIGTERM')
    expect((await started.finished).code).toBe(143)
    expect(existsSync(join(dir, 'bye.txt'))).toBe(true)
    await until('its session is gone', async () => (await sessions()).length === 0)
    expect(await events(sql)).toEqual(['migrate started', 'migrate finished 143'])
  })

  test('a program whose lock is lost is ended: exit 10', async ({ dir, sql, env }) => {
    await script(dir, '#!/bin/sh\necho $$ > pid.txt\nexec sleep 600\n')
    const started = start(['migrate'], { cwd: dir, env })
    const pid = await until('the program works', async () =>
      existsSync(join(dir, 'pid.txt')) ? Number(await readFile(join(dir, 'pid.txt'), 'utf8')) : undefined,
    )
    const admin = open('postgres')
    const [holder] = await admin`
      select l.pid, pg_terminate_backend(l.pid) from pg_locks l join pg_stat_activity a using (pid)
       where l.locktype = 'advisory' and l.classid = 1885823599 and a.application_name like 'pgbosun %' and a.application_name in (
         select application_name from pg_stat_activity where datname = ${(await sql`select current_database() as name`)[0]!.name})`
    await admin.end()
    expect(holder).toBeDefined()
    const { code, stderr } = await started.finished
    expect(code, stderr).toBe(10)
    expect(() => process.kill(pid, 0)).toThrow('ESRCH')
  })

  test('whose pgbosun was killed does not run at the same time as the next one', async ({ dir, sql, env }) => {
    await script(dir, `#!/bin/sh\n[ -e once ] && exit 0\ntouch once\nexec psql -qc "select pg_sleep(600)"\n`)
    const withPsql = { ...env, PATH: `${server().binDir}:/usr/bin:/bin` }
    const killed = start(['migrate'], { cwd: dir, env: withPsql })
    const sessions = () =>
      sql`select pid from pg_stat_activity where application_name like 'pgbosun % command' and datname = current_database()`
    await until('the program works', async () => (await sessions()).length === 1)
    killed.child.kill('SIGKILL')
    await killed.finished
    await sleep(100)
    expect(await sessions()).toHaveLength(1)
    const second = await run(['migrate'], { cwd: dir, env: withPsql })
    expect(second.code, second.stderr).toBe(0)
    expect(second.stderr).toContain('ending the sessions of a program that a killed run left behind')
    await until('its session is gone', async () => (await sessions()).length === 0)
  }, 30_000)
})

const noTls = tlsMissing()
if (noTls !== undefined) console.warn(`NOT RUN: a program over TLS: ${noTls}`)

describe.skipIf(noTls !== undefined || !hasAlembic)('over TLS', () => {
  const encrypted =
    "do $$ begin if not (select ssl from pg_stat_ssl where pid = pg_backend_pid()) then raise 'not encrypted'; end if; end $$"

  test.for([
    ['psycopg2', 'postgresql'],
    ['asyncpg', 'postgresql+asyncpg'],
  ] as const)('%s gets the certificates, in the files that are configured', async ([driver, scheme], {
    dir,
    project,
  }) => {
    const tls = await startTlsServer()
    try {
      const command = [
        'sh',
        '-c',
        'cp "$PGSSLROOTCERT" seen.pem; echo "$PGSSLROOTCERT" > path.txt; exec alembic upgrade head',
      ]
      await project(
        { a: revision('aaa1', null, encrypted) },
        { migrate: { command }, database: { tls: { mode: 'verify-full', ca: tls.ca } } },
      )
      if (driver === 'asyncpg') await writeFiles(dir, { 'alembic/env.py': asyncEnvPy })
      const env = { DATABASE_URL: tls.url('localhost').replace('postgres:', `${scheme}:`) }
      const { code, stderr } = await run(['migrate'], { cwd: dir, env })
      expect(code, stderr).toBe(0)
      expect(await readFile(join(dir, 'seen.pem'), 'utf8')).toBe(await readFile(tls.ca, 'utf8'))
      expect((await readFile(join(dir, 'path.txt'), 'utf8')).trim()).toBe(tls.ca)
    } finally {
      await tls.remove()
    }
  })
})
