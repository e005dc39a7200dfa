import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { commandNames, commands } from '../src/cli/commands.ts'
import { exitsOf } from '../src/cli/help.ts'
import { exitCodes, type Kind } from '../src/errors.ts'
import { run, runJson } from './support/cli.ts'
import { clusterNames, expectNoSecret, fails, objectsOf } from './support/fails.ts'
import { open, test, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

describe('help and version', () => {
  test('pgbosun alone shows the help, as an error', async ({ dir }) => {
    const { code, stdout, stderr } = await run([], { cwd: dir })
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    const listed = stderr.split('\n').map((line) => line.trim().split(/ {2,}/))
    for (const name of commandNames) expect(listed).toContainEqual([name, commands[name]!.summary])
  })

  test('--help prints the same help, as a result', async ({ dir }) => {
    const alone = await run([], { cwd: dir })
    expect(await run(['--help'], { cwd: dir })).toMatchObject({ code: 0, stdout: alone.stderr, stderr: '' })
  })

  test('--version prints a version and nothing else', async ({ dir }) => {
    const { code, stdout, stderr } = await run(['--version'], { cwd: dir })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\S*\n$/)
  })

  test('--help of a command lists its own exit codes, in order, and its flags', async ({ dir }) => {
    const pages = commandNames.map(async (name) => ({
      name,
      ...(await run([...name.split(' '), '--help'], { cwd: dir })),
    }))
    for (const { name, code, stdout, stderr } of await Promise.all(pages)) {
      expect({ name, code, stderr }).toEqual({ name, code: 0, stderr: '' })
      const command = await commands[name]!.load()
      const { flags } = command
      expect(stdout.split('\n')[0], name).toBe(commands[name]!.summary)
      const expected = ['ok', 'failed', 'usage', ...Object.keys(exitsOf(command))].map(
        (kind) => exitCodes[kind as Kind],
      )
      const listed = [...(stdout.split('exit codes:\n')[1] ?? '').matchAll(/^ {2}(\d+) /gm)].map(([, number]) =>
        Number(number),
      )
      expect(listed, name).toEqual(expected.sort((a, b) => a - b))
      expect(stdout).toContain(`usage: pgbosun ${name}`)
      for (const flag of [...Object.keys(flags), 'json', 'config']) expect(stdout).toContain(`\n  --${flag} `)
    }
  })

  test('global flags may stand anywhere', async ({ dir }) => {
    await writeFiles(dir, { 'x.yaml': 'environment: blue' })
    const { json } = await runJson(['--config', 'x.yaml', 'config', '--log-level=error', 'show'], { cwd: dir })
    expect(json).toMatchObject({
      command: 'config show',
      config: { environment: 'blue' },
      origins: { environment: 'file' },
    })
  })
})

/** Command lines that work on any database that is ready. */
const lines = [
  ...['up', 'plan', 'wait', 'migrate', 'migrate up', 'migrate status', 'migrate verify'],
  ...['roles plan', 'roles apply', 'roles generate', 'seed', 'check', 'status', 'status --events'],
  ...['config show', 'config validate', 'config schema', 'migrate new add_email'],
]

/** `roles generate` reads all roles of the server, those of other tests too, and may warn about any of them. */
function warningsOf(name: string) {
  if (name === 'roles generate') return {}
  return {
    warnings: name === 'check' ? [expect.stringContaining('everybody may connect to the lock database')] : [],
  }
}

describe('on a database that is ready', () => {
  const ready = { 'pgbosun.yaml': 'check: { tables: [a] }', 'migrations/001_a.sql': 'create table a (id int)' }

  test('every command writes exactly one JSON document, and nothing to stderr', async ({ dir, database }) => {
    await writeFiles(dir, ready)
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(database) } }
    expect((await run(['up'], options)).code).toBe(0)
    for (const line of lines) {
      const { code, stdout, stderr, json } = await runJson([...line.split(' '), '--log-level', 'error'], options)
      const name = line.replace(/ (add_email|--events)$/, '')
      expect({ name, code, stderr }).toEqual({ name, code: 0, stderr: '' })
      expect(stdout).toMatch(/^\{.*\}\n$/)
      expect(json).toMatchObject({ command: name, ok: true, exit_code: 0, error: null, ...warningsOf(name) })
      expectNoSecret({ stdout, stderr })
    }
  })

  test('people get the result on stdout, and stderr only the log', async ({ dir, database }) => {
    await writeFiles(dir, ready)
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(database) } }
    const quiet = await run(['up', '--log-level', 'error'], options)
    expect({ code: quiet.code, stderr: quiet.stderr }).toEqual({ code: 0, stderr: '' })
    expect(quiet.stdout).toContain('apply migration 001_a')

    const loud = await run(['up', '--log-level', 'debug', '--log-format', 'json'], options)
    for (const line of loud.stderr.trim().split('\n').filter(Boolean)) expect(JSON.parse(line)).toHaveProperty('level')
    expect(loud.stdout).toMatch(/ready, nothing to do/)
  })
})

test('a bad configuration ends every command with one JSON document, and nothing is changed', async ({ dir }) => {
  await writeFiles(dir, { 'pgbosun.yaml': 'nonsense: true' })
  for (const line of ['up', 'plan', 'wait', 'migrate new x', 'roles apply', 'seed', 'status', 'config show']) {
    const failure = await fails(line.split(' '), { cwd: dir, env: { DATABASE_URL: urlOf('postgres') } })
    expect(failure).toMatchObject({
      code: 2,
      json: { command: line.replace(' x', '') },
      message: expect.stringContaining('nonsense: unknown key'),
    })
  }
  expect(await readdir(dir)).toEqual(['pgbosun.yaml'])
})

describe('config', () => {
  const files = {
    'pgbosun.yaml':
      'database: { url: { env: THE_URL } }\nbackup: { jitter: 90s, schedules: [{ name: a, schedule: "@daily", keep: { within: 2d } }] }\nusers: { app: { password: { env: APP_PW } }, ro: { password: { file: pw } } }',
    pw: 'geheim in a file',
  }
  const env = { THE_URL: 'postgres://me:geheim@db.example:5433/shop', APP_PW: 'geheim too', PGPASSWORD: 'geheim alone' }

  test.for(['show', 'validate'])('%s never prints a secret', async (name, { dir }) => {
    await writeFiles(dir, files)
    for (const args of [['--json'], ['--log-level', 'debug']]) {
      const finished = await run(['config', name, ...args], { cwd: dir, env })
      expect(finished.code, finished.stderr).toBe(0)
      expect(finished.stdout).toContain('pgbosun.yaml')
      expectNoSecret(finished)
    }
  })

  test('show prints where each value comes from', async ({ dir }) => {
    await writeFiles(dir, files)
    const { stdout } = await run(['config', 'show'], { cwd: dir, env: { ...env, PGBOSUN_WAIT_TIMEOUT: '90s' } })
    expect(stdout).toContain('connection  db.example:5433/shop as me')
    expect(stdout).toContain('wait.timeout: 90s  (PGBOSUN_WAIT_TIMEOUT)')
    expect(stdout).toContain('users.app.password.env: APP_PW  (file)')
    expect(stdout).toContain('lock.timeout: 10m  (default)')
    expect(stdout).toContain('backup.jitter: 90s  (file)')
    expect(stdout).toContain('"keep":{"within":"2d","last":0')
  })

  test('validate reads the secrets without connecting', async ({ dir }) => {
    await writeFiles(dir, { 'pgbosun.yaml': files['pgbosun.yaml'] })
    const failure = await fails(['config', 'validate'], { cwd: dir, env })
    expect(failure).toMatchObject({ code: 2, message: expect.stringContaining(`${join(dir, 'pw')} does not exist`) })
  })
})

describe('migrate new', () => {
  test('writes the next file and prints its path', async ({ dir }) => {
    await writeFiles(dir, { 'migrations/0007_a.sql': 'select 1' })
    const { code, stdout } = await run(['migrate', 'new', 'add email'], { cwd: dir })
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${join(dir, 'migrations/0008_add_email.sql')}\n` })
    expect(await readFile(stdout.trim(), 'utf8')).toBe('-- 0008_add_email\n\n')
  })

  test('reports why the folder cannot be written to', async ({ dir }) => {
    await writeFiles(dir, { 'no-folder': '' })
    const env = { PGBOSUN_MIGRATE_DIR: join(dir, 'no-folder', 'migrations') }
    const failure = await fails(['migrate', 'new', 'add'], { cwd: dir, env })
    expect(failure).toMatchObject({ code: 2, message: `${env.PGBOSUN_MIGRATE_DIR} is not a folder` })
  })

  test.for(['bad/name', 'ü', ''])('refuses the name "%s"', async (name, { dir }) => {
    const failure = await fails(['migrate', 'new', name], { cwd: dir })
    expect(failure).toMatchObject({ code: 2, message: `"${name}" cannot be the name of a migration` })
    expect(failure.hint).toContain('add_email_to_users')
    expect(await readdir(dir)).toEqual([])
  })
})

describe('--exit-code', () => {
  test('is 3 while something is pending, for plan and migrate status, and 0 after up', async ({ dir, database }) => {
    await writeFiles(dir, { 'migrations/001_a.sql': 'create table a ()', 'migrations/002_b.sql': 'create table b ()' })
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(database) } }
    const codes = async () => [
      (await run(['plan', '--exit-code'], options)).code,
      (await run(['migrate', 'status', '--exit-code'], options)).code,
      (await run(['plan'], options)).code,
    ]
    expect(await codes()).toEqual([3, 3, 0])
    expect((await runJson(['migrate', 'status'], options)).json).toMatchObject({
      applied: [],
      pending: ['001_a', '002_b'],
    })
    expect((await run(['up'], options)).code).toBe(0)
    expect(await codes()).toEqual([0, 0, 0])
    expect((await runJson(['migrate', 'status'], options)).json).toMatchObject({
      current_version: '002_b',
      pending: [],
    })
  })
})

describe('a dry run writes nothing', () => {
  const files = (name: string) => ({
    'pgbosun.yaml': `
      databases: { ${name}: { schemas: { ${name}_s: {} }, users: { ${name}_app: { preset: app, password: { env: PW } } } } }
      seeds: [{ file: seed.sql }]`,
    'migrations/001_a.sql': 'create table a (id int)',
    'seed.sql': 'insert into a values (1)',
  })

  test('on an empty server and in an existing database', async ({ dir }) => {
    const name = uniqueName('dry')
    await writeFiles(dir, files(name))
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(name), PW: 'geheim' } }
    const admin = open('postgres')
    const dry = async () => {
      const shown = await run(['up', '--dry-run', '--log-level', 'error'], options)
      expect({ code: shown.code, stderr: shown.stderr }).toEqual({ code: 0, stderr: '' })
      expect(await run(['plan', '--log-level', 'error'], options)).toMatchObject({ code: 0, stdout: shown.stdout })
      expectNoSecret(shown)
      return shown.stdout
    }
    expect(await dry()).toMatch(
      /create database .*\n(.*\n)*migrate .*\n.*schema pgbosun.*\n.*migration 001_a.*\n(.*\n)*seed +deferred/,
    )
    expect(await clusterNames(admin, name)).toEqual([])

    await admin.unsafe(`create database ${name}`)
    const sql = open(name)
    const planned = (await runJson(['plan'], options)).json.steps as { name: string; changes: unknown[] }[]
    expect(planned.find(({ name: step }) => step === 'ensure')?.changes).toContainEqual({
      action: 'create',
      object: `schema ${name}_s (database ${name})`,
      reason: 'does not exist',
    })
    expect(await dry()).not.toContain('create database')
    for (const command of ['migrate --dry-run', 'roles apply --dry-run', 'seed --dry-run'])
      expect((await run(command.split(' '), options)).code).toBe(0)
    expect(await objectsOf(sql)).toEqual([])
    expect(await clusterNames(admin, name)).toEqual([`database ${name}`])
    await Promise.all([admin.end(), sql.end()])
  })
})

describe('a command after --', () => {
  test('runs after a success and decides the exit code; after a failure it does not run', async ({ dir, database }) => {
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(database), MARK: 'yes' } }
    const good = await run(['wait', '--', 'sh', '-c', 'echo "$MARK $DATABASE_URL"; exit 7'], options)
    expect(good).toMatchObject({ code: 7, stdout: `yes ${urlOf(database)}\n` })

    const refused = { ...options, env: { DATABASE_URL: urlOf(database, { name: 'postgres', password: 'geheim' }) } }
    expect(await fails(['up', '--', 'sh', '-c', 'echo started'], refused)).toMatchObject({ code: 12 })
    const absent = await run(['up', '--json', '--', 'no-such-program'], options)
    expect(absent).toMatchObject({ code: 1, stderr: expect.stringContaining('error: the command no-such-program') })
    expect(JSON.parse(absent.stdout)).toMatchObject({ command: 'up', ok: true, exit_code: 0 })
  })
})
