import { chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { clusterNames, fails } from './support/fails.ts'
import { open, test, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

describe('a command line that is wrong is 2', () => {
  test.for<[string, string, string]>([
    ['up --dry-rnu', 'unknown flag --dry-rnu; did you mean --dry-run?', 'run `pgbosun up --help`'],
    ['up --nonsense', 'unknown flag --nonsense', 'run `pgbosun up --help`'],
    ['up -x', 'unknown flag -x', 'run `pgbosun up --help`'],
    ['--nonsense', 'unknown flag --nonsense', 'run `pgbosun --help`'],
    ['up --config', '--config needs a value', 'run `pgbosun up --help`'],
    ['up --dry-run=yes', '--dry-run takes no value', 'run `pgbosun up --help`'],
    ['upp', 'there is no command upp; did you mean up?', 'run `pgbosun --help`'],
    ['nonsense', 'there is no command nonsense', 'run `pgbosun --help`'],
    ['config', 'config needs a subcommand', 'use one of: config show, config validate, config schema'],
    [
      'config nonsense',
      'there is no command config nonsense',
      'use one of: config show, config validate, config schema',
    ],
    ['migrate stauts', 'there is no command migrate stauts; did you mean status?', 'use one of: migrate up, '],
    ['migrate new', 'migrate new needs NAME', 'run `pgbosun migrate new --help`'],
    ['migrate new one two', 'migrate new: unexpected argument two', 'run `pgbosun migrate new --help`'],
    ['up now', 'up: unexpected argument now', 'run `pgbosun up --help`'],
    ['plan -- echo', 'plan takes no command after --', 'run `pgbosun plan --help`'],
    ['up --log-level loud', 'there is no log level loud', 'use one of debug, info, warn, error, silent'],
    ['up --log-format xml', 'there is no log format xml', 'use json or pretty'],
  ])('%s', async ([line, message, hint], { dir }) => {
    const failure = await fails(line.split(' '), { cwd: dir })
    expect(failure).toMatchObject({ code: 2, kind: 'usage', message, hint: expect.stringContaining(hint) })
  })
})

describe('a configuration that is wrong is 2, and every problem is named', () => {
  test.for([
    ['pgbosun.yaml', `a: ${'['.repeat(20_000)}`],
    ['pgbosun.yaml', '- '.repeat(20_000)],
    ['pgbosun.json', `${'{"a":'.repeat(9_000)}1${'}'.repeat(9_000)}`],
  ] as const)('nested too deep: %s', async ([name, text], { dir }) => {
    await writeFiles(dir, { [name]: text })
    expect(await fails(['config', 'validate', '--config', name], { cwd: dir })).toMatchObject({
      code: 2,
      kind: 'usage',
    })
  })

  const database = (text: string) => `database: { url: { env: DATABASE_URL } }\n${text}`

  test.for<[string, string, string]>([
    ['an unknown key', 'databse: {}', 'databse: unknown key; did you mean database?'],
    ['a key in the wrong place', 'stores: {}', 'stores: unknown key'],
    ['a value that is none', 'manage: { privileges: exact }', 'manage.privileges: '],
    ['another format of migrations', 'migrate: { format: liquibase }', 'migrate.format: '],
    ['a number without a unit', 'wait: { timeout: 5 }', 'wait.timeout: write a number and a unit, like 30s or 6h'],
    [
      'a password as text',
      'users: { app: { password: geheim } }',
      'users.app.password: write a secret as { env: NAME }',
    ],
    ['a reserved role', 'roles: { pg_app: {} }', 'roles.pg_app: the name pg_app is reserved by PostgreSQL'],
    [
      'a role of 64 bytes',
      `roles: { ${'r'.repeat(64)}: {} }`,
      'the name has 64 bytes; PostgreSQL truncates names to 63',
    ],
    [
      'a user of 64 bytes',
      `users: { ${'ü'.repeat(32)}: {} }`,
      'the name has 64 bytes; PostgreSQL truncates names to 63',
    ],
    [
      'a database of 64 bytes',
      `databases: { ${'d'.repeat(64)}: {} }`,
      'the name has 64 bytes; PostgreSQL truncates names to 63',
    ],
    [
      'a schema of 64 bytes',
      `databases: { d: { schemas: { ${'s'.repeat(64)}: {} } } }`,
      'the name has 64 bytes; PostgreSQL truncates names to 63',
    ],
    [
      'an owner that gets too long',
      `databases: { ${'d'.repeat(60)}: { users: { a: { preset: app } } } }`,
      `its owner would be ${'d'.repeat(60)}_owner, which is not a valid name in PostgreSQL`,
    ],
    ['a role that nobody declared', 'users: { a: { memberOf: [b] } }', 'refers to the role b, which is not declared'],
  ])('%s', async ([, text, message], { dir }) => {
    await writeFiles(dir, { 'pgbosun.yaml': database(text) })
    const failure = await fails(['up'], { cwd: dir, env: { DATABASE_URL: urlOf('postgres') } })
    expect(failure).toMatchObject({ code: 2, kind: 'usage', message: expect.stringContaining(message) })
    expect(failure.hint.length).toBeGreaterThan(10)
  })

  test('several problems at once, with those of the environment', async ({ dir }) => {
    await writeFiles(dir, { 'pgbosun.yaml': 'wait: { timeuot: 1s }\nstores: {}\n' })
    const env = { PGBOSUN_LOCK_TIMOUT: '1s', DATABASE_URL: urlOf('postgres') }
    const failure = await fails(['up'], { cwd: dir, env })
    expect(failure).toMatchObject({ code: 2, file: join(dir, 'pgbosun.yaml') })
    expect(failure.message.split('\n').slice(1)).toEqual([
      '  PGBOSUN_LOCK_TIMOUT: unknown variable; did you mean PGBOSUN_LOCK_TIMEOUT?',
      '  wait.timeuot: unknown key; did you mean timeout?',
      '  stores: unknown key',
    ])
  })

  test.for([
    ['pgbosun.yaml', 'wait:\n  timeout: [1s\nlock: {}\n', { line: 3, column: 1 }],
    ['pgbosun.yaml', 'wait: {}\nwait: {}\n', { line: 2, column: 1 }],
    ['pgbosun.json', '{\n  "wait": {},\n}\n', { line: 3, column: 1 }],
  ] as const)('%s that cannot be read, with line and column', async ([file, text, place], { dir }) => {
    await writeFiles(dir, { [file]: text })
    const failure = await fails(['up'], { cwd: dir, env: { DATABASE_URL: urlOf('postgres') } })
    expect(failure).toMatchObject({ code: 2, file: join(dir, file), ...place })
    expect(failure.stderr).toContain(`${file}:${place.line}:${place.column}`)
  })

  test('a configuration file that is not there is 2', async ({ dir }) => {
    const failure = await fails(['up', '--config', 'no.yaml'], { cwd: dir })
    expect(failure).toMatchObject({ code: 2, message: expect.stringContaining('no.yaml does not exist') })
    expect(failure.hint).toContain('--config')
  })
})

describe('a secret that cannot be read is 2, before anything is touched', () => {
  const name = uniqueName('secret')
  const declared = `databases: { ${name}: { users: { ${name}_app: { preset: app, password: { file: pw/app } } } } }`
  const up = async (dir: string) => {
    await writeFiles(dir, { 'pgbosun.yaml': declared })
    const failure = await fails(['up'], { cwd: dir, env: { DATABASE_URL: urlOf(name) } })
    expect(failure).toMatchObject({ code: 2, kind: 'usage' })
    expect(failure.message).toContain(`the password of role ${name}_app: the file ${join(dir, 'pw/app')}`)
    const admin = open('postgres')
    expect(await clusterNames(admin, name)).toEqual([])
    await admin.end()
    return failure
  }

  test('a secret file that does not exist is named', async ({ dir }) => {
    expect(await up(dir)).toMatchObject({
      message: expect.stringContaining('does not exist'),
      hint: expect.stringContaining('check the path'),
    })
  })

  test('a secret file that is a folder is named', async ({ dir }) => {
    await mkdir(join(dir, 'pw/app'), { recursive: true })
    expect(await up(dir)).toMatchObject({
      message: expect.stringContaining('is a folder'),
      hint: expect.stringContaining('name the file in it'),
    })
  })

  test('a secret file that is empty is named', async ({ dir }) => {
    await writeFiles(dir, { 'pw/app': '\n' })
    expect(await up(dir)).toMatchObject({ message: expect.stringContaining('is empty') })
  })

  test.skipIf(process.getuid?.() === 0)('its mode forbids it', async ({ dir }) => {
    await writeFiles(dir, { 'pw/app': 'geheim' })
    await chmod(join(dir, 'pw/app'), 0)
    expect(await up(dir)).toMatchObject({ hint: expect.stringContaining('fsGroup') })
  })

  test('a variable of a secret that is not set is named', async ({ dir }) => {
    await writeFiles(dir, { 'pgbosun.yaml': declared.replace('file: pw/app', 'env: APP_PASSWORD') })
    const failure = await fails(['up'], { cwd: dir, env: { DATABASE_URL: urlOf(name) } })
    expect(failure).toMatchObject({
      code: 2,
      message: expect.stringContaining('the environment variable APP_PASSWORD is not set'),
    })
    expect(failure.hint).toContain('APP_PASSWORD_FILE')
  })

  test('the URL itself is in a file that does not exist', async ({ dir }) => {
    const failure = await fails(['up'], { cwd: dir, env: { PGBOSUN_DATABASE_URL_FILE: '/no/such/url' } })
    expect(failure).toMatchObject({ code: 2, message: 'database.url: the file /no/such/url does not exist' })
  })
})
