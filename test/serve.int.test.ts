import { spawnSync } from 'node:child_process'
import { appendFile, mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { type IncomingHttpHeaders, request } from 'node:http'
import { connect, createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { freePort } from '../scripts/server.ts'
import { client } from './support/backup.ts'
import { run, runJson, type Started, start } from './support/cli.ts'
import { test as base, open, server, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

type Config = {
  schedule?: string
  /** More keys of `backup`. */
  backup?: string
  keep?: string
  /** Default: 127.0.0.1 and the port of the app. */
  listen?: string
  serve?: string
  extra?: string
  /** A command that becomes the program. */
  through?: string[]
}

type App = {
  port: number
  store: string
  env: Record<string, string>
  serve(config?: Config, args?: string[], env?: Record<string, string>): Promise<Started>
  /** A second one with the same configuration, on another port. */
  serveAlso(port: number): void
  get(path: string, port?: number): Promise<{ status: number; body: string }>
  until<T>(what: string, look: () => Promise<T | undefined>, timeoutMs?: number): Promise<T>
}

/** Processes are ended after each test, whether it passed or failed. */
const test = base.extend<{ app: App }>({
  app: async ({ dir, database }, use) => {
    const port = await freePort()
    const store = `${dir}/store`
    const env = { DATABASE_URL: urlOf(database) }
    const started: Started[] = []
    const get = async (path: string, at = port) => {
      const response = await fetch(`http://127.0.0.1:${at}${path}`)
      return { status: response.status, body: await response.text() }
    }
    await use({
      port,
      store,
      env,
      get,
      async serve(
        { schedule, backup: more = '', keep, listen = `127.0.0.1:${port}`, serve = '', extra = '', through = [] } = {},
        args = [],
        variables = {},
      ) {
        const backup = [
          `store: "file://${store}"`,
          schedule && `schedule: "${schedule}"`,
          more,
          keep && `keep: ${keep}`,
        ]
          .filter(Boolean)
          .join(', ')
        await writeFiles(dir, {
          'pgbosun.yaml': `backup: { ${backup} }\nserve: { listen: "${listen}"${serve && `, ${serve}`} }\n${extra}\n`,
        })
        const child = start(['serve', ...args], { cwd: dir, env: { ...env, ...variables }, through })
        started.push(child)
        return child
      },
      serveAlso(other) {
        started.push(start(['serve'], { cwd: dir, env: { ...env, PGBOSUN_SERVE_LISTEN: `127.0.0.1:${other}` } }))
      },
      async until(what, look, timeoutMs = 20_000) {
        const deadline = Date.now() + timeoutMs
        for (;;) {
          const found = await look().catch(() => undefined)
          if (found !== undefined) return found
          if (Date.now() > deadline) throw new Error(`not within ${timeoutMs / 1000} s: ${what}`)
          await sleep(100)
        }
      },
    })
    for (const { child, finished } of started) {
      child.kill('SIGKILL')
      await finished
    }
  },
})

const hasIpv6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === '::1'))
if (!hasIpv6) console.warn('SKIPPED, both families: this machine has no IPv6')

const elsewhere = Object.values(networkInterfaces())
  .flatMap((list) => list ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address
if (elsewhere === undefined)
  console.warn('SKIPPED, who may read the status: this machine has no address but loopback, so nobody else can ask')

type Status = {
  phase: string
  ready: boolean
  ready_reason: string | null
  up: { ok: boolean; error: string | null } | null
  backups: {
    database: string
    running: boolean
    last_success_id: string | null
    last_error: string | null
    next_run_at: string | null
    schedules: {
      name: string | null
      last_success_id: string | null
      slots: { slot: string; state: string; id: string | null }[]
    }[]
  }[]
  conditions: { name: string; message: string }[]
}

const statusOf = async ({ get }: App) => JSON.parse((await get('/status.json')).body) as Status
const isUp = ({ get, until }: App) =>
  until('startupz is 200', async () => ((await get('/startupz')).status === 200 ? true : undefined))
/** Asks all the time, over a connection that is kept, as a load balancer does. */
async function askUntilOver({ get }: App, { child }: Started): Promise<void> {
  while (child.exitCode === null) {
    await get('/livez').catch(() => {})
    await sleep(50)
  }
}
const backedUp = (app: App) =>
  app.until('a backup', async () => {
    const [backup] = (await statusOf(app)).backups
    return backup?.last_success_id ?? undefined
  })
const backupFolders = async (store: string, database: string) =>
  (await readdir(`${store}/${database}`).catch(() => [])).filter((name) => /^\d/.test(name))

describe('serve', () => {
  test('listens before up is done, but is started only after it', async ({ app, dir }) => {
    await writeFiles(dir, { 'migrations/001_slow.sql': 'create table t (id int); select pg_sleep(3);' })
    await app.serve()
    const alive = await app.until('livez', async () => ((await app.get('/livez')).status === 200 ? true : undefined))
    expect(alive).toBe(true)
    expect(await app.get('/startupz')).toMatchObject({ status: 503, body: 'up is not done yet\n' })
    expect(await app.get('/readyz')).toMatchObject({ status: 503 })
    await isUp(app)
    await app.until('readyz is 200', async () => ((await app.get('/readyz')).status === 200 ? true : undefined))
  })

  test('is not ready while a migration is pending, but alive', async ({ app, dir, sql }) => {
    await writeFiles(dir, { 'migrations/001_t.sql': 'create table t (id int)' })
    await app.serve()
    await isUp(app)
    await sql`delete from pgbosun.migrations`
    await app.until('readyz is 503', async () => ((await app.get('/readyz')).status === 503 ? true : undefined))
    expect((await app.get('/livez')).status).toBe(200)
  })

  test('is read-only over HTTP and knows no other paths', async ({ app }) => {
    await app.serve()
    await isUp(app)
    expect((await fetch(`http://127.0.0.1:${app.port}/livez`, { method: 'POST' })).status).toBe(405)
    expect((await app.get('/etc/passwd')).status).toBe(404)
  })

  test.skipIf(!client)(
    'makes up for a missed slot at once, reports it, and shows no secret',
    async ({ app, database }) => {
      await app.serve({ schedule: '@yearly' })
      const id = await backedUp(app)
      expect(await backupFolders(app.store, database)).toEqual([id])
      const { body } = await app.get('/status.json')
      expect(body).not.toContain(encodeURIComponent(server().password))
      expect(body).not.toContain(server().password)
      expect(JSON.parse(body)).toMatchObject({
        phase: 'serving',
        ready: true,
        backups: [{ last_error: null, last_verified_at: expect.any(String) }],
      })
    },
  )

  test.skipIf(!client)(
    'two processes with one store make one backup for a slot of each schedule, and record it',
    async ({ app, database }) => {
      await app.serve({ backup: 'schedules: [{ name: a, schedule: "@yearly" }, { name: b, schedule: "@yearly" }]' })
      const port = await freePort()
      app.serveAlso(port)
      const known = (at: number) =>
        app.until(`${at} knows a backup of each schedule`, async () => {
          const [backup] = (JSON.parse((await app.get('/status.json', at)).body) as Status).backups
          const ids = backup!.schedules.map(({ slots }) => slots.at(-1)?.id)
          return ids.length === 2 && ids.every((id) => typeof id === 'string') ? { ids, backup: backup! } : undefined
        })
      const [one, other] = [await known(app.port), await known(port)]
      expect(new Set(one.ids).size).toBe(2)
      expect(other.ids).toEqual(one.ids)
      expect(await backupFolders(app.store, database)).toEqual([...one.ids].sort())
      const slot = `${new Date().getUTCFullYear()}-01-01T00:00:00.000Z`
      const schedules = ['a', 'b'].map((name, i) => ({
        name,
        last_success_id: one.ids[i],
        slots: [{ slot, state: 'late', id: one.ids[i] }],
      }))
      expect(one.backup.schedules).toMatchObject(schedules)
      const file = JSON.parse(await readFile(`${app.store}/${database}/slots.json`, 'utf8'))
      expect(file).toMatchObject({
        schema_version: 1,
        series: schedules.map(({ name, slots }) => ({ name: 'default', schedule: name, slots })),
      })
    },
  )

  test('reports a failing backup and goes on', async ({ app, dir }) => {
    await writeFiles(dir, { store: 'a file where the folder should be' })
    const { child } = await app.serve({ schedule: '@yearly' })
    const error = await app.until('the failure', async () => (await statusOf(app)).backups[0]?.last_error ?? undefined)
    expect(error).toContain(app.store)
    expect((await app.get('/livez')).status).toBe(200)
    expect((await app.get('/readyz')).status).toBe(200)
    expect(child.exitCode).toBeNull()
    expect(await run(['healthcheck', '--ready'], { cwd: dir })).toMatchObject({ code: 0 })
    expect(await run(['healthcheck', '--backups'], { cwd: dir })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(app.store),
    })
  })

  test.skipIf(!client)(
    'shows a backup that another process has made within a minute, with a schedule and without',
    async ({ app, dir }) => {
      const made = async () => {
        const { code, json } = await runJson(['backup'], { cwd: dir, env: app.env })
        expect(code).toBe(0)
        return json.id
      }
      const shows = (id: unknown) =>
        app.until(
          'the backup is shown',
          async () => ((await statusOf(app)).backups[0]?.last_success_id === id ? true : undefined),
          75_000,
        )
      const { child, finished } = await app.serve()
      await isUp(app)
      await shows(await made())
      child.kill('SIGTERM')
      await finished
      await app.serve({ schedule: '@yearly' })
      const first = await backedUp(app)
      const second = await made()
      expect(second).not.toBe(first)
      await shows(second)
    },
    200_000,
  )

  test.skipIf(!client)(
    'makes the backup of a minute in which it was stopped, and only it writes to the log',
    async ({ app, database }) => {
      const { child, finished } = await app.serve({ schedule: '* * * * *', keep: '{ last: 50 }' })
      await backedUp(app)
      await sleep(60_000 - (Date.now() % 60_000) - 1_000)
      child.kill('SIGSTOP')
      await sleep(5_000)
      const before = (await backupFolders(app.store, database)).length
      child.kill('SIGCONT')
      await app.until('the backup', async () =>
        (await backupFolders(app.store, database)).length > before ? true : undefined,
      )
      child.kill('SIGTERM')
      const { stderr } = await finished
      for (const line of stderr.trim().split('\n')) expect(() => JSON.parse(line)).not.toThrow()
    },
    180_000,
  )

  test.skipIf(!client)(
    'stops a running dump within 10 s of SIGTERM, leaves nothing behind, and ends with 0',
    async ({ app, database, sql }) => {
      await sql`create table big as select g, repeat(md5(g::text), 20) as text from generate_series(1, 30000) g`
      const blocker = open(database)
      const [locked, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
      const holding = blocker.begin(async (tx) => {
        await tx.unsafe('lock table big in access exclusive mode')
        locked.resolve()
        await release.promise
      })
      await locked.promise
      const { child, finished } = await app.serve({ schedule: '@yearly' }, ['--no-up'])
      await app.until('the dump is running', async () => ((await statusOf(app)).backups[0]?.running ? true : undefined))
      await sleep(500)
      const stoppedAt = Date.now()
      child.kill('SIGTERM')
      expect(await Promise.race([finished, sleep(15_000)])).toMatchObject({ code: 0, signal: null })
      expect(Date.now() - stoppedAt).toBeLessThan(10_000)
      release.resolve()
      await holding
      await blocker.end()
      expect(await backupFolders(app.store, database)).toEqual([])
      await app.until('no session of ours is left', async () => {
        const rows =
          await sql`select pid from pg_stat_activity where application_name like 'pgbosun%' and datname = ${database}`
        return rows.length === 0 ? true : undefined
      })
    },
  )

  test('ends with the code of a failed up', async ({ app, dir }) => {
    await writeFiles(dir, { 'migrations/001_bad.sql': 'select nonsense' })
    const { finished } = await app.serve()
    expect(await finished).toMatchObject({ code: 20 })
  })

  test('ends, after a failed up and when it is asked to, while somebody asks again and again over one connection', async ({
    app,
    dir,
  }) => {
    await writeFiles(dir, { 'migrations/001_slow.sql': 'select pg_sleep(1), nonsense' })
    const failing = await app.serve()
    const asking = askUntilOver(app, failing)
    expect(await failing.finished).toMatchObject({ code: 20 })
    await asking

    await writeFiles(dir, { 'migrations/001_slow.sql': 'select 1' })
    const serving = await app.serve()
    const again = askUntilOver(app, serving)
    await isUp(app)
    serving.child.kill('SIGTERM')
    expect(await serving.finished).toMatchObject({ code: 0 })
    await again
  })

  test.skipIf(!client)(
    'stays after a failed up if told so, keeps the schedule, and does not count as started',
    async ({ app, dir }) => {
      await writeFiles(dir, { 'migrations/001_bad.sql': 'select nonsense' })
      await app.serve({ schedule: '@yearly', serve: 'onUpFailure: stay' })
      await backedUp(app)
      expect((await statusOf(app)).phase).toBe('up-failed')
      expect((await app.get('/startupz')).status).toBe(503)
      await writeFiles(dir, { 'migrations/001_bad.sql': 'select 1' })
      await isUp(app)
    },
  )

  test.skipIf(!client)('works with --no-up and only the backup role', async ({ app, database, sql }) => {
    if (server().major < 14) return
    const role = uniqueName('bk')
    await sql.unsafe(
      `create table t as select 1 as id; create role ${role} login bypassrls password 'secret' in role pg_read_all_data`,
    )
    await app.serve({ schedule: '@yearly' }, ['--no-up'], {
      DATABASE_URL: urlOf(database, { name: role, password: 'secret' }),
    })
    await backedUp(app)
    expect((await app.get('/startupz')).status).toBe(200)
  })

  test('refuses a port that is in use before anything is changed', async ({ app, dir, sql }) => {
    await writeFiles(dir, { 'migrations/001_t.sql': 'create table t (id int)' })
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(app.port, '127.0.0.1', resolve))
    const { finished } = await app.serve()
    const { code, stderr } = await finished
    other.close()
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('the port is in use') })
    expect(await sql`select 1 from pg_namespace where nspname = 'pgbosun'`).toEqual([])
  })

  test('is healthy for healthcheck, which fails when nothing listens', async ({ app, dir }) => {
    const { child, finished } = await app.serve()
    await isUp(app)
    expect(await run(['healthcheck'], { cwd: dir })).toMatchObject({ code: 0, stdout: 'ok\n' })
    await app.until('readyz is 200', async () => ((await app.get('/readyz')).status === 200 ? true : undefined))
    expect(await run(['healthcheck', '--ready'], { cwd: dir })).toMatchObject({ code: 0, stdout: 'ok\n' })
    expect(await run(['healthcheck', '--backups'], { cwd: dir })).toMatchObject({ code: 0, stdout: 'ok\n' })
    expect(await run(['healthcheck', '--ready', '--backups'], { cwd: dir })).toMatchObject({ code: 2 })
    child.kill('SIGTERM')
    expect(await finished).toMatchObject({ code: 0 })
    expect(await run(['healthcheck'], { cwd: dir })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('ECONNREFUSED'),
    })
  })
})

describe('healthcheck --backups', () => {
  type Condition = { name: string; database: string | null; since: string; message: string }
  const ask = (dir: string, env: Record<string, string> = {}) => run(['healthcheck', '--backups'], { cwd: dir, env })
  const conditionsOf = async ({ get }: App) =>
    (JSON.parse((await get('/status.json')).body) as { conditions: Condition[] }).conditions

  test.skipIf(!client)(
    'fails for a damaged backup, and sends the token, over loopback',
    async ({ app, dir, database }) => {
      await writeFiles(dir, { token: 'geheim\n', 'pgbosun.yaml': `backup: { store: "file://${app.store}" }` })
      expect(await run(['backup', 'run'], { cwd: dir, env: app.env })).toMatchObject({ code: 0 })
      const [id = ''] = await backupFolders(app.store, database)
      const dump = (await readdir(`${app.store}/${database}/${id}`)).find((name) => name.startsWith('dump'))
      await writeFiles(`${app.store}/${database}/${id}`, { [dump!]: 'no dump at all' })
      expect(await run(['backup', 'verify'], { cwd: dir, env: app.env })).toMatchObject({ code: 61 })

      const config = { listen: hasIpv6 ? `[::]:${app.port}` : `0.0.0.0:${app.port}` }
      const { child, finished } = await app.serve({ ...config, serve: 'access: token, token: { file: token }' }, [
        '--no-up',
      ])
      await isUp(app)
      const damaged = `the backup ${id} of ${database} is damaged`
      await app.until('the scheduler has looked', async () => {
        const { code, stderr } = await ask(dir)
        return code === 1 && stderr.includes(damaged) ? true : undefined
      })
      expect((await app.get('/status.json')).status).toBe(401)
      await writeFiles(dir, { other: 'another-one' })
      expect(await ask(dir, { PGBOSUN_SERVE_TOKEN_FILE: `${dir}/other` })).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('answered 401: the token is wrong'),
      })
      expect(await run(['healthcheck', '--ready'], { cwd: dir })).toMatchObject({ code: 0 })
      child.kill('SIGTERM')
      const { stderr } = await finished
      expect(stderr.split('\n').filter((line) => line.includes(damaged))).toHaveLength(1)
      expect(stderr).not.toContain('geheim')
    },
  )

  test.skipIf(elsewhere === undefined)(
    'asks the address that serve listens on, even if it is not loopback',
    async ({ app, dir }) => {
      await writeFiles(dir, { token: 'geheim' })
      const serve = 'access: token, token: { file: token }'
      await app.serve({ listen: `${elsewhere}:${app.port}`, serve }, ['--no-up'])
      await app.until('it answers', async () => ((await ask(dir)).code === 0 ? true : undefined))
    },
  )

  test.skipIf(!client)('fails for a backup that is older than check.backupMaxAge', async ({ app, dir, database }) => {
    await writeFiles(dir, { 'pgbosun.yaml': `backup: { store: "file://${app.store}" }` })
    expect(await run(['backup', 'run'], { cwd: dir, env: app.env })).toMatchObject({ code: 0 })
    await sleep(1_100)
    await app.serve({ extra: 'check: { backupMaxAge: 1s }' }, ['--no-up'])
    const [condition] = await app.until('the condition', async () => {
      const conditions = await conditionsOf(app)
      return conditions.length > 0 ? conditions : undefined
    })
    expect(condition).toMatchObject({ name: 'backup-overdue', database, since: expect.any(String) })
    expect(await ask(dir)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        new RegExp(`backup of ${database}: the newest is \\d+ s old, but check.backupMaxAge is 1s\\n`),
      ),
    })
  })

  test.skipIf(!client)(
    'fails for a store that cannot be read, for as long as it cannot',
    async ({ app, dir, database }) => {
      await writeFiles(dir, { store: 'a file where the folder should be' })
      await app.serve({}, ['--no-up'])
      const [condition] = await app.until('the condition', async () => {
        const conditions = await conditionsOf(app)
        return conditions.length > 0 ? conditions : undefined
      })
      expect(condition).toMatchObject({ name: 'store-unreadable', database })
      expect(await ask(dir)).toMatchObject({ code: 1, stderr: expect.stringContaining(app.store) })
      await rm(`${dir}/store`)
      await mkdir(`${dir}/store`)
      const noMore = async () => ((await ask(dir)).code === 0 ? true : undefined)
      await app.until('the store is read again, within a minute', noMore, 70_000)
    },
    100_000,
  )
})

/** What comes back for bytes sent as they are; the connection is closed by the other side. */
const exchange = (port: number, bytes: string) =>
  new Promise<string>((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    let answer = ''
    socket.setEncoding('utf8')
    socket.on('data', (chunk) => {
      answer += chunk
    })
    socket.once('close', () => resolve(answer))
    socket.once('error', reject)
  })

const noIpv6 = join(import.meta.dirname, 'support', 'no-ipv6.pl')
const canForbidIpv6 = spawnSync('perl', [noIpv6, 'true'])
if (canForbidIpv6.status !== 0) console.warn(`SKIPPED, without IPv6: ${canForbidIpv6.stderr ?? canForbidIpv6.error}`)

describe('where it listens', () => {
  const alive = (host: string, port: number) =>
    fetch(`http://${host}:${port}/livez`).then(
      ({ status }) => status,
      ({ cause }) => cause.code,
    )

  test.skipIf(!hasIpv6)('is both families if no address is given', async ({ app, dir }) => {
    const { child, finished } = await app.serve({ listen: `:${app.port}` }, ['--no-up'])
    await isUp(app)
    expect(await Promise.all(['127.0.0.1', '[::1]'].map((host) => alive(host, app.port)))).toEqual([200, 200])
    expect(await run(['healthcheck'], { cwd: dir })).toMatchObject({ code: 0, stdout: 'ok\n' })
    child.kill('SIGTERM')
    expect((await finished).stderr).toContain(`"address":"[::]:${app.port}","msg":"listening"`)
  })

  test.skipIf(canForbidIpv6.status !== 0)(
    'is IPv4 when IPv6 is switched off, and the log says so',
    async ({ app, dir }) => {
      const { child, finished } = await app.serve({ listen: `:${app.port}`, through: ['perl', noIpv6] }, ['--no-up'])
      await isUp(app)
      expect(await run(['healthcheck'], { cwd: dir })).toMatchObject({ code: 0, stdout: 'ok\n' })
      child.kill('SIGTERM')
      const { stderr } = await finished
      expect(stderr.match(/IPv6 is switched off here: listening on IPv4 only/g)).toHaveLength(1)
      expect(stderr).toContain(`"address":"0.0.0.0:${app.port}","msg":"listening"`)
    },
  )

  test.skipIf(canForbidIpv6.status !== 0)('is the IPv6 address that is configured, or nothing', async ({ app }) => {
    const { finished } = await app.serve({ listen: `[::]:${app.port}`, through: ['perl', noIpv6] }, ['--no-up'])
    expect(await finished).toMatchObject({ code: 2, stderr: expect.stringContaining('EAFNOSUPPORT') })
  })
})

describe('an unusual request', () => {
  test('is answered, and serve goes on', async ({ app }) => {
    const { child } = await app.serve({}, ['--no-up'])
    await isUp(app)
    const statusOf = async (line: string, headers = ['Host: localhost', 'Connection: close']) =>
      Number((await exchange(app.port, `${[line, ...headers].join('\r\n')}\r\n\r\n`)).split(' ')[1])

    for (const target of ['//', '//[', '/%', '/livez/', '/../livez', '/%6civez', '*', 'http://[/no'])
      expect([target, await statusOf(`GET ${target} HTTP/1.1`)]).toEqual([target, 404])
    for (const target of ['/livez?x=1', '/livez#x', 'http://localhost/livez', 'HTTP://[/livez?x'])
      expect([target, await statusOf(`GET ${target} HTTP/1.1`)]).toEqual([target, 200])
    expect(await statusOf('GET /livez HTTP/1.0', [])).toBe(200)
    expect(await statusOf('GET /livez HTTP/1.1', ['Host: ', 'Connection: close'])).toBe(200)
    expect(await statusOf('OPTIONS * HTTP/1.1')).toBe(405)
    expect(await statusOf('nonsense')).toBe(400)
    expect(child.exitCode).toBeNull()
    expect((await app.get('/livez')).status).toBe(200)
  })

  test('gets an answer that no browser takes for something else', async ({ app }) => {
    await app.serve({}, ['--no-up'])
    await isUp(app)
    const ask = (path: string, method = 'GET') => fetch(`http://127.0.0.1:${app.port}${path}`, { method })

    for (const response of await Promise.all([ask('/livez'), ask('/status.json'), ask('/no'), ask('/livez', 'PUT')])) {
      expect(response.headers.get('x-content-type-options')).toBe('nosniff')
      expect(response.headers.get('cache-control')).toBe('no-store')
    }
    expect((await ask('/livez', 'DELETE')).headers.get('allow')).toBe('GET, HEAD')
    const [get, head] = await Promise.all([ask('/livez'), ask('/livez', 'HEAD')])
    expect(await head.text()).toBe('')
    expect(head.headers.get('content-length')).toBe(String((await get.text()).length))
  })
})

describe('readiness', () => {
  const isReady = (app: App, status = 200) =>
    app.until(`readyz is ${status}`, async () => ((await app.get('/readyz')).status === status ? true : undefined))

  test('has at most one session and answers at once, while the history is locked', async ({ app, dir, database }) => {
    await writeFiles(dir, { 'migrations/001_t.sql': 'create table t (id int)' })
    await app.serve()
    await isUp(app)
    await isReady(app)
    const [blocker, observer] = [open(database), open(database)]
    const [locked, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const holding = blocker.begin(async (tx) => {
      await tx.unsafe('lock table pgbosun.migrations in access exclusive mode')
      locked.resolve()
      await release.promise
    })
    await locked.promise
    let [most, slowest] = [0, 0]
    for (const until = Date.now() + 12_000; Date.now() < until; await sleep(100)) {
      const askedAt = performance.now()
      await Promise.all([app.get('/readyz'), app.get('/status.json'), app.get('/readyz')])
      slowest = Math.max(slowest, performance.now() - askedAt)
      const rows = await observer`
        select pid from pg_stat_activity where datname = ${database} and application_name = 'pgbosun readyz'`
      most = Math.max(most, rows.length)
    }
    expect(most).toBe(1)
    expect(slowest).toBeLessThan(500)
    expect(await app.get('/readyz')).toMatchObject({ status: 503 })
    expect(await statusOf(app)).toMatchObject({ ready: false, ready_age_ms: expect.any(Number) })
    release.resolve()
    await holding
    await isReady(app)
  })

  test('does not depend on files that are added later: the status and the log have them', {
    timeout: 150_000,
  }, async ({ app, dir }) => {
    await writeFiles(dir, { 'migrations/001_t.sql': 'create table t (id int)', 'more/003_m.sql': 'select 3' })
    app.env.PGBOSUN_MIGRATE_DIR = 'migrations,more'
    const { child, finished } = await app.serve()
    await isUp(app)
    await isReady(app)
    await writeFiles(dir, { 'more/004_later.sql': 'create table later (id int)' })
    await appendFile(`${dir}/pgbosun.yaml`, '# another one\n')
    const said = () =>
      app.until('two conditions', async () => {
        const { conditions } = await statusOf(app)
        return conditions.length === 2 ? conditions : undefined
      })
    expect((await said()).map(({ name, message }) => [name, message])).toEqual([
      ['configuration-changed', expect.stringContaining('has changed since `serve` was started')],
      ['migrations-pending', 'the folder of migrations has changed since `up`: new: more/004_later.sql'],
    ])
    expect((await app.get('/readyz')).status).toBe(200)
    // somebody else applies them
    expect((await run(['up'], { cwd: dir, env: app.env })).code).toBe(0)
    const left = await app.until(
      'the condition is over',
      async () => {
        const { conditions } = await statusOf(app)
        return conditions.length === 1 ? conditions : undefined
      },
      60_000,
    )
    expect(left.map(({ name }) => name)).toEqual(['configuration-changed'])
    await rm(`${dir}/migrations`, { recursive: true })
    await sleep(5_000)
    expect((await app.get('/readyz')).status).toBe(200)
    child.kill('SIGTERM')
    const { code, stderr } = await finished
    expect([code, stderr]).toEqual([0, expect.stringContaining('new: more/004_later.sql')])
  })

  test('logs when it changes, and how long the state before lasted', async ({ app, database, sql }) => {
    const role = uniqueName('comes_and_goes')
    await sql.unsafe(`create role ${role} login password 'right'`)
    const url = urlOf(database, { name: role, password: 'right' })
    const { child, finished } = await app.serve({}, ['--no-up'], { DATABASE_URL: url })
    await isUp(app)
    await isReady(app)
    await sql.unsafe(`alter role ${role} nologin`)
    await isReady(app, 503)
    await sleep(2_500)
    await sql.unsafe(`alter role ${role} login`)
    await isReady(app)
    child.kill('SIGTERM')
    const lines = (await finished).stderr
      .split('\n')
      .filter((line) => line.includes('ready'))
      .map((line) => JSON.parse(line))
    expect(lines).toMatchObject([
      { ready_ms: expect.any(Number), msg: expect.stringMatching(/^not ready: .*not permitted to log in/) },
      { not_ready_ms: expect.any(Number), msg: 'ready again' },
    ])
    expect(lines[1].not_ready_ms).toBeGreaterThan(2_000)
  })
})

describe('the public answers', () => {
  test('name neither the server nor the database; the status and the log do', async ({ app }) => {
    const [nowhere, database] = [await freePort(), uniqueName('secretive')]
    const url = `postgres://nobody:geheim@127.0.0.1:${nowhere}/${database}`
    const { child, finished } = await app.serve({}, ['--no-up'], { DATABASE_URL: url })
    await isUp(app)

    const told = { status: 503, body: 'not ready: the database cannot be reached\n' }
    expect(await app.get('/readyz')).toEqual(told)
    expect(await statusOf(app)).toMatchObject({
      ready: false,
      ready_reason: `127.0.0.1:${nowhere}/${database}: nothing is listening there`,
    })
    await sleep(2_100)
    expect(await app.get('/readyz')).toEqual(told)
    child.kill('SIGTERM')
    const { stderr } = await finished
    expect(stderr.split('\n').filter((line) => line.includes('nothing is listening there'))).toHaveLength(1)
    expect(stderr).not.toContain('geheim')
  })

  test('say that the database refuses the connection, and that migrations are pending', async ({
    app,
    dir,
    database,
    sql,
  }) => {
    await writeFiles(dir, { 'migrations/001_t.sql': 'create table t (id int)' })
    const role = uniqueName('locked_out')
    await sql.unsafe(`create role ${role} login password 'right'`)
    await app.serve({}, ['--no-up'], { DATABASE_URL: urlOf(database, { name: role, password: 'geheim' }) })
    await isUp(app)
    expect(await app.get('/readyz')).toEqual({ status: 503, body: 'not ready: the database refuses the connection\n' })
    expect((await statusOf(app)).ready_reason).toContain(`the password of ${role} was refused`)
    await sql.unsafe(`alter role ${role} password 'geheim'`)
    const pending = { status: 503, body: 'not ready: migrations are pending\n' }
    await app.until('the other reason', async () =>
      (await app.get('/readyz')).body === pending.body ? true : undefined,
    )
    expect((await statusOf(app)).ready_reason).toBe('1 migration is pending')
  })

  test('do not contain the error of a failed up', async ({ app, dir }) => {
    await writeFiles(dir, { 'migrations/001_bad.sql': 'select nonsense' })
    await app.serve({ serve: 'onUpFailure: stay' })
    await app.until('up has failed', async () => ((await statusOf(app)).up ? true : undefined))
    expect(await app.get('/startupz')).toEqual({ status: 503, body: 'up failed: see the log\n' })
    expect((await statusOf(app)).up?.error).toContain('001_bad failed')
  })
})

type Reply = { status: number; body: string; headers: IncomingHttpHeaders }

/** Asks for the status; unlike `fetch`, with any Host. */
const askStatus = (host: string, port: number, headers: Record<string, string> = {}) =>
  new Promise<Reply>((resolve, reject) => {
    const asking = request({ host, port, path: '/status.json', headers }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk) => {
        body += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body, headers: response.headers }))
    })
    asking.once('error', reject)
    asking.end()
  })

describe.skipIf(elsewhere === undefined)('who may read the status', () => {
  const there = elsewhere!
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

  test('only loopback by default; everybody may read the health', async ({ app }) => {
    await app.serve({ listen: `:${app.port}` }, ['--no-up'])
    await isUp(app)
    for (const headers of [{}, { 'x-forwarded-for': '127.0.0.1', forwarded: 'for=127.0.0.1' }, bearer('any')]) {
      const refused = await askStatus(there, app.port, headers)
      expect(refused).toMatchObject({ status: 401, body: 'only loopback may read this: see serve.access\n' })
      expect(refused.headers).toMatchObject({ 'x-content-type-options': 'nosniff' })
    }
    for (const path of ['/livez', '/readyz', '/startupz'])
      expect([path, (await fetch(`http://${there}:${app.port}${path}`)).status]).toEqual([path, 200])
    for (const host of ['127.0.0.1', ...(hasIpv6 ? ['::1'] : [])])
      expect([host, (await askStatus(host, app.port)).status]).toEqual([host, 200])
  })

  test('clients with the token, which is read again for every request', async ({ app, dir }) => {
    await writeFiles(dir, { token: 'geheim-1\n' })
    const { child, finished } = await app.serve(
      { listen: `:${app.port}`, serve: 'access: token, token: { file: token }' },
      ['--no-up', '--log-level', 'debug'],
    )
    await isUp(app)
    expect(await askStatus(there, app.port)).toMatchObject({
      status: 401,
      body: 'a token is needed (Authorization: Bearer)\n',
      headers: { 'www-authenticate': 'Bearer realm="pgbosun"' },
    })
    expect(await askStatus('127.0.0.1', app.port, bearer('geheim-2'))).toMatchObject({
      status: 401,
      body: 'the token is wrong\n',
      headers: { 'www-authenticate': 'Bearer realm="pgbosun", error="invalid_token"' },
    })
    expect(await askStatus(there, app.port, bearer('geheim-1'))).toMatchObject({ status: 200 })

    await writeFiles(dir, { token: 'geheim-2' })
    expect(await askStatus(there, app.port, bearer('geheim-1'))).toMatchObject({ status: 401 })
    expect(await askStatus(there, app.port, bearer('geheim-2'))).toMatchObject({ status: 200 })

    await rm(join(dir, 'token'))
    expect(await askStatus(there, app.port, bearer('geheim-2'))).toMatchObject({
      status: 500,
      body: 'something went wrong: see the log\n',
    })
    child.kill('SIGTERM')
    const { stderr } = await finished
    expect(stderr).toContain(`serve.token: the file ${dir}/token does not exist`)
    expect(stderr).not.toContain('geheim')
  })

  test.for([
    ['a variable', (_: string) => ({ PGBOSUN_SERVE_TOKEN: 'geheim' })],
    ['the name of a file', (dir: string) => ({ PGBOSUN_SERVE_TOKEN_FILE: `${dir}/token` })],
  ] as const)('takes the token from %s', async ([, env], { app, dir }) => {
    await writeFiles(dir, { token: 'geheim\n' })
    await app.serve({}, ['--no-up'], { PGBOSUN_SERVE_ACCESS: 'token', ...env(dir) })
    await isUp(app)
    expect(await askStatus('127.0.0.1', app.port, bearer('geheim'))).toMatchObject({ status: 200 })
    expect(await askStatus('127.0.0.1', app.port)).toMatchObject({ status: 401 })
  })

  test('everybody when access is open', async ({ app }) => {
    await app.serve({ listen: `:${app.port}`, serve: 'access: open' }, ['--no-up'])
    await isUp(app)
    expect(await askStatus(there, app.port)).toMatchObject({ status: 200 })
  })

  test('no browser for which evil.example resolves to our address', async ({ app }) => {
    await app.serve({ serve: 'hosts: [status.example.org]' }, ['--no-up'])
    await isUp(app)
    const statusAs = async (host: string) => (await askStatus('127.0.0.1', app.port, { host })).status
    expect(await askStatus('127.0.0.1', app.port, { host: `evil.example:${app.port}` })).toMatchObject({
      status: 421,
      body: 'this Host is not one of ours: see serve.hosts\n',
      headers: { 'x-content-type-options': 'nosniff' },
    })
    for (const host of ['LOCALHOST:1', 'localhost.', '192.0.2.1', '[::1]:8080', 'Status.example.org.:443'])
      expect([host, await statusAs(host)]).toEqual([host, 200])

    const lines = (first: string, ...more: string[]) => `${[first, ...more, 'Connection: close'].join('\r\n')}\r\n\r\n`
    for (const [sent, expected] of [
      [lines('GET /status.json HTTP/1.0'), 200],
      [lines('GET http://evil.example/status.json HTTP/1.1', 'Host: localhost'), 421],
      [lines('GET http://localhost/status.json HTTP/1.1', 'Host: evil.example'), 421],
      [lines('GET http://localhost/status.json HTTP/1.1', 'Host: localhost'), 200],
      [lines('GET /status.json HTTP/1.1', 'Host: localhost', 'Host: evil.example'), 421],
      [lines('GET /status.json HTTP/1.1', 'Host: '), 421],
      [lines('GET /livez HTTP/1.1', 'Host: evil.example'), 200],
    ] as const)
      expect([sent, Number((await exchange(app.port, sent)).split(' ')[1])]).toEqual([sent, expected])
  })
})

describe('a token that is missing or not needed', () => {
  test.for<[string, Record<string, string>, string, string]>([
    ['is no token', {}, 'serve.access is token, but serve.token is not set', 'PGBOSUN_SERVE_TOKEN'],
    [
      'is no file',
      { PGBOSUN_SERVE_TOKEN_FILE: '/no/such/file' },
      'serve.token: the file /no/such/file does not exist',
      'mounted there',
    ],
    ['is an empty variable', { PGBOSUN_SERVE_TOKEN: '' }, 'PGBOSUN_SERVE_TOKEN is not set', 'PGBOSUN_SERVE_TOKEN_FILE'],
    [
      'is one that no client can send',
      { PGBOSUN_SERVE_TOKEN: 'geheim geheim' },
      'serve.token contains a space, or a character that is not ASCII',
      'openssl rand -hex 32',
    ],
  ])('%s: 2, before anything is changed', async ([, env, message, hint], { app, dir, sql }) => {
    await writeFiles(dir, { 'migrations/001_t.sql': 'create table t (id int)' })
    const { finished } = await app.serve({ serve: 'access: token' }, [], env)
    const { code, stderr } = await finished
    expect(code).toBe(2)
    expect(stderr).toContain(message)
    expect(stderr).toMatch(new RegExp(`hint: .*${hint}`))
    expect(stderr).not.toContain('geheim')
    expect(await sql`select 1 from pg_namespace where nspname = 'pgbosun'`).toEqual([])
    const validated = await run(['config', 'validate'], { cwd: dir, env: { ...app.env, ...env } })
    expect(validated).toMatchObject({ code: 2, stderr: expect.stringContaining(message) })
  })

  test('does not matter to other commands', async ({ app, dir }) => {
    await writeFiles(dir, { 'pgbosun.yaml': 'serve: { access: token }' })
    expect(await run(['up'], { cwd: dir, env: app.env })).toMatchObject({ code: 0 })
  })

  test('is a warning if nobody is asked for the token', async ({ app }) => {
    const { child, finished } = await app.serve({ serve: 'access: open' }, ['--no-up'], {
      PGBOSUN_SERVE_TOKEN: 'geheim',
    })
    await isUp(app)
    child.kill('SIGTERM')
    const { stderr } = await finished
    expect(stderr).toContain('serve.token is set, but nobody is asked for it, because serve.access is open')
    expect(stderr).not.toContain('geheim')
  })
})
