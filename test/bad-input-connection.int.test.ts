import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { describe, expect } from 'vitest'
import { freePort } from '../scripts/server.ts'
import { run, runJson } from './support/cli.ts'
import { clusterNames, expectNoSecret, fails, objectsOf } from './support/fails.ts'
import { open, server, test, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

const migration = { 'migrations/001_a.sql': 'create table a (id int)' }
const wrong = { name: 'postgres', password: 'geheim' }

describe('no server', () => {
  test.for([
    'up',
    'plan',
    'wait',
    'migrate status',
    'roles plan',
    'status',
  ])('is 10 after wait.timeout: %s', async (command, { dir }) => {
    await writeFiles(dir, migration)
    const url = `postgres://app:geheim@127.0.0.1:${await freePort()}/shop`
    const env = { DATABASE_URL: url, PGBOSUN_WAIT_TIMEOUT: '300ms' }
    const failure = await fails(command.split(' '), { cwd: dir, env })
    expect(failure).toMatchObject({ code: 10, kind: 'unreachable', sqlstate: null })
    expect(failure.message).toMatch(
      /^127\.0\.0\.1:\d+\/shop did not accept work within 300ms: nothing is listening there$/,
    )
    expect(failure.hint).toContain('wait.timeout')
  })

  test('a server that is not there is named once while it is waited for', async ({ dir }) => {
    const env = { DATABASE_URL: `postgres://app@127.0.0.1:${await freePort()}/shop`, PGBOSUN_WAIT_TIMEOUT: '1s' }
    const { code, stdout, stderr } = await run(['up'], { cwd: dir, env })
    expect(stderr.match(/waiting for/g)).toHaveLength(1)
    expect({ code, stdout }).toEqual({ code: 10, stdout: '' })
  })

  test.for(['wait', 'up'])('is 10 at wait.timeout when somebody listens there and never answers: %s', async (command, {
    dir,
  }) => {
    const mute = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1')
    await once(mute, 'listening')
    const url = `postgres://app:geheim@127.0.0.1:${(mute.address() as AddressInfo).port}/shop`
    const startedAt = performance.now()
    const failure = await fails([command], { cwd: dir, env: { DATABASE_URL: url, PGBOSUN_WAIT_TIMEOUT: '1s' } })
    expect(performance.now() - startedAt).toBeLessThan(9_000)
    mute.close()
    expect(failure).toMatchObject({
      code: 10,
      kind: 'unreachable',
      message: expect.stringMatching(/did not accept work within 1s: no answer$/),
    })
  })

  test('is 10 for a name that nobody knows', async ({ dir }) => {
    const env = { DATABASE_URL: 'postgres://app:geheim@nowhere.invalid/shop', PGBOSUN_WAIT_TIMEOUT: '300ms' }
    const failure = await fails(['wait'], { cwd: dir, env })
    expect(failure).toMatchObject({
      code: 10,
      message: expect.stringContaining('the host name nowhere.invalid is not known'),
    })
  })
})

describe('refused credentials are 12 at once', () => {
  test('a wrong password is 12 at once', async ({ dir, database }) => {
    const startedAt = performance.now()
    const failure = await fails(['up'], { cwd: dir, env: { DATABASE_URL: urlOf(database, wrong) } })
    expect(performance.now() - startedAt).toBeLessThan(20_000)
    expect(failure).toMatchObject({ code: 12, kind: 'refused', sqlstate: '28P01' })
    expect(failure.message).toContain('the password of postgres was refused')
    expect(failure.hint).toMatch(/^check the user and the password in DATABASE_URL; /)
  })

  test('a user that does not exist is 12 at once', async ({ dir, database }) => {
    const url = urlOf(database, { name: 'nobody_here', password: 'geheim' })
    const failure = await fails(['up'], { cwd: dir, env: { DATABASE_URL: url } })
    expect(failure).toMatchObject({ code: 12, sqlstate: '28P01', message: expect.stringContaining('nobody_here') })
  })

  test('no password at all is 12 at once', async ({ dir, database }) => {
    const { port } = server()
    const env = { PGHOST: '127.0.0.1', PGPORT: String(port), PGUSER: 'postgres', PGDATABASE: database }
    const failure = await fails(['up'], { cwd: dir, env })
    expect(failure).toMatchObject({
      code: 12,
      message: expect.stringContaining('postgres needs a password, but none is given'),
    })
    expect(failure.hint).toMatch(/^set PGPASSWORD or PGPASSWORD_FILE; /)
  })

  test('the hint names where the user and the password are, or belong', async ({ dir, database }) => {
    const url = new URL(urlOf(database, wrong))
    const bare = new URL(url)
    bare.password = ''
    await writeFiles(dir, {
      url: url.href,
      wrong: 'geheim',
      'file.yaml': 'database: { url: { file: url } }',
      'env.yaml': 'database: { url: { env: SHOP_URL } }',
      'service.conf': `[shop]\nhost=127.0.0.1\nport=${url.port}\nuser=postgres\npassword=geheim\n`,
    })
    const libpq = { PGHOST: '127.0.0.1', PGPORT: url.port, PGUSER: 'postgres', PGDATABASE: database }
    const image = { POSTGRES_HOST: '127.0.0.1', POSTGRES_PORT: url.port, POSTGRES_DB: database }
    const cases: [Record<string, string>, string][] = [
      [{ DATABASE_URL_FILE: `${dir}/url` }, 'check the user and the password in DATABASE_URL_FILE'],
      [{ PGBOSUN_DATABASE_URL: url.href }, 'check the user and the password in PGBOSUN_DATABASE_URL'],
      [{ PGBOSUN_CONFIG: 'file.yaml' }, 'check the user and the password in the file url'],
      [{ PGBOSUN_CONFIG: 'env.yaml', SHOP_URL: url.href }, 'check the user and the password in SHOP_URL'],
      [
        { PGBOSUN_CONFIG: 'env.yaml', SHOP_URL: bare.href },
        'write it into SHOP_URL, or set PGPASSWORD or PGPASSWORD_FILE',
      ],
      [
        { DATABASE_URL: bare.href, PGPASSWORD_FILE: `${dir}/wrong` },
        'check the user in DATABASE_URL and the password in PGPASSWORD_FILE',
      ],
      [{ ...libpq, PGPASSWORD: 'geheim' }, 'check the user in PGUSER and the password in PGPASSWORD'],
      [
        { PGSERVICE: 'shop', PGSERVICEFILE: `${dir}/service.conf` },
        'check the user and the password in the service of PGSERVICE',
      ],
      [
        { ...image, POSTGRES_PASSWORD: 'geheim' },
        'check the user in POSTGRES_USER and the password in POSTGRES_PASSWORD',
      ],
      [
        { ...image, POSTGRES_PASSWORD_FILE: `${dir}/wrong` },
        'check the user in POSTGRES_USER and the password in POSTGRES_PASSWORD_FILE',
      ],
      [image, 'set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE'],
    ]
    for (const [env, hint] of cases) {
      const failure = await fails(['wait'], { cwd: dir, env })
      expect(failure).toMatchObject({ code: 12, sqlstate: '28P01' })
      expect(failure.hint.split('; ')[0], JSON.stringify(env)).toBe(hint)
    }
  })

  test('on this machine, the first start of a container is mentioned, unless it is waited for', async ({
    dir,
    database,
  }) => {
    const env = { DATABASE_URL: urlOf(database, wrong), PGBOSUN_WAIT_TIMEOUT: '1s' }
    expect((await fails(['wait'], { cwd: dir, env })).hint).toContain('`wait.patient: true` waits for them')
    const patient = await fails(['wait'], { cwd: dir, env: { ...env, PGBOSUN_WAIT_PATIENT: 'true' } })
    expect(patient.hint).not.toContain('wait.patient')
  })

  test('but wait.patient waits for them to be mended', async ({ dir, database }) => {
    const env = { DATABASE_URL: urlOf(database, wrong), PGBOSUN_WAIT_PATIENT: 'true', PGBOSUN_WAIT_TIMEOUT: '1500ms' }
    const { code, stderr } = await run(['wait'], { cwd: dir, env })
    expect(code).toBe(12)
    expect(stderr).toMatch(
      /waiting for .*: the password of postgres was refused.*\nerror: .*the password of postgres was refused/,
    )
    expectNoSecret({ stdout: '', stderr })
  })
})

describe('a connection limit', () => {
  test('of the role or of the database is told from a full server, with the statement that helps', async ({
    dir,
    database,
    sql,
  }) => {
    const role = uniqueName('limited')
    await sql.unsafe(
      `create role ${role} login password 'geheim' connection limit 0; grant create on database ${database} to ${role}`,
    )
    const env = { DATABASE_URL: urlOf(database, { name: role, password: 'geheim' }), PGBOSUN_WAIT_TIMEOUT: '1s' }
    const ofRole = await fails(['wait'], { cwd: dir, env })
    expect(ofRole).toMatchObject({ code: 10, sqlstate: '53300' })
    expect(ofRole.message).toContain(`the connection limit of the role ${role} is reached`)
    expect(ofRole.hint).toContain(`\`alter role "${role}" connection limit -1\``)

    await sql.unsafe(`alter role ${role} connection limit -1; alter database ${database} connection limit 0`)
    const ofDatabase = await fails(['wait'], { cwd: dir, env })
    expect(ofDatabase).toMatchObject({ code: 10, sqlstate: '53300' })
    expect(ofDatabase.message).toContain(`the connection limit of the database ${database} is reached`)
    expect(ofDatabase.hint).toContain(`\`alter database "${database}" connection limit -1\``)

    await sql.unsafe(`alter database ${database} connection limit -1; alter role ${role} connection limit 2`)
    await writeFiles(dir, migration)
    const during = await fails(['migrate'], { cwd: dir, env })
    expect(during).toMatchObject({ code: 10, kind: 'unreachable', sqlstate: '53300' })
    expect(during.hint).toContain('a run needs several connections at once: end other sessions of the role')
  })
})

describe('a database that does not exist', () => {
  test.for(['up', 'plan', 'migrate'])('is 12 when it is not declared: %s', async (command, { dir }) => {
    await writeFiles(dir, migration)
    const name = uniqueName('absent')
    const failure = await fails([command], { cwd: dir, env: { DATABASE_URL: urlOf(name) } })
    expect(failure).toMatchObject({
      code: 12,
      sqlstate: '3D000',
      message: expect.stringContaining(`"${name}" does not exist`),
    })
    expect(failure.hint).toMatch(/declare it under `databases`/)
    const admin = open('postgres')
    expect(await clusterNames(admin, name)).toEqual([])
    await admin.end()
  })

  test('is created by up when it is declared, after plan has shown it', async ({ dir }) => {
    const name = uniqueName('declared')
    await writeFiles(dir, { ...migration, 'pgbosun.yaml': `databases: { ${name}: { owner: ${name}_owner } }` })
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(name) } }
    const admin = open('postgres')

    const planned = await run(['plan', '--exit-code'], options)
    expect(planned.stdout).toContain(`create database ${name}`)
    expect(planned.code).toBe(3)
    expect(await clusterNames(admin, name)).toEqual([])

    expect((await run(['up'], options)).code).toBe(0)
    expect(await clusterNames(admin, name)).toEqual([`database ${name}`, `role ${name}_owner`])
    await admin.end()
  })
})

describe('the database of the locks', () => {
  test('a lock database that does not exist is 12', async ({ dir, database, sql }) => {
    await writeFiles(dir, migration)
    const env = { DATABASE_URL: urlOf(database), PGBOSUN_LOCK_DATABASE: 'no_locks' }
    const failure = await fails(['up'], { cwd: dir, env })
    expect(failure).toMatchObject({
      code: 12,
      sqlstate: '3D000',
      message: expect.stringContaining('the lock database no_locks'),
    })
    expect(failure.hint).toContain('set lock.database')
    expect(await objectsOf(sql)).toEqual([])
  })

  test('is 12 without access to it, and nothing is done without the lock', async ({ dir, database, sql }) => {
    await writeFiles(dir, migration)
    const [user, locks] = [uniqueName('u'), uniqueName('locks')]
    await sql.unsafe(`create role ${user} login password 'geheim'; grant all on database ${database} to ${user}`)
    await sql.unsafe(`create database ${locks}`)
    await sql.unsafe(`revoke connect on database ${locks} from public`)
    const url = urlOf(database, { name: user, password: 'geheim' })
    const failure = await fails(['migrate'], { cwd: dir, env: { DATABASE_URL: url, PGBOSUN_LOCK_DATABASE: locks } })
    expect(failure).toMatchObject({
      code: 12,
      sqlstate: '42501',
      message: expect.stringContaining(`the lock database ${locks}`),
    })
    expect(failure.hint).toContain('grant connect on it')
    expect(await objectsOf(sql)).toEqual([])
  })
})

test('a missing privilege is 12, not something unexpected', async ({ dir, database, sql }) => {
  await writeFiles(dir, migration)
  const user = uniqueName('u')
  await sql.unsafe(`create role ${user} login password 'geheim'`)
  const failure = await fails(['up'], {
    cwd: dir,
    env: { DATABASE_URL: urlOf(database, { name: user, password: 'geheim' }) },
  })
  expect(failure).toMatchObject({ code: 12, sqlstate: '42501', message: `permission denied for database ${database}` })
  expect(failure.hint).toContain('grant')
  expect(failure.json.steps).toContainEqual(expect.objectContaining({ name: 'migrate', state: 'failed' }))
  expect(await objectsOf(sql)).toEqual([])
})

test('whoever may not change roles is told what is lacking, and the statements, before anything is touched', async ({
  dir,
  database,
  sql,
}) => {
  const user = uniqueName('u')
  await writeFiles(dir, { 'pgbosun.yaml': `roles: { ${user}_new: {} }` })
  await sql.unsafe(`create role ${user} login password 'geheim'`)
  const failure = await fails(['up'], {
    cwd: dir,
    env: { DATABASE_URL: urlOf(database, { name: user, password: 'geheim' }) },
  })
  expect(failure).toMatchObject({ code: 12, message: expect.stringContaining(`${user} may not change roles`) })
  expect(failure.message).toContain(`it lacks CREATEROLE)\n  create role "${user}_new" nologin;`)
  expect(failure.hint).toContain('roles plan --for-admin')
  expect(await clusterNames(sql, user)).toEqual([`role ${user}`])
})

describe('a Kubernetes service link', () => {
  test('is ignored where it looks like one of our variables', async ({ dir, database }) => {
    const env = { DATABASE_URL: urlOf(database), PGBOSUN_PORT: 'tcp://10.0.0.1:8080', PGBOSUN_SERVICE_HOST: '10.0.0.1' }
    const { code, stderr } = await run(['wait', '--log-level', 'error'], { cwd: dir, env })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  })

  test.for<[string, Record<string, string>]>([
    ['POSTGRES_PORT', { POSTGRES_HOST: 'h', POSTGRES_PASSWORD: 'geheim', POSTGRES_PORT: 'tcp://10.0.0.1:5432' }],
    ['PGPORT', { PGHOST: 'h', PGPASSWORD: 'geheim', PGPORT: 'tcp://10.0.0.1:5432' }],
    ['DATABASE_URL', { DATABASE_URL: 'postgres://u:geheim@h:tcp://10.0.0.1:5432/shop' }],
    ['DATABASE_URL', { DATABASE_URL: 'postgres://u:geheim@tcp://10.0.0.1:5432/shop' }],
  ])('where a port is expected is 2, with its cause: %s', async ([name, env], { dir }) => {
    const failure = await fails(['up'], { cwd: dir, env })
    expect(failure).toMatchObject({ code: 2, kind: 'usage' })
    expect(failure.message).toMatch(new RegExp(`${name} is tcp://.*Kubernetes.*enableServiceLinks: false`))
  })
})

describe('a URL that is none is 2, and is not shown', () => {
  test.for([
    ['mysql://u:geheim@h/x', 'it must begin with postgres://'],
    ['postgres://u:ge#geheim@h/x', '# as %23'],
    ['postgres://u:100%geheim@h/x', '% as %25'],
    ['postgres://u:geheim@h:port/x', 'postgres://user:password@host:5432/database'],
    ['postgres://u:geheim@h/x?sslmode=maybe', 'verify-full'],
  ] as const)('%s', async ([url, hint], { dir }) => {
    const failure = await fails(['up'], { cwd: dir, env: { DATABASE_URL: url } })
    expect(failure).toMatchObject({ code: 2, kind: 'usage', message: expect.stringContaining('DATABASE_URL') })
    expect(failure.hint).toContain(hint)
  })

  test('with a hash as password is exit 2: nobody logs in with one', async ({ dir, database }) => {
    const { hostname, port } = new URL(urlOf(database))
    const url = `postgres://postgres:md5${'a'.repeat(32)}@${hostname}:${port}/${database}`
    expect(await fails(['up'], { cwd: dir, env: { DATABASE_URL: url } })).toMatchObject({ code: 2, kind: 'usage' })
  })

  test('with a password that was not escaped is exit 2 at once, and nothing of it is shown', {
    timeout: 240_000,
  }, async ({ dir }) => {
    const variables = [
      { DATABASE_URL: 'postgres://u:TopSecret/rest@127.0.0.1:1/db' },
      { DATABASE_URL: 'postgres://u:pa?TopSecret@127.0.0.1:1/db' },
      { DATABASE_URL: 'postgres://u:TopSecret/db' },
      { POSTGRES_HOST: 'postgres://u:TopSecret@127.0.0.1/db' },
      { PGDATABASE: 'postgres://u:TopSecret@127.0.0.1/db' },
      { DATABASE_URL_FILE: 'postgres://u:TopSecret@127.0.0.1/db' },
      { PGHOST: '127.0.0.1', PGPASSWORD_FILE: 'postgres://u:TopSecret@127.0.0.1/db' },
      { POSTGRES_HOST: '127.0.0.1', POSTGRES_PORT: 'TopSecret' },
    ]
    for (const env of variables)
      for (const args of [
        ['up'],
        ['wait'],
        ['plan'],
        ['config', 'show'],
        ['config', 'validate'],
        ['migrate', 'status'],
      ]) {
        const startedAt = performance.now()
        const { code, stdout, stderr } = await runJson(args, { cwd: dir, env })
        expect(`${stdout}${stderr}`, JSON.stringify([env, args])).not.toContain('TopSecret')
        expect([args, code]).toEqual([args, args[1] === 'show' ? 0 : 2])
        expect(performance.now() - startedAt).toBeLessThan(10_000)
      }
  })

  test.for([
    'PGBOSUN_DATABASE_URL_FILE',
    'PGBOSUN_DATABASE_TLS_CA',
    'PGBOSUN_BACKUP_URL_FILE',
  ])('where the path of a file is expected is exit 2, and is not shown by config show: %s', async (variable, {
    dir,
  }) => {
    const env = { [variable]: 'postgres://u:TopSecret@127.0.0.1/db' }
    for (const args of [['config', 'show'], ['wait']]) {
      const { code, stdout, stderr } = await runJson(args, { cwd: dir, env })
      expect(`${stdout}${stderr}`).not.toContain('TopSecret')
      expect(code).toBe(2)
    }
  })

  test('and none at all says what to set', async ({ dir }) => {
    const failure = await fails(['up'], { cwd: dir })
    expect(failure).toMatchObject({ code: 2, message: 'no database connection is configured' })
    expect(failure.hint).toContain('DATABASE_URL')
  })
})

describe('a URL as text in the configuration file', () => {
  test('works without a password, which comes from elsewhere, and is shown', async ({ dir, database }) => {
    const url = new URL(urlOf(database))
    const password = decodeURIComponent(url.password)
    url.password = ''
    await writeFiles(dir, {
      ...migration,
      'pgbosun.yaml': `database: { url: "${url.href}" }\nbackup: { url: "${url.href}" }`,
    })
    const options = { cwd: dir, env: { PGPASSWORD: password } }
    expect(await run(['up'], options)).toMatchObject({ code: 0 })
    const { stdout } = await run(['config', 'show'], options)
    expect(stdout).toContain(`database.url: ${url.href}  (file)\n`)
    const { config } = JSON.parse((await run(['config', 'show', '--json'], options)).stdout)
    expect([config.database.url, config.backup.url]).toEqual([url.href, url.href])

    const without = await fails(['up'], { cwd: dir })
    expect(without).toMatchObject({ code: 12, hint: expect.stringMatching(/^set PGPASSWORD or PGPASSWORD_FILE; /) })
    const wrongOne = await fails(['up'], { cwd: dir, env: { PGPASSWORD: 'geheim' } })
    expect(wrongOne.hint).toMatch(/^check the user in database.url and the password in PGPASSWORD; /)

    const env = { PGBOSUN_DATABASE_URL: urlOf(database), PGPASSWORD: 'geheim' }
    expect(await run(['wait'], { cwd: dir, env })).toMatchObject({ code: 0 })
  })

  test.for([
    'database.url',
    'database.directUrl',
    'migrate.url',
    'backup.url',
  ])('is 2 with a password in %s', async (key, { dir }) => {
    const [section, name] = key.split('.')
    for (const url of ['postgres://app:geheim@db/shop', 'postgres://db/shop?password=geheim']) {
      await writeFiles(dir, { 'pgbosun.yaml': `${section}: { ${name}: "${url}" }` })
      const failure = await fails(['config', 'validate'], { cwd: dir })
      expect(failure).toMatchObject({ code: 2, kind: 'usage' })
      expect(failure.message).toContain(`${key}: write { env: NAME } or { file: PATH }`)
      expectNoSecret({ stdout: JSON.stringify(failure.json), stderr: failure.stderr })
    }
  })
})
