import { test as base, describe, expect } from 'vitest'
import { loadConfig } from '../src/config/load.ts'
import { resolveConnection } from '../src/config/resolve.ts'
import { test, writeFiles } from './support/postgres.ts'

const load = (cwd: string, env: Record<string, string> = {}, file?: string) => loadConfig({ env, cwd, file })

describe('the configuration', () => {
  test('fills in the defaults, and the environment wins over the file', async ({ dir }) => {
    await writeFiles(dir, { 'pgbosun.yaml': 'wait: { timeout: 30s }\nmigrate: { dir: db, lockTimeout: 1s }\n' })
    const { config, origins, baseDir } = await load(dir, {
      PGBOSUN_MIGRATE_LOCK_TIMEOUT: '2s',
      PGBOSUN_CHECK_TABLES: 'users, games',
    })
    expect(config).toMatchObject({
      wait: { timeout: 30_000 },
      migrate: { dir: 'db', lockTimeout: 2_000, ahead: 'warn' },
      check: { tables: ['users', 'games'] },
    })
    expect(Object.fromEntries(origins)).toEqual({
      'wait.timeout': 'file',
      'migrate.dir': 'file',
      'migrate.lockTimeout': 'PGBOSUN_MIGRATE_LOCK_TIMEOUT',
      'check.tables': 'PGBOSUN_CHECK_TABLES',
    })
    expect(baseDir).toBe(dir)
  })

  test('a variable has several folders with commas, unless a folder has that name', async ({ dir }) => {
    const dirOf = async (text: string) => (await load(dir, { PGBOSUN_MIGRATE_DIR: text })).config.migrate.dir
    expect(await dirOf('db')).toBe('db')
    expect(await dirOf(' db ')).toBe(' db ')
    expect(await dirOf('core, /srv/billing')).toEqual(['core', '/srv/billing'])
    await writeFiles(dir, { 'a,b/1_x.sql': '', 'a/2_x.sql': '', 'b/3_x.sql': '' })
    expect(await dirOf('a,b')).toBe('a,b')
    expect(await dirOf(`${dir}/a,b`)).toBe(`${dir}/a,b`)
    expect(await dirOf('./a,./b')).toEqual(['./a', './b'])
    expect(await dirOf('a,x/../b')).toEqual(['a', 'x/../b'])
    for (const text of ['core,', ',', 'core,,billing'])
      await expect(dirOf(text)).rejects.toMatchObject({
        kind: 'usage',
        message: expect.stringMatching(/migrate\.dir\.\d \(PGBOSUN_MIGRATE_DIR\): /),
      })
    await expect(dirOf('')).rejects.toMatchObject({
      kind: 'usage',
      message: expect.stringContaining('migrate.dir (PGBOSUN_MIGRATE_DIR): '),
    })
    await writeFiles(dir, { 'pgbosun.yaml': 'migrate: { dir: "x,y" }' })
    expect((await load(dir)).config.migrate.dir).toBe('x,y')
    await writeFiles(dir, { 'pgbosun.yaml': 'migrate: { dir: [] }' })
    await expect(load(dir)).rejects.toMatchObject({ kind: 'usage', message: expect.stringContaining('migrate.dir: ') })
  })

  test('reports all problems at once, each with its path and a suggestion', async ({ dir }) => {
    await writeFiles(dir, {
      'pgbosun.yaml':
        'wait: { timeuot: 30s }\nmigrat: {}\nlock: { timeout: 5 minutes }\ndatabase: { url: postgres://a:geheim@b/c }\n',
    })
    const error = await load(dir, { PGBOSUN_LOCK_TIMEOT: '1s' }).catch((caught) => caught)
    expect(error.kind).toBe('usage')
    expect(error.message.replace(dir, '')).toMatchInlineSnapshot(`
      "/pgbosun.yaml has 5 problems:
        PGBOSUN_LOCK_TIMEOT: unknown variable; did you mean PGBOSUN_LOCK_TIMEOUT?
        database.url: write { env: NAME } or { file: PATH }, which hold the URL, or as text a URL without a password
        wait.timeuot: unknown key; did you mean timeout?
        lock.timeout: write a number and a unit, like 30s or 6h
        migrat: unknown key; did you mean migrate?"
    `)
  })

  test.for([
    'backup: { encrypt: {} }',
    'stores: {}',
    'backup: { format: directory }',
  ])('refuses a key of a feature that is not built: %s', async (text, { dir }) => {
    await writeFiles(dir, { 'pgbosun.yaml': text })
    await expect(load(dir)).rejects.toMatchObject({ kind: 'usage' })
  })

  test('names line and column of broken YAML', async ({ dir }) => {
    await writeFiles(dir, { 'x.yaml': 'wait:\n  timeout: [1\nlock: {}\n' })
    await expect(load(dir, {}, 'x.yaml')).rejects.toMatchObject({ kind: 'usage', place: { line: 3 } })
  })

  test('says that a named file is not there', async ({ dir }) => {
    await expect(load(dir, {}, 'no.yaml')).rejects.toMatchObject({
      kind: 'usage',
      message: expect.stringContaining('no.yaml does not exist'),
    })
  })

  test('refuses names that PostgreSQL would cut', async ({ dir }) => {
    await writeFiles(dir, { 'pgbosun.json': JSON.stringify({ roles: { ['ü'.repeat(32)]: null } }) })
    await expect(load(dir)).rejects.toMatchObject({ kind: 'usage', message: expect.stringContaining('64 bytes') })
  })

  base.for(['https://status.example.org', 'status.example.org:443', '*.example.org', 'münchen.example', ''])(
    'refuses %j as a name in serve.hosts',
    async (name) => {
      await expect(load('/nowhere', { PGBOSUN_SERVE_HOSTS: `status.example.org,${name}` })).rejects.toMatchObject({
        kind: 'usage',
        message: expect.stringContaining(
          'serve.hosts.1 (PGBOSUN_SERVE_HOSTS): write a name like status.example.org, without',
        ),
      })
    },
  )

  base('ignores what only scripts of the project once read, and no more than that', async () => {
    const env = { PGBOSUN_IMAGE: 'pgbosun:1', PGBOSUN_CONTAINERS: '/c', PGBOSUN_TEST_BIN: '/b', PGBOSUN_TEST_SEED: '1' }
    await expect(load('/nowhere', env)).resolves.toMatchObject({ config: { environment: 'dev' } })
    for (const name of ['PGBOSUN_IMAGES', 'PGBOSUN_TESTS', 'PGBOSUN_TEST', 'PGBOSUN_MY_IMAGE'])
      await expect(load('/nowhere', { [name]: 'x' })).rejects.toMatchObject({ kind: 'usage' })
  })

  base('ignores what Kubernetes injects for a Service called pgbosun', async () => {
    const env = {
      PGBOSUN_SERVICE_HOST: '10.0.0.1',
      PGBOSUN_SERVICE_PORT: '8080',
      PGBOSUN_SERVICE_PORT_HTTP: '8080',
      PGBOSUN_PORT: 'tcp://10.0.0.1:8080',
      PGBOSUN_PORT_8080_TCP: 'tcp://10.0.0.1:8080',
      PGBOSUN_PORT_8080_TCP_PROTO: 'tcp',
    }
    await expect(load('/nowhere', env)).resolves.toMatchObject({ config: { environment: 'dev' } })
  })
})

describe('the connection', () => {
  const connect = async (env: Record<string, string>, cwd = '/nowhere') => {
    const { config, baseDir } = await load(cwd, env)
    return resolveConnection(config, env, baseDir)
  }

  base('comes whole from the first source that is set', async () => {
    const all = {
      PGBOSUN_DATABASE_URL: 'postgres://a@one/x',
      DATABASE_URL: 'postgres://b:pw@two/y',
      PGHOST: 'three',
      POSTGRES_HOST: 'four',
      PGPASSWORD: 'alone',
    }
    const { PGBOSUN_DATABASE_URL: _, ...second } = all
    const { DATABASE_URL: __, ...third } = second
    const { PGHOST: ___, ...fourth } = third
    const seen = await Promise.all([all, second, third, fourth].map((env) => connect(env as Record<string, string>)))
    expect(seen.map(({ endpoints, source }) => `${endpoints[0]?.host} from ${source}`)).toEqual([
      'one from database.url',
      'two from DATABASE_URL',
      'three from PGHOST',
      'four from POSTGRES_HOST',
    ])
    expect(seen.map(({ password }) => password())).toEqual(['alone', 'pw', 'alone', 'alone'])
  })

  test('reads a secret file again at every use, without its last newline', async ({ dir }) => {
    await writeFiles(dir, { pw: 'first\n' })
    const { password } = await connect({ PGHOST: 'h', PGPASSWORD_FILE: `${dir}/pw` })
    expect(password()).toBe('first')
    await writeFiles(dir, { pw: 'sec ond\n\n' })
    expect(password()).toBe('sec ond\n')
  })

  base('names the cause when a port is a Kubernetes service link', async () => {
    await expect(connect({ POSTGRES_HOST: 'h', POSTGRES_PORT: 'tcp://10.0.0.1:5432' })).rejects.toMatchObject({
      kind: 'usage',
      message: expect.stringContaining('enableServiceLinks'),
    })
  })

  base('says what to set when there is none', async () => {
    await expect(connect({})).rejects.toMatchObject({ kind: 'usage', hint: expect.stringContaining('DATABASE_URL') })
  })

  base('names an unreadable secret file', async () => {
    await expect(connect({ DATABASE_URL_FILE: '/no/such/file' })).rejects.toMatchObject({
      kind: 'usage',
      message: expect.stringContaining('/no/such/file'),
    })
  })
})
