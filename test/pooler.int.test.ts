import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import type { Connection } from '../src/config/connection.ts'
import { silentLog } from '../src/log.ts'
import { openSession } from '../src/postgres/connect.ts'
import type { Session } from '../src/postgres/session.ts'
import { openWhenReady } from '../src/postgres/wait.ts'
import { client, connectionTo } from './support/backup.ts'
import { run } from './support/cli.ts'
import { fails, objectsOf } from './support/fails.ts'
import { type Pooler, pgbouncer, startPooler } from './support/pooler.ts'
import { otherStrings, server, test, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

if (!pgbouncer) process.stderr.write('NOT RUN: connection poolers: there is no pgbouncer here\n')

/** Every start-up parameter of a session of ours that PgBouncer does not know. */
const ignoreOurs = `ignore_startup_parameters = ${[
  ...[
    'role',
    'search_path',
    'standard_conforming_strings',
    'statement_timeout',
    'lock_timeout',
    'idle_in_transaction_session_timeout',
  ],
  ...['tcp_keepalives_idle', 'tcp_keepalives_interval', 'tcp_keepalives_count', 'tcp_user_timeout'],
  ...['client_connection_check_interval', 'idle_session_timeout'],
].join(', ')}`

const hint =
  'set `database.directUrl` (PGBOSUN_DATABASE_DIRECT_URL) to the server itself: locks and settings need a session of their own'
const refusedStart = 'is a connection pooler (PgBouncer): it said “unsupported startup parameter: role”'
const settingsLost =
  'is a connection pooler (such as PgBouncer): the settings of our session did not arrive at the server'

const sessionOn = (url: string, change: Partial<Connection> = {}): Promise<Session> =>
  openSession(connectionTo(url, change), { applicationName: 'pgbosun test', log: silentLog })

/** Runs `use` with a pooler of these settings. */
async function withPooler(settings: string[], use: (pooler: Pooler) => Promise<void>, databases?: string[]) {
  const pooler = await startPooler(settings, databases)
  try {
    await use(pooler)
  } finally {
    await pooler.remove()
  }
}

describe.skipIf(!pgbouncer)('PgBouncer', () => {
  const without = 'without ignore_startup_parameters'
  const ignoring = 'with ignore_startup_parameters'

  describe.each([
    { mode: 'transaction', how: without, settings: [], found: refusedStart },
    { mode: 'transaction', how: ignoring, settings: [ignoreOurs], found: settingsLost },
    { mode: 'session', how: without, settings: [], found: refusedStart },
    { mode: 'session', how: ignoring, settings: [ignoreOurs], found: settingsLost },
  ])('in $mode mode $how', ({ mode, settings, found }) => {
    let pooler: Pooler
    beforeAll(async () => {
      pooler = await startPooler([`pool_mode = ${mode}`, ...settings])
    })
    afterAll(() => pooler.remove())

    test('is refused with 12, at once, with the hint to give the address of the server', async ({ dir, database }) => {
      const startedAt = performance.now()
      const failure = await fails(['wait'], { cwd: dir, env: { DATABASE_URL: pooler.url(database) } })
      expect(failure).toMatchObject({ code: 12, kind: 'refused', hint, message: `127.0.0.1:${pooler.port} ${found}` })
      expect(performance.now() - startedAt).toBeLessThan(20_000)
    })

    test('is refused on its Unix socket too', async ({ database }) => {
      const endpoints = [{ host: pooler.dir, port: pooler.port }]
      await expect(sessionOn(pooler.url(database), { endpoints })).rejects.toMatchObject({
        kind: 'refused',
        message: `${pooler.dir}:${pooler.port} ${found}`,
      })
    })

    test('is no obstacle when database.directUrl names the server', async ({ dir, database, sql }) => {
      await writeFiles(dir, { 'migrations/001_a.sql': 'create table a (id int)' })
      const env = {
        DATABASE_URL: pooler.url(database),
        PGBOSUN_DATABASE_DIRECT_URL: urlOf(database),
        PGBOSUN_BACKUP_STORE: pathToFileURL(`${dir}/store`).href,
      }
      const commands = [['wait'], ['up'], ['migrate'], ...(client ? [['backup']] : [])]
      for (const command of commands) {
        const { code, stderr } = await run(command, { cwd: dir, env })
        expect({ command, code, stderr }).toEqual({ command, code: 0, stderr: expect.any(String) })
      }
      expect(await objectsOf(sql)).toContain('a')
    })
  })

  describe.each([
    { how: without, settings: [] },
    { how: ignoring, settings: [ignoreOurs] },
  ])('in transaction mode $how,', ({ settings }) => {
    test.for(['up', 'plan', 'migrate', 'backup', 'status'])('%s touches nothing', async (command, {
      dir,
      database,
      sql,
    }) => {
      await withPooler(['pool_mode = transaction', ...settings], async (pooler) => {
        await writeFiles(dir, { 'migrations/001_a.sql': 'create table a (id int)' })
        const env = { DATABASE_URL: pooler.url(database), PGBOSUN_BACKUP_STORE: pathToFileURL(`${dir}/store`).href }
        const failure = await fails([command], { cwd: dir, env })
        expect(failure).toMatchObject({ code: 12, kind: 'refused', hint })
        expect(failure.message).toContain(`127.0.0.1:${pooler.port} is a connection pooler`)
        expect(await objectsOf(sql)).toEqual([])
      })
    })

    test('is refused for a declared database that does not exist', async ({ dir }) => {
      const name = uniqueName('absent')
      await writeFiles(dir, { 'pgbosun.yaml': `databases: { ${name}: {} }` })
      await withPooler(['pool_mode = transaction', ...settings], async (pooler) => {
        const failure = await fails(['up'], { cwd: dir, env: { DATABASE_URL: pooler.url(name) } })
        expect(failure).toMatchObject({ code: 12, hint: expect.stringContaining('database.directUrl') })
      })
    })
  })

  test('is told from a changing server process', async ({ database }) => {
    // each server process is used for one transaction only
    await withPooler(['pool_mode = transaction', ignoreOurs, 'server_lifetime = 0'], async (pooler) => {
      await expect(sessionOn(pooler.url(database))).rejects.toMatchObject({
        kind: 'refused',
        message: `127.0.0.1:${pooler.port} is a connection pooler (such as PgBouncer): each transaction gets another server process`,
      })
    })
  })

  test('is refused at once with wait.patient and behind an address where nothing listens', async ({
    dir,
    database,
  }) => {
    await withPooler([], async (pooler) => {
      const nothing = '127.0.0.1:1'
      const here = `127.0.0.1:${pooler.port}`
      for (const hosts of [here, `${here},${nothing}`, `${nothing},${here}`]) {
        const env = { DATABASE_URL: pooler.url(database).replace(here, hosts), PGBOSUN_WAIT_PATIENT: 'true' }
        const startedAt = performance.now()
        expect(await fails(['wait'], { cwd: dir, env })).toMatchObject({ code: 12, message: `${here} ${refusedStart}` })
        expect(performance.now() - startedAt).toBeLessThan(20_000)
      }
    })
  })

  test('that does not know the database is still called a pooler, for the target and for the locks', async ({
    dir,
    database,
  }) => {
    const databases = [`${database} = host=127.0.0.1 port=${server().port}`]
    const settings = ['pool_mode = transaction', ignoreOurs]
    await withPooler(
      settings,
      async (pooler) => {
        const said = `127.0.0.1:${pooler.port} is a connection pooler (PgBouncer): it said “no such database: `
        await expect(sessionOn(pooler.url('elsewhere'))).rejects.toMatchObject({
          kind: 'refused',
          message: `${said}elsewhere”`,
        })
        const env = { DATABASE_URL: pooler.url(database), PGBOSUN_BACKUP_STORE: pathToFileURL(`${dir}/store`).href }
        const failure = await fails(['backup'], { cwd: dir, env })
        expect(failure).toMatchObject({ code: 12, hint, message: expect.stringContaining(`${said}postgres”`) })
      },
      databases,
    )
  })

  test('in backup.url is refused with the hint to change that', async ({ dir, database }) => {
    await withPooler([], async (pooler) => {
      const env = {
        DATABASE_URL: urlOf(database),
        PGBOSUN_BACKUP_URL: pooler.url(database),
        PGBOSUN_BACKUP_STORE: pathToFileURL(`${dir}/store`).href,
      }
      const failure = await fails(['backup'], { cwd: dir, env })
      expect(failure).toMatchObject({ code: 12, message: expect.stringContaining(refusedStart) })
      expect(failure.hint).toMatch(/^set `backup\.url` \(PGBOSUN_BACKUP_URL\) to the server itself/)
    })
  })
})

describe('what is no pooler', () => {
  test('a direct session, over TCP and on a Unix socket: it is asked nothing', async ({ database }) => {
    const endpoints = [{ host: dirname(server().logFile), port: server().port }]
    for (const change of [{}, { endpoints }]) {
      const session = await sessionOn(urlOf(database), change)
      expect(await session.sql.unsafe('select pg_backend_pid() as pid')).toEqual([{ pid: session.pid }])
      await session.end()
    }
  })

  test('a TCP proxy: it costs no question more', async ({ database }) => {
    await withProxy(
      (answer) => answer,
      async (proxy) => {
        const session = await sessionOn(proxy.url(database))
        expect(proxy.questions()).toHaveLength(1)
        await session.end()
      },
    )
  })

  const rewritten = (key: (whole: Buffer) => Buffer) => (answer: Buffer) => {
    // BackendKeyData: 'K', its length of 12, process, secret
    const at = answer.indexOf(Buffer.from([0x4b, 0, 0, 0, 12]))
    return at < 0
      ? answer
      : Buffer.concat([answer.subarray(0, at), key(answer.subarray(at, at + 13)), answer.subarray(at + 13)])
  }

  test.for<[string, (whole: Buffer) => Buffer]>([
    [
      'announces a process of its own',
      (whole) => Buffer.concat([whole.subarray(0, 5), Buffer.from([0xff, 1, 2, 3]), whole.subarray(9)]),
    ],
    ['announces none', () => Buffer.alloc(0)],
  ])('a proxy that %s, and hands everything else on: it costs one question', async ([, key], { database }) => {
    await withProxy(rewritten(key), async (proxy) => {
      const session = await openWhenReady(connectionTo(proxy.url(database)), {
        applicationName: 'pgbosun test',
        log: silentLog,
        signal: new AbortController().signal,
        patient: false,
        timeoutMs: 5_000,
        deadline: performance.now() + 5_000,
      })
      expect(proxy.questions()).toHaveLength(2)
      expect(await session!.sql.unsafe('show lock_timeout')).toEqual([{ lock_timeout: '0' }])
      await session!.end()
    })
  })

  test('a proxy whose role and database have settings of their own', async ({ database, sql }) => {
    await sql.unsafe(`alter database ${database} set lock_timeout = '7s'`)
    await sql.unsafe(`alter database ${database} ${otherStrings()}`)
    await withProxy(
      rewritten(() => Buffer.alloc(0)),
      async (proxy) => {
        const session = await sessionOn(proxy.url(database))
        expect(await session.sql.unsafe('show lock_timeout')).toEqual([{ lock_timeout: '0' }])
        await session.end()
      },
    )
  })
})

type Proxy = {
  url(database: string): string
  /** Simple queries of all clients so far. */
  questions(): string[]
}

/** A proxy in front of the run's server that changes what the server answers. */
async function withProxy(change: (answer: Buffer) => Buffer, use: (proxy: Proxy) => Promise<void>): Promise<void> {
  const sockets = new Set<Socket>()
  const sent: string[] = []
  const listener = createServer((near) => {
    const far = connect(server().port, '127.0.0.1')
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {}).on('close', () => (socket === near ? far : near).destroy())
    }
    near.on('data', (chunk) => {
      if (chunk[0] === 0x51) sent.push(chunk.toString('utf8', 5))
      far.write(chunk)
    })
    far.on('data', (chunk) => near.write(change(chunk)))
  })
  await once(listener.listen(0, '127.0.0.1'), 'listening')
  const { port } = listener.address() as { port: number }
  try {
    await use({
      url: (database) => urlOf(database).replace(`:${server().port}/`, `:${port}/`),
      questions: () => sent,
    })
  } finally {
    for (const socket of sockets) socket.destroy()
    listener.close()
  }
}
