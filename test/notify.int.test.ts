import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { freePort } from '../scripts/server.ts'
import { client } from './support/backup.ts'
import { run, runJson, type Started, start } from './support/cli.ts'
import { test as base, urlOf, writeFiles } from './support/postgres.ts'
import { makeCertificate } from './support/tls.ts'

type Received = { path: string; headers: IncomingHttpHeaders; body: string; atMs: number }
type Answer = (request: IncomingMessage, response: ServerResponse) => void

type World = {
  /** What the receiver was sent, in its order. */
  received: Received[]
  url(path: string): string
  /** How it answers from now on. */
  answer(answer: Answer): void
  env: Record<string, string>
  serve(): Promise<Started>
  until(what: string, look: () => boolean, timeoutMs?: number): Promise<void>
}

const ok: Answer = (_, response) => response.end('ok')
const status =
  (code: number, headers = {}): Answer =>
  (_, response) =>
    response.writeHead(code, headers).end()

/** A real receiver of HTTP, and processes that are ended after each test. */
const test = base.extend<{ world: World }>({
  world: async ({ dir, database }, use) => {
    const received: Received[] = []
    let answer: Answer = ok
    const server = createServer((request, response) => {
      let body = ''
      request.on('data', (chunk) => {
        body += chunk
      })
      request.on('end', () => {
        received.push({ path: request.url!, headers: request.headers, body, atMs: performance.now() })
        answer(request, response)
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const url = (path: string) => `http://127.0.0.1:${port}${path}`
    const env = { DATABASE_URL: urlOf(database), TARGET: url('/topsecret') }
    const started: Started[] = []
    await use({
      ...{ received, url, env },
      answer(next) {
        answer = next
      },
      async serve() {
        const variables = { ...env, PGBOSUN_SERVE_LISTEN: `127.0.0.1:${await freePort()}` }
        const child = start(['serve'], { cwd: dir, env: variables })
        started.push(child)
        return child
      },
      async until(what, look, timeoutMs = 20_000) {
        for (const deadline = Date.now() + timeoutMs; !look(); await new Promise((resolve) => setTimeout(resolve, 50)))
          if (Date.now() > deadline)
            throw new Error(
              `not within ${timeoutMs} ms: ${what}; received ${JSON.stringify(received.map(({ path, body }) => [path, body]))}`,
            )
      },
    })
    for (const child of started) child.child.kill('SIGKILL')
    await Promise.all(started.map(({ finished }) => finished))
    server.closeAllConnections()
    server.close()
  },
})

const documents = (received: Received[]) => received.map(({ body }) => JSON.parse(body) as Record<string, string>)
const events = (received: Received[]) => documents(received).map(({ event, name }) => `${event} ${name}`)

describe('notify test', () => {
  test('sends one message of each kind to each target', async ({ dir, world: { env, url, received } }) => {
    await writeFiles(dir, {
      'pgbosun.yaml': `notify:
  - { as: healthchecks, url: { env: TARGET } }
  - { as: slack, name: team, url: { file: slack-url }, on: [opened] }
  - { as: telegram, url: { env: TELEGRAM } }
  - { as: ntfy, url: { env: TARGET }, on: [opened], headers: { Authorization: { env: NTFY_TOKEN } }, name: ntfy }
  - { as: json, url: "${url('/plain')}", on: [resolved], sign: { env: HMAC }, headers: { X-Team: shop } }
`,
      'slack-url': `${url('/services/T0/B0')}\n`,
    })
    const variables = {
      ...env,
      TELEGRAM: `${url('/botX/sendMessage')}?chat_id=-7`,
      HMAC: 'h'.repeat(32),
      NTFY_TOKEN: 'Bearer tk',
    }
    const { code, stdout, stderr } = await run(['notify', 'test'], { cwd: dir, env: variables })
    expect(code, stderr).toBe(0)
    expect(stdout).toMatch(/^notify {2}healthchecks-[0-9a-f]{8} {2}start {2}received$/m)
    expect(stdout + stderr).not.toMatch(/topsecret|services|botX|127\.0\.0\.1/)
    const paths = received.map(({ path }) => path.replace(/rid=.*/, 'rid'))
    expect(paths).toEqual([
      ...['/topsecret/start?rid', '/topsecret?rid', '/services/T0/B0'],
      ...Array(3).fill('/botX/sendMessage?chat_id=-7'),
      ...['/topsecret', '/plain'],
    ])
    const [start, success, slack, telegram, , , ntfy, json] = received
    expect(start!.path.split('=')[1]).toBe(success!.path.split('=')[1])
    expect(JSON.parse(slack!.body)).toEqual({ text: expect.stringContaining('this is a test') })
    expect(JSON.parse(telegram!.body)).toMatchObject({ chat_id: '-7' })
    expect(ntfy!.headers).toMatchObject({ authorization: 'Bearer tk', title: 'pgbosun: PROBLEM notify-failing' })
    expect(json!.headers).toMatchObject({ 'x-team': 'shop', 'content-type': 'application/json; charset=utf-8' })
    const [t, v1] = /^t=(\d+),v1=(\w+)$/.exec(String(json!.headers['pgbosun-signature']))!.slice(1)
    expect(v1).toBe(createHmac('sha256', 'h'.repeat(32)).update(`${t}.${json!.body}`).digest('hex'))
  })

  test.for<[string, Answer, RegExp]>([
    ['an error', status(500), /it answered 500/],
    ['not found', status(404), /it answered 404/],
    ['a redirect', status(302, { location: '/elsewhere' }), /it answered 302/],
    ['a reset', (request) => request.socket.resetAndDestroy(), /could not be reached \(ECONNRESET\)/],
    ['nothing', () => {}, /no answer within 10 s/],
  ])('is exit 1 when a target answers with %s', { timeout: 40_000 }, async ([, answer, why], { dir, world }) => {
    const { env, received } = world
    world.answer(answer)
    await writeFiles(dir, {
      'pgbosun.yaml': 'notify: [{ as: slack, name: team, url: { env: TARGET }, on: [opened] }]\n',
    })
    const { code, json, stderr } = await runJson(['notify', 'test'], { cwd: dir, env })
    expect(code, stderr).toBe(1)
    expect(json).toMatchObject({ sent: [{ target: 'team', what: 'opened', problem: expect.stringMatching(why) }] })
    expect(received.map(({ path }) => path)).toEqual(['/topsecret'])
    expect(JSON.stringify(json) + stderr).not.toContain('topsecret')
  })

  test('goes through the proxy of the environment, but not where NO_PROXY says so', async ({ dir, world }) => {
    const { env, url, received } = world
    await writeFiles(dir, { 'pgbosun.yaml': 'notify: [{ as: slack, url: { env: FAR }, on: [opened] }]\n' })
    const far = { ...env, FAR: 'http://hooks.invalid/x', HTTP_PROXY: url('/') }
    expect((await run(['notify', 'test'], { cwd: dir, env: far })).code).toBe(0)
    expect(received.map(({ path }) => path)).toEqual(['http://hooks.invalid/x'])
    const { code, stdout } = await run(['notify', 'test'], { cwd: dir, env: { ...far, NO_PROXY: 'hooks.invalid' } })
    expect([code, stdout]).toEqual([1, expect.stringContaining('could not be reached (')])
    expect(received).toHaveLength(1)
  })

  test('trusts the authorities of `ca`, and no others', async ({ dir }) => {
    const { key, certificate } = makeCertificate(dir, 'localhost')
    const server = createTlsServer({ key: readFileSync(key), cert: readFileSync(certificate) }, (_, response) =>
      response.end(),
    )
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    try {
      const env = { TARGET: `https://localhost:${(server.address() as AddressInfo).port}/x` }
      const target = (more: string) =>
        writeFiles(dir, { 'pgbosun.yaml': `notify: [{ as: slack, url: { env: TARGET }, on: [opened]${more} }]\n` })
      await target('')
      const { code, stdout } = await run(['notify', 'test'], { cwd: dir, env })
      expect([code, stdout]).toEqual([1, expect.stringMatching(/could not be reached \((DEPTH_ZERO_)?SELF_SIGNED/)])
      await target(', ca: localhost.crt')
      const trusted = await run(['notify', 'test'], { cwd: dir, env })
      expect([trusted.code, trusted.stderr]).toEqual([0, ''])
    } finally {
      server.closeAllConnections()
      server.close()
    }
  })

  test('refuses what makes no sense, and a URL with a secret in the file', async ({ dir, world: { env } }) => {
    for (const [notify, problem] of [
      ['{ as: slack, url: "https://hooks.example.org/x?token=abcdef" }', /notify\.0\.url: write \{ env: NAME \}/],
      ['{ as: slack, url: "https://user:hunter2@example.org/x" }', /notify\.0\.url/],
      ['{ as: healthchecks, url: { env: TARGET }, on: [opened] }', /notify\.0\.on: .*use `for`/],
      ['{ as: slack, url: { env: TARGET }, sign: { env: TARGET } }', /only `json` is signed/],
      ['{ as: slack, url: { env: A } }, { as: slack, url: { env: A } }', /two targets of notify are called slack-/],
      ['{ as: pigeon, url: { env: TARGET } }', /notify\.0\.as/],
      ['{ as: slack, url: { env: TARGET }, ca: /nowhere.pem }', /notify\[0\]\.ca/],
    ] as const) {
      await writeFiles(dir, { 'pgbosun.yaml': `notify: [${notify}]\n` })
      const { code, stderr } = await run(['notify', 'test'], { cwd: dir, env })
      expect([code, stderr], notify).toEqual([2, expect.stringMatching(problem)])
      expect(stderr).not.toMatch(/abcdef|hunter2/)
    }
  })
})

describe('a command that ends', () => {
  const notify = (more = '') => `notify:
  - { as: healthchecks, url: { env: TARGET }, for: [up, backup] }
  - { as: json, name: program, url: { env: DOCUMENTS }${more} }
  - { as: slack, url: { env: SLACK } }
`

  test.for([false, true])('tells of `up` after its result, with details: %s', async (details, { dir, world }) => {
    const { env: some, url, received } = world
    const env = { ...some, DOCUMENTS: url('/documents'), SLACK: url('/slack') }
    await writeFiles(dir, {
      'pgbosun.yaml': notify(`, details: ${details}`),
      'migrations/001_a.sql': 'create table a (n int primary key);\ninsert into a values (1);\n',
    })
    expect((await run(['up'], { cwd: dir, env })).code).toBe(0)
    expect(received.map(({ path }) => path.replace(/\?.*/, ''))).toEqual(['/topsecret/start', '/topsecret'])
    received.length = 0
    await writeFiles(dir, { 'migrations/002_b.sql': 'insert into a values (1) -- hunter2\n;' })
    const { code, json } = await runJson(['up'], { cwd: dir, env })
    expect([code, json.error?.kind]).toEqual([20, 'migration'])
    expect(received.map(({ path }) => path.replace(/\?.*/, '')).sort()).toEqual([
      '/documents',
      '/topsecret/fail',
      '/topsecret/start',
    ])
    const [document] = documents(received.filter(({ path }) => path === '/documents'))
    expect(document).toMatchObject({ event: 'opened', name: 'up-failed', severity: 'error' })
    expect(document!.message).toContain('002_b')
    expect([/Key \(n\)=\(1\)/.test(document!.message!), document!.message!.includes('hunter2')]).toEqual([
      details,
      details,
    ])
    const { body } = received.find(({ path }) => path.startsWith('/topsecret/fail'))!
    expect(body).toMatch(/^pgbosun up: exit 20: /)
    expect(body).not.toMatch(/Key \(n\)|hunter2/)
  })

  test('tells a chat that wants it, once an hour where the store can note it', { timeout: 60_000 }, async ({
    dir,
    world,
  }) => {
    const { env, url, received } = world
    await writeFiles(dir, {
      'migrations/001_broken.sql': 'create table broken(;',
      'pgbosun.yaml': JSON.stringify({
        backup: { store: `file://${dir}/store` },
        notify: [
          { as: 'slack', name: 'team', url: { env: 'TEAM' }, oneShot: true },
          { as: 'slack', name: 'others', url: { env: 'OTHERS' } },
        ],
      }),
    })
    const variables = { ...env, TEAM: url('/team'), OTHERS: url('/others') }
    const up = () => run(['up'], { cwd: dir, env: variables })
    expect((await up()).code).toBe(20)
    expect((await up()).code).toBe(20)
    // no backup was ever made: nobody writes into an empty store
    expect(received.map(({ path }) => path)).toEqual(['/team', '/team'])
    expect(received[0]!.body).toContain('PROBLEM up-failed')
    await writeFiles(dir, { 'store/pgbosun-store.json': '{}' })
    for (let i = 0; i < 2; i++) expect((await up()).code).toBe(20)
    expect(received).toHaveLength(3)
  })

  test('takes at most ten seconds more for those who do not answer, and its exit code stays', {
    timeout: 40_000,
  }, async ({ dir, world }) => {
    const { env: some, url, received, answer } = world
    answer(() => {})
    await writeFiles(dir, { 'pgbosun.yaml': notify() })
    const env = {
      ...some,
      DOCUMENTS: url('/documents'),
      SLACK: url('/slack'),
      DATABASE_URL: some.DATABASE_URL!.replace(/:[^:@/]+@/, ':wrong@'),
    }
    const startedAt = performance.now()
    const child = start(['up', '--json'], { cwd: dir, env })
    let out = ''
    child.child.stdout!.on('data', (chunk) => {
      out += chunk
    })
    await world.until('the result is there', () => out.includes('exit_code'))
    const printedMs = performance.now() - startedAt
    const { code, stderr } = await child.finished
    expect(code, stderr).toBe(12)
    expect(performance.now() - startedAt - printedMs).toBeLessThan(14_000)
    expect(stderr).toContain('program was not told: no answer within 10 s')
    expect(stderr).not.toMatch(/topsecret|documents/)
    expect(received.length).toBeGreaterThan(0)
  })

  test('does what comes after its messages, though nobody answers them', async ({ dir, world: { env } }) => {
    const port = await freePort()
    await writeFiles(dir, { 'pgbosun.yaml': notify() })
    const dead = `http://127.0.0.1:${port}/topsecret`
    const variables = { ...env, TARGET: dead, DOCUMENTS: dead, SLACK: dead }
    const { code, stdout, stderr } = await run(['up', '--', 'sh', '-c', 'echo child; exit 5'], {
      cwd: dir,
      env: variables,
    })
    expect([code, stdout.includes('child')], stderr).toEqual([5, true])
    expect(stderr.match(/was not pinged: it could not be reached \(ECONNREFUSED\)/g)).toHaveLength(2)
  })

  test('shows no password of a proxy that is no URL', async ({ dir, world: { env, url } }) => {
    await writeFiles(dir, { 'pgbosun.yaml': notify() })
    const proxy = 'http://user:hunter2@proxy:99999'
    const variables = { ...env, DOCUMENTS: url('/documents'), SLACK: url('/slack'), HTTP_PROXY: proxy }
    const { code, stdout, stderr } = await run(['notify', 'test'], { cwd: dir, env: variables })
    expect(code).not.toBe(0)
    expect(stdout + stderr).toContain('the proxy that HTTP_PROXY or HTTPS_PROXY names is no URL')
    expect(stdout + stderr).not.toMatch(/hunter2|topsecret/)
  })

  test('waits ten seconds in all for secrets that nobody gives', { timeout: 40_000 }, async ({
    dir,
    world: { env },
  }) => {
    const hanging = ['a', 'b', 'c'].map((name) => `  - { as: json, name: ${name}, url: { command: [sleep, "77"] } }\n`)
    await writeFiles(dir, { 'pgbosun.yaml': `notify:\n${hanging.join('')}` })
    const startedAt = performance.now()
    const broken = { ...env, DATABASE_URL: env.DATABASE_URL!.replace(/:[^:@/]+@/, ':wrong@') }
    const { code, stderr } = await run(['up'], { cwd: dir, env: broken })
    expect(code, stderr).toBe(12)
    expect(performance.now() - startedAt).toBeLessThan(17_000)
    expect(stderr.match(/was not told/g), stderr).toHaveLength(3)
  })

  test('tells that no connection is configured, and its exit code stays', async ({ dir, world }) => {
    const { url, received } = world
    await writeFiles(dir, { 'pgbosun.yaml': notify() })
    const env = { TARGET: url('/topsecret'), DOCUMENTS: url('/documents'), SLACK: url('/slack') }
    const { code, stdout } = await run(['up', '--json'], { cwd: dir, env })
    expect([code, JSON.parse(stdout).exit_code]).toEqual([2, 2])
    const [document] = documents(received.filter(({ path }) => path === '/documents'))
    expect(document!.message).toBe('no database connection is configured')
  })

  test.skipIf(!client)('pings the start and the end of a backup, with one id', async ({ dir, world }) => {
    const { env: some, url, received } = world
    const env = { ...some, DOCUMENTS: url('/documents'), SLACK: url('/slack') }
    await writeFiles(dir, { 'pgbosun.yaml': `backup: { store: "file://${dir}/store" }\n${notify()}` })
    expect((await run(['backup', 'run'], { cwd: dir, env })).code).toBe(0)
    await writeFile(join(dir, 'file'), '')
    const broken = { ...env, PGBOSUN_BACKUP_STORE: `file://${dir}/file` }
    expect((await run(['backup'], { cwd: dir, env: broken })).code).toBe(60)
    const pings = received.filter(({ path }) => path.startsWith('/topsecret'))
    expect(pings.map(({ path }) => path.replace(/\?.*/, ''))).toEqual([
      ...['/topsecret/start', '/topsecret', '/topsecret/start', '/topsecret/fail'],
    ])
    const rids = pings.map(({ path }) => path.split('rid=')[1])
    expect([rids[0] === rids[1], rids[2] === rids[3], rids[1] === rids[2]]).toEqual([true, true, false])
    expect(events(received.filter(({ path }) => path === '/documents'))).toEqual(['opened backup-failed'])
  })
})

describe.skipIf(!client)('serve', () => {
  /** A store that is no folder cannot be read. */
  const unreadable = (dir: string) => writeFile(join(dir, 'store'), '')
  const config = (dir: string) => `backup: { store: "file://${dir}/store", schedule: "0 3 1 1 *" }
notify: [{ as: json, name: program, url: { env: TARGET } }]
`

  test('tells of a store that cannot be read, and of its end', { timeout: 120_000 }, async ({ dir, world }) => {
    const { received, serve, until } = world
    await unreadable(dir)
    await writeFiles(dir, { 'pgbosun.yaml': config(dir) })
    await serve()
    await until('it is told', () => received.length > 0)
    // nobody knows whether a process before has told it
    expect(events(received)).toEqual(['still store-unreadable'])
    await rm(join(dir, 'store'))
    await mkdir(join(dir, 'store'))
    await until('it is over', () => events(received).includes('resolved store-unreadable'), 90_000)
    expect(new Set(documents(received).map(({ key }) => key)).size).toBe(1)
  })

  test('tells once, also after a restart and with two replicas', { timeout: 180_000 }, async ({ dir, world }) => {
    const { received, serve, until } = world
    await mkdir(join(dir, 'store'))
    await writeFiles(dir, {
      'pgbosun.yaml': `${config(dir)}serve: { onUpFailure: stay }\n`,
      'migrations/001_a.sql': 'create table a (n int);\nnonsense;\n',
    })
    const first = await serve()
    await until('it is told', () => events(received).includes('opened up-failed'))
    expect(documents(received).map(({ message }) => message)).toContainEqual(expect.stringMatching(/^up failed: /))
    first.child.kill('SIGTERM')
    expect((await first.finished).code).toBe(0)

    received.length = 0
    await Promise.all([serve(), serve()])
    await new Promise((resolve) => setTimeout(resolve, 12_000))
    // what is found when the database is looked at is told by one of them
    expect(new Set(events(received)).size).toBe(received.length)
    expect(events(received).filter((event) => event.endsWith('up-failed'))).toEqual([])
    await writeFiles(dir, { 'migrations/001_a.sql': 'create table a (n int);\n' })
    await until('it is over', () => events(received).includes('resolved up-failed'), 60_000)
    await new Promise((resolve) => setTimeout(resolve, 12_000))
    expect(events(received).filter((event) => event.endsWith('up-failed'))).toEqual(['resolved up-failed'])
  })

  test('goes on trying, says so after a while, and delays nothing', { timeout: 120_000 }, async ({ dir, world }) => {
    const { received, serve, until, answer } = world
    answer(status(503))
    await unreadable(dir)
    await writeFiles(dir, { 'pgbosun.yaml': config(dir) })
    const child = await serve()
    let log = ''
    child.child.stderr!.on('data', (chunk) => {
      log += chunk
    })
    await until('it is tried again', () => received.length >= 2, 40_000)
    expect(log).toContain('program was not told: it answered 503')
    expect(log).not.toContain('topsecret')
    answer(ok)
    const before = received.length
    await until('it is told', () => received.length > before, 60_000)
    await new Promise((resolve) => setTimeout(resolve, 8_000))
    expect(received.length).toBe(before + 1)
  })
})
