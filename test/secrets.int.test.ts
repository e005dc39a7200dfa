import { chmodSync, existsSync, readFileSync } from 'node:fs'
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { freePort } from '../scripts/server.ts'
import { client } from './support/backup.ts'
import { run, runJson, start } from './support/cli.ts'
import { makeKey } from './support/keys.ts'
import { test as base, open, server, uniqueName, urlOf, writeFiles } from './support/postgres.ts'
import { makeCertificate, startTlsServer, tlsMissing } from './support/tls.ts'

type Answer = { status?: number; headers?: Record<string, string>; body: string; stall?: true }

/** A server of secrets: answers what it is told to, and knows who asked. */
type Vault = { url: string; answer: Answer; asked: { url: string; headers: IncomingHttpHeaders }[] }

type Secrets = {
  /** Path of a program that prints what is in the file `printed`, and notes each start with its arguments and environment. */
  program: string
  starts(): string[]
  vault: Vault
  /** A role with this password, and the URL of the database for it, without the password. */
  login(password: string): Promise<{ name: string; url: string }>
}

const listening = async (answering: Server, vault: Vault, scheme: string) => {
  await new Promise<void>((resolve) => answering.listen(0, '127.0.0.1', resolve))
  vault.url = `${scheme}://127.0.0.1:${(answering.address() as AddressInfo).port}`
}

const answers = (vault: Vault) => (request: IncomingMessage, response: ServerResponse) => {
  vault.asked.push({ url: request.url ?? '', headers: request.headers })
  const { status = 200, headers = {}, body, stall } = vault.answer
  if (stall) return
  response.writeHead(status, headers)
  response.end(body)
}

const test = base.extend<{ secrets: Secrets }>({
  secrets: async ({ dir, database, sql }, use) => {
    const vault: Vault = { url: '', answer: { body: '' }, asked: [] }
    const answering = createServer(answers(vault))
    await listening(answering, vault, 'http')
    const program = join(dir, 'give')
    await writeFiles(dir, {
      give: `#!/bin/sh\n{ echo "start $*"; env; } >>"${dir}/starts"\necho "token for stderr" >&2\ncat "${dir}/printed"\n`,
      starts: '',
    })
    chmodSync(program, 0o755)
    const names: string[] = []
    await use({
      program,
      starts: () =>
        readFileSync(join(dir, 'starts'), 'utf8')
          .split('\n')
          .filter((line) => line.startsWith('start ')),
      vault,
      async login(password) {
        const name = uniqueName('login')
        names.push(name)
        await sql.unsafe(`create role "${name}" superuser login password '${password}'`)
        return { name, url: `postgres://${name}@127.0.0.1:${server().port}/${database}` }
      },
    })
    answering.closeAllConnections()
    answering.close()
    for (const name of names) await sql.unsafe(`drop owned by "${name}"; drop role "${name}"`)
  },
})

const letsIn = async (database: string, name: string, password: string) => {
  const sql = open(database, { name, password })
  try {
    await sql`select 1`
    return true
  } catch (error) {
    if ((error as { code?: string }).code === '28P01') return false
    throw error
  } finally {
    await sql.end({ timeout: 1 })
  }
}

describe('a secret from a command', () => {
  test('is a password of a role, of the connection, and a whole URL', async ({ dir, database, secrets }) => {
    const app = uniqueName('app')
    const { url, name } = await secrets.login('of the connection')
    await writeFiles(dir, {
      url,
      printed: 'of the connection\n',
      'pgbosun.yaml': JSON.stringify({
        database: { url: { command: ['cat', 'url'] }, password: { command: [secrets.program, 'connection'] } },
        users: { [app]: { password: { command: ['printf', '%s\\n', 'of the role '] } } },
      }),
    })
    const up = await runJson(['up'], { cwd: dir })
    expect([up.code, up.json.error]).toEqual([0, null])
    expect(await letsIn(database, app, 'of the role ')).toBe(true)
    expect(secrets.starts()).toEqual(['start connection'])
    expect((await runJson(['up'], { cwd: dir })).json).toMatchObject({ exit_code: 0, error: null })
    expect(JSON.stringify(up) + name).not.toContain('of the connection')
  })

  test('ends together with the command that waits for it', async ({ dir, secrets }) => {
    const { url } = await secrets.login('pw')
    const hanging = { command: ['sh', '-c', 'echo $$ >pid; exec sleep 300'] }
    await writeFiles(dir, { 'pgbosun.yaml': JSON.stringify({ database: { password: hanging } }) })
    const { child, finished } = start(['wait'], { cwd: dir, env: { DATABASE_URL: url } })
    const file = join(dir, 'pid')
    while (!existsSync(file) || readFileSync(file, 'utf8') === '') await sleep(20)
    child.kill('SIGTERM')
    await finished
    const pid = readFileSync(file, 'utf8').trim()
    // whoever has adopted it may not have collected it yet
    const state = () => existsSync(`/proc/${pid}/stat`) && readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]![0]
    await expect.poll(state).toBeOneOf([false, 'Z'])
  })

  test('gets only a few variables, and those that are named', async ({ dir, secrets }) => {
    const { url } = await secrets.login('pw')
    await writeFiles(dir, {
      printed: 'pw',
      'pgbosun.yaml': JSON.stringify({
        database: { password: { command: [secrets.program, 'a b', '$HOME'], env: ['WANTED'] } },
      }),
    })
    const env = {
      DATABASE_URL: url,
      HOME: '/h',
      LANG: 'C',
      https_proxy: 'p',
      WANTED: 'w',
      AWS_SECRET: 'x',
      PGPASSWORD: 'y',
    }
    const waited = await run(['wait'], { cwd: dir, env })
    expect([waited.code, waited.stderr]).toEqual([0, expect.not.stringContaining('token for stderr')])
    const [start, ...given] = readFileSync(join(dir, 'starts'), 'utf8').trim().split('\n')
    expect(start).toBe('start a b $HOME')
    const names = given
      .map((line) => line.split('=')[0])
      .filter((name) => !['PWD', 'SHLVL', '_', 'OLDPWD'].includes(name!))
    expect(names.sort()).toEqual(['HOME', 'LANG', 'PATH', 'WANTED', 'https_proxy'])
  })

  test.for([
    [['false'], 'ended with exit code 1'],
    [['sh', '-c', 'echo geheim; exit 7'], 'the command sh ended with exit code 7'],
    [['/not/there', 'geheim'], 'the command /not/there could not be started (ENOENT)'],
    [['true'], 'gave an empty answer'],
    [['head', '-c', '70000', '/dev/zero'], 'printed more than 64 KiB'],
  ] as const)('that fails is named, but not what it said: %s', async ([command, problem], { dir }) => {
    await writeFiles(dir, { 'pgbosun.yaml': JSON.stringify({ database: { password: { command } } }) })
    const { code, json, stderr } = await runJson(['wait'], {
      cwd: dir,
      env: { DATABASE_URL: 'postgres://u@127.0.0.1:1/d' },
    })
    expect([code, json.error]).toMatchObject([2, { message: expect.stringContaining(problem) }])
    expect(JSON.stringify(json) + stderr).not.toContain('geheim')
  })

  test('that does not end is ended after 10 s, with everything it has started', async ({ dir }) => {
    const command = ['sh', '-c', `sleep 3119 & echo $! >${dir}/pid; wait`]
    await writeFiles(dir, { 'pgbosun.yaml': JSON.stringify({ database: { password: { command } } }) })
    const startedAt = Date.now()
    const { code, json } = await runJson(['wait'], { cwd: dir, env: { DATABASE_URL: 'postgres://u@127.0.0.1:1/d' } })
    expect([code, json.error?.message]).toEqual([2, expect.stringContaining('did not end within 10s')])
    expect(Date.now() - startedAt).toBeLessThan(30_000)
    const pid = Number(readFileSync(join(dir, 'pid'), 'utf8'))
    await expect.poll(() => isRunning(pid)).toBe(false)
  })

  test('is asked for once in its ttl, and again when the server refuses the answer', async ({
    dir,
    database,
    secrets,
    sql,
  }) => {
    const { url, name } = await secrets.login('first')
    const app = uniqueName('app')
    await writeFiles(dir, {
      printed: 'of yesterday',
      'migrations/1_t.sql': 'create table t ()',
      'pgbosun.yaml': JSON.stringify({
        database: { url, password: { command: ['sh', '-c', `${secrets.program}; echo first >${dir}/printed`] } },
        databases: { [database]: { users: { [app]: { preset: 'app' } } } },
      }),
    })
    const waiting = { cwd: dir, env: { PGBOSUN_WAIT_PATIENT: 'true' } }
    const up = await runJson(['up'], waiting)
    expect([up.code, up.json.error]).toEqual([0, null])
    expect(secrets.starts()).toHaveLength(2)
    await sql.unsafe(`alter role "${name}" password 'third'`)
    const refused = await runJson(['up'], { cwd: dir })
    expect([refused.code, refused.json.error]).toMatchObject([12, { sqlstate: '28P01' }])
    // what was asked for a moment ago is not asked for again
    expect(secrets.starts()).toHaveLength(3)
  })

  test('may bring another user, too, as a whole URL', async ({ dir, secrets }) => {
    const { url, name } = await secrets.login('pw')
    const [right, old] = [url.replace(name, `${name}:pw`), url.replace(name, 'of_yesterday:pw')]
    await writeFiles(dir, {
      printed: old,
      'pgbosun.yaml': JSON.stringify({
        database: { url: { command: ['sh', '-c', `${secrets.program}; echo '${right}' >${dir}/printed`] } },
        wait: { patient: true },
      }),
    })
    const waited = await runJson(['wait'], { cwd: dir })
    expect([waited.code, waited.json.error]).toEqual([0, null])
    expect(secrets.starts()).toHaveLength(2)
  })

  test.for([
    ['config show'],
    ['config validate'],
    ['config schema'],
    ['migrate new x'],
    ['healthcheck'],
  ])('is never asked for by %s', async ([command], { dir, secrets }) => {
    const source = { command: [secrets.program] }
    await writeFiles(dir, {
      'pgbosun.yaml': JSON.stringify({
        database: { url: source, password: source },
        users: { some: { password: source } },
        backup: { url: source, password: source, sign: { secret: source } },
        serve: { listen: '127.0.0.1:1', access: 'token', token: source },
      }),
    })
    const { code, stderr } = await run(command!.split(' '), { cwd: dir })
    expect([code, stderr]).toEqual([command === 'healthcheck' ? 1 : 0, expect.not.stringContaining('give: ')])
    expect(secrets.starts()).toEqual([])
  })

  test('cannot come from a variable', async ({ dir, secrets }) => {
    const env = {
      DATABASE_URL: urlOf('postgres'),
      PGBOSUN_DATABASE_PASSWORD: JSON.stringify({ command: [secrets.program] }),
    }
    await run(['wait'], { cwd: dir, env })
    expect(secrets.starts()).toEqual([])
  })
})

const isRunning = (pid: number) => {
  try {
    process.kill(pid, 0)
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

test.runIf(client)(
  'backups have all their secrets from commands: the URL, what signs, and what opens them',
  async ({ dir, database, secrets, sql }) => {
    const { name, url } = await secrets.login('of backups')
    const { recipient, path } = await makeKey(dir, 'key')
    await sql.unsafe('create table t as select 1 as id')
    await writeFiles(dir, {
      url: url.replace(name, `${name}:of%20backups`),
      'pgbosun.yaml': JSON.stringify({
        database: { url, password: { command: ['echo', 'of backups'] } },
        backup: {
          store: `file://${dir}/store`,
          url: { command: ['cat', 'url'] },
          sign: { secret: { command: ['echo', 'x'.repeat(40)] } },
          encrypt: { recipients: [recipient], identity: { command: ['cat', path] } },
        },
      }),
    })
    const made = await runJson(['backup'], { cwd: dir })
    expect([made.code, made.json.error]).toEqual([0, null])
    for (const line of [
      'backup list',
      'status',
      'backup verify latest',
      'backup keys check',
      `restore latest --into ${database}_copy --yes`,
    ]) {
      const { code, json } = await runJson(line.split(' '), { cwd: dir })
      expect([line, code, json.error]).toEqual([line, 0, null])
    }
    await sql.unsafe(`drop database "${database}_copy"`)
  },
)

test('serve asks for its token, but only for requests that bring one', async ({ dir, secrets }) => {
  const port = await freePort()
  const { url } = await secrets.login('pw')
  await writeFiles(dir, {
    printed: 'geheim-token',
    'pgbosun.yaml': JSON.stringify({
      database: { url, password: { command: ['echo', 'pw'] } },
      serve: { listen: `127.0.0.1:${port}`, access: 'token', token: { command: [secrets.program], ttl: '0s' } },
    }),
  })
  const serve = start(['serve'], { cwd: dir })
  const ask = async (token?: string) =>
    (
      await fetch(`http://127.0.0.1:${port}/status.json`, {
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      })
    ).status
  try {
    await expect.poll(() => ask().catch(() => 0)).toBe(401)
    const before = secrets.starts().length
    expect([await ask(), await ask('geheim-token'), await ask('wrong')]).toEqual([401, 200, 401])
    expect(secrets.starts().length - before).toBe(2)
    await writeFiles(dir, { printed: 'another' })
    expect([await ask('geheim-token'), await ask('another')]).toEqual([401, 200])
    await writeFiles(dir, { printed: '' })
    expect(await ask('another')).toBe(500)
  } finally {
    serve.child.kill('SIGTERM')
    const { code, stderr } = await serve.finished
    expect([code, stderr]).toEqual([0, expect.not.stringContaining('geheim')])
  }
})

describe('a secret from a server', () => {
  test('is in JSON, as an agent of Vault answers, with a header from a file', async ({ dir, secrets }) => {
    const { url } = await secrets.login('of vault')
    const { vault } = secrets
    vault.answer = { body: JSON.stringify({ data: { username: 'u', password: 'of vault' } }) }
    await writeFiles(dir, {
      token: 'geheim\n',
      'pgbosun.yaml': JSON.stringify({
        database: {
          url,
          password: {
            http: `${vault.url}/v1/database/creds/shop`,
            headers: { 'X-Vault-Request': 'true', 'X-Vault-Token': { file: 'token' } },
            json: 'data.password',
          },
        },
      }),
    })
    const waited = await runJson(['wait'], { cwd: dir })
    expect([waited.code, waited.json.error]).toEqual([0, null])
    expect(vault.asked).toEqual([
      {
        url: '/v1/database/creds/shop',
        headers: expect.objectContaining({ 'x-vault-request': 'true', 'x-vault-token': 'geheim' }),
      },
    ])
  })

  test('is a token, as the metadata server of a cloud answers', async ({ dir, secrets }) => {
    const { url } = await secrets.login('ya29.token')
    const { vault } = secrets
    vault.answer = { body: JSON.stringify({ access_token: 'ya29.token', expires_in: 3599, token_type: 'Bearer' }) }
    await writeFiles(dir, {
      'pgbosun.yaml': JSON.stringify({
        database: {
          url,
          password: {
            http: `${vault.url}/token`,
            headers: { 'Metadata-Flavor': 'Google' },
            json: 'access_token',
            ttl: '0s',
          },
        },
      }),
    })
    expect((await run(['wait'], { cwd: dir })).code).toBe(0)
    expect(vault.asked[0]!.headers).toMatchObject({ 'metadata-flavor': 'Google' })
  })

  test.for<[string, Answer, string]>([
    ['a redirect', { status: 302, headers: { location: 'http://127.0.0.1:1/' }, body: '' }, 'answered 302'],
    ['an error', { status: 503, body: 'geheim' }, 'answered 503'],
    ['no JSON', { body: 'geheim' }, 'without a text at data.password'],
    ['something else in JSON', { body: '{"data":{"password":{"geheim":1}}}' }, 'without a text at data.password'],
    ['too much', { body: 'geheim'.repeat(20_000) }, 'more than 64 KiB'],
    ['nothing, for 10 s', { body: '', stall: true }, 'did not answer within 10s'],
  ])('that answers with %s is named, but not what it said', async ([, answer, problem], {
    dir,
    secrets: { vault },
  }) => {
    vault.answer = answer
    await writeFiles(dir, {
      'pgbosun.yaml': JSON.stringify({
        database: { url: { http: `${vault.url}/x?token=geheim`, json: 'data.password' } },
      }),
    })
    const { code, json, stderr } = await runJson(['wait'], { cwd: dir })
    expect([code, json.error]).toMatchObject([2, { message: expect.stringContaining(problem) }])
    expect(JSON.stringify(json) + stderr).not.toContain('geheim')
    expect(vault.asked).toHaveLength(1)
  })

  test('elsewhere is asked over TLS only, with a certificate that the system trusts', async ({
    dir,
    secrets,
    skip,
  }) => {
    const missing = tlsMissing()
    if (missing) {
      console.warn(`SKIPPED, a secret over TLS: ${missing}`)
      skip()
    }
    const { url } = await secrets.login('over TLS')
    const { key, certificate } = makeCertificate(dir, 'localhost')
    const vault: Vault = { url: '', answer: { body: 'over TLS\n' }, asked: [] }
    const answering = createTlsServer({ cert: readFileSync(certificate), key: readFileSync(key) }, answers(vault))
    await listening(answering as unknown as Server, vault, 'https')
    try {
      await writeFiles(dir, {
        'pgbosun.yaml': JSON.stringify({
          database: { url, password: { http: vault.url.replace('127.0.0.1', 'localhost') } },
        }),
      })
      const trusted = await runJson(['wait'], { cwd: dir, env: { SSL_CERT_FILE: certificate } })
      expect([trusted.code, trusted.json.error]).toEqual([0, null])
      const unknown = await runJson(['wait'], { cwd: dir })
      expect([unknown.code, unknown.json.error?.message]).toEqual([2, expect.stringContaining('could not be asked')])
      expect(vault.asked).toHaveLength(1)
    } finally {
      answering.close()
    }
  })

  test.for([
    ['http://vault.example.org/x'],
    ['http://metadata.google.internal/x'],
    ['http://10.0.0.1/x'],
    ['https://user:geheim@vault.example.org/'],
    ['ftp://127.0.0.1/x'],
  ])('is not asked for at %s', async ([http], { dir }) => {
    await writeFiles(dir, { 'pgbosun.yaml': JSON.stringify({ database: { password: { http } } }) })
    const { code, stdout, stderr } = await run(['config', 'validate'], {
      cwd: dir,
      env: { DATABASE_URL: urlOf('postgres') },
    })
    expect([code, stdout + stderr]).toEqual([2, expect.stringContaining('link-local')])
    expect(stdout + stderr).not.toContain('geheim')
  })

  test('has no token as text in its headers', async ({ dir }) => {
    const headers = { 'X-Vault-Token': 'geheim' }
    await writeFiles(dir, {
      'pgbosun.yaml': JSON.stringify({ database: { password: { http: 'https://v.example.org', headers } } }),
    })
    const { code, stdout, stderr } = await run(['config', 'validate'], { cwd: dir })
    expect([code, stdout + stderr]).toEqual([2, expect.stringContaining('is written as { env: NAME }')])
    expect(stdout + stderr).not.toContain('geheim')
  })
})

describe('a token of AWS', () => {
  const password = { awsRds: { region: 'eu-central-1' } }
  const AWS = { AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE', AWS_SECRET_ACCESS_KEY: 'geheim' }

  test('is signed and sent over TLS: a server that is not in RDS refuses it', async ({ dir, skip }) => {
    const missing = tlsMissing()
    if (missing) {
      console.warn(`SKIPPED, a token of AWS: ${missing}`)
      skip()
    }
    const tls = await startTlsServer()
    try {
      await writeFiles(dir, { 'pgbosun.yaml': JSON.stringify({ database: { password } }) })
      const url = new URL(tls.url('localhost', `?sslmode=verify-full&sslrootcert=${tls.ca}`))
      url.password = ''
      const { code, json, stderr } = await runJson(['wait'], { cwd: dir, env: { ...AWS, DATABASE_URL: String(url) } })
      expect([code, json.error]).toMatchObject([
        12,
        { sqlstate: '28P01', hint: expect.stringContaining('the password in database.password') },
      ])
      expect(JSON.stringify(json) + stderr).not.toMatch(/geheim|X-Amz/)
    } finally {
      await tls.remove()
    }
  })

  test.for([
    ['?sslmode=disable', AWS, 'over TLS, but sslmode is disable'],
    ['', AWS, 'over TLS, but sslmode is prefer'],
    ['?sslmode=require', { AWS_EC2_METADATA_DISABLED: 'true', HOME: '/nonexistent' }, 'no token could be signed'],
  ] as const)('is 2 where it cannot be had or must not be sent: %s', async ([query, env, problem], { dir }) => {
    await writeFiles(dir, { 'pgbosun.yaml': JSON.stringify({ database: { password } }) })
    const DATABASE_URL = `postgres://u@127.0.0.1:1/d${query}`
    const { code, json } = await runJson(['wait'], { cwd: dir, env: { ...env, DATABASE_URL } })
    expect([code, json.error?.message]).toEqual([2, expect.stringContaining(problem)])
  })
})
