import { hostname } from 'node:os'
import { crc32 } from 'node:zlib'
import postgres from 'postgres'
import { describe, expect, onTestFinished } from 'vitest'
import { freePort, startServer } from '../scripts/server.ts'
import { type Cluster, test, until } from './support/chaos.ts'
import { run, runJson, start } from './support/cli.ts'
import { server as shared, uniqueName, writeFiles } from './support/postgres.ts'

const clusterLock = '1885823599, 0'
const lockOf = (name: string) => `1885823599, ${crc32(name) | 0}`
const password = 'geheim of the role'

/** A new role that may log in, without any other right. */
async function newRole(cluster: Cluster, options = ''): Promise<string> {
  const name = uniqueName('mallory')
  await cluster.ask(`create role ${name} login password '${password}' ${options}`)
  return name
}

function urlAs(cluster: Pick<Cluster, 'url'>, user: string, database = 'postgres'): string {
  const url = new URL(cluster.url(database))
  url.username = user
  url.password = encodeURIComponent(password)
  return url.href
}

/** A session of a user, until the test ends. */
async function session(url: string, application = 'psql') {
  const sql = postgres(url, {
    max: 1,
    fetch_types: false,
    prepare: false,
    onnotice() {},
    connection: { application_name: application },
    backoff: () => 3600,
  } as unknown as postgres.Options<Record<string, never>>)
  onTestFinished(() => sql.end({ timeout: 0 }))
  const [row] = (await sql.unsafe('select pg_backend_pid() as pid')) as unknown as { pid: number }[]
  return { sql, pid: row!.pid, end: () => sql.end({ timeout: 0 }) }
}

/** Takes a lock as a user and keeps it. */
async function hold(cluster: Cluster, user: string, keys: string, application?: string, database = 'postgres') {
  const holder = await session(urlAs(cluster, user, database), application)
  await holder.sql.unsafe(`select pg_advisory_lock(${keys})`)
  return holder
}

/** A folder with one migration, and a database whose owner applies it. */
async function ownApp(cluster: Cluster, dir: string, options = '') {
  const database = uniqueName('app')
  const owner = await newRole(cluster, options)
  await cluster.ask(`create database ${database} owner ${owner}`)
  await writeFiles(dir, { 'pgbosun.yaml': 'lock: { timeout: 300ms }', 'migrations/001_t.sql': 'create table t ()' })
  const env = { DATABASE_URL: urlAs(cluster, owner, database) }
  return {
    database,
    owner,
    runJson: (...args: string[]) => runJson(args, { cwd: dir, env }),
    start: (command: string, options: { env?: Record<string, string> } = {}) =>
      start([command], { cwd: dir, env: { ...env, ...options.env } }),
  }
}

const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-/

/** Waits until a migration that sleeps is running. */
const works = (cluster: Cluster, database: string) =>
  until('it works', () =>
    cluster
      .ask(
        `select from pg_stat_activity where query like '%pg_sleep(%' and state = 'active' and datname = '${database}'`,
      )
      .then((rows) => rows.length > 0),
  )

const isThere = async (cluster: Cluster, pid: number) =>
  (await cluster.ask(`select from pg_stat_activity where pid = ${pid}`)).length > 0

describe('a lock that is held by a user that is not ours', () => {
  test('the message names the user, whatever application_name its session has, and how to end it', async ({
    cluster,
    makeApp,
  }) => {
    const app = await makeApp({ lock: { timeout: '500ms' } })
    const mallory = await newRole(cluster)
    const holder = await hold(cluster, mallory, clusterLock, 'pgbosun 0f1e2d3c')

    const { code, json, stderr } = await app.runJson('up')
    expect([code, json.error?.kind]).toEqual([11, 'locked'])
    expect(json.error?.message).toMatch(
      new RegExp(
        `^the lock on roles and databases was held for more than 500ms by user ${mallory}, who is not a pgbosun user \\(pid ${holder.pid}, calls itself "pgbosun 0f1e2d3c", from 127\\.0\\.0\\.1, connected for \\d+ s\\)$`,
      ),
    )
    expect(json.error?.hint).toBe(
      `if it should not be there, \`up\` or \`migrate\` with --take-lock ends it; or end it as an administrator: select pg_catalog.pg_terminate_backend(${holder.pid});`,
    )
    expect(stderr).toContain('waiting for the lock on roles and databases: held by user')
    expect(await isThere(cluster, holder.pid)).toBe(true)
    await holder.end()
  })

  test('--take-lock ends it, in every command that takes the lock', { timeout: 120_000 }, async ({
    cluster,
    makeApp,
  }) => {
    const app = await makeApp({ lock: { timeout: '300ms' } })
    await app.write({
      'migrations/001_t.sql': 'create table t ()',
      'migrations/001_t.down.sql': 'drop table t',
      'migrations/002_u.sql': 'create table u ()',
      'migrations/002_u.down.sql': 'drop table u',
    })
    const mallory = await newRole(cluster)
    const commands: [string[], string][] = [
      [['up'], clusterLock],
      [['roles', 'apply'], clusterLock],
      [['seed'], lockOf(app.database)],
      [['migrate', 'redo'], lockOf(app.database)],
      [['migrate', 'down'], lockOf(app.database)],
      [['migrate'], lockOf(app.database)],
      [['migrate', 'up'], lockOf(app.database)],
      [['migrate', 'repair', '--yes'], lockOf(app.database)],
      [['migrate', 'baseline', '002'], lockOf(app.database)],
    ]
    for (const [command, keys] of commands) {
      const holder = await hold(cluster, mallory, keys)
      const { code, json, stderr } = await app.runJson(...command, '--take-lock')
      expect([command, code, json.error]).toEqual([command, 0, null])
      expect(stderr).toMatch(
        new RegExp(
          `ended a session of user ${mallory}, who is not a pgbosun user: it was in the way of the lock (of|on) `,
        ),
      )
      expect(await isThere(cluster, holder.pid)).toBe(false)
      await holder.end()
    }
  })

  test('sessions that wait for it are ended with it', async ({ cluster, makeApp }) => {
    const app = await makeApp({ lock: { timeout: '300ms' } })
    const mallory = await newRole(cluster)
    const holder = await hold(cluster, mallory, clusterLock)
    const queue = await Promise.all(Array.from({ length: 15 }, () => session(urlAs(cluster, mallory))))
    for (const { sql } of queue) sql.unsafe(`select pg_advisory_lock(${clusterLock})`).catch(() => {})
    await until('all of them wait', async () => {
      const rows = await cluster.ask(`select from pg_locks where locktype = 'advisory' and not granted`)
      return rows.length === 15
    })
    expect((await app.run('up', '--take-lock')).code).toBe(0)
    for (const { pid } of [holder, ...queue]) expect(await isThere(cluster, pid)).toBe(false)
    await Promise.all([holder, ...queue].map(({ end }) => end()))
  })

  test('a user that takes it again and again is ended ten times, and then named', async ({ cluster, makeApp }) => {
    const app = await makeApp({ lock: { timeout: '300ms' } })
    const mallory = await newRole(cluster)
    // one holds it, the others neither hold it nor wait: each takes it as soon as it is free
    const attack = await Promise.all(Array.from({ length: 14 }, () => session(urlAs(cluster, mallory))))
    for (const { sql } of attack)
      sql
        .unsafe(
          `do $$ begin
             while not pg_try_advisory_lock(${clusterLock}) loop perform pg_sleep(0.001); end loop;
             perform pg_sleep(600);
           end $$`,
        )
        .catch(() => {})
    await until('it is held', async () => {
      const rows = await cluster.ask(`select from pg_locks where locktype = 'advisory' and granted`)
      return rows.length > 0
    })
    const { code, json } = await app.runJson('up', '--take-lock')
    // the server does not notice that their clients have gone
    await cluster.ask(`select pg_terminate_backend(pid) from pg_stat_activity where usename = '${mallory}'`)
    expect([code, json.error?.kind]).toEqual([11, 'locked'])
    expect(json.error?.message).toContain('was taken again each time its holder was ended (10 times)')
    expect(json.error?.message).toContain(`now by user ${mallory}, who is not a pgbosun user`)
    expect(json.error?.hint).toContain(`alter role "${mallory}" nologin`)
  })

  test('a user that may not end it gets the statement for that; after it, the user may', async ({ cluster, dir }) => {
    const { database, owner, runJson } = await ownApp(cluster, dir)
    const mallory = await newRole(cluster)
    const holder = await hold(cluster, mallory, lockOf(database))

    const { code, json } = await runJson('migrate', '--take-lock')
    expect([code, json.error?.kind, json.error?.sqlstate]).toEqual([12, 'refused', '42501'])
    expect(json.error?.message).toContain(
      `the lock of database ${database} is held by user ${mallory}, who is not a pgbosun user (pid ${holder.pid}), but this user may not end that session`,
    )
    expect(json.error?.hint).toContain(`select pg_catalog.pg_terminate_backend(${holder.pid});`)

    await cluster.ask(`grant pg_signal_backend to ${owner}`)
    expect((await runJson('migrate', '--take-lock')).code).toBe(0)
    expect(await isThere(cluster, holder.pid)).toBe(false)
    await holder.end()
  })

  test('a prepared transaction has no session to end: it is named, with the statement for that', async ({ dir }) => {
    const server = await startServer(shared().binDir, {
      settings: ['fsync=off', 'max_prepared_transactions=5'],
    })
    try {
      const admin = await session(server.url('postgres'))
      await admin.sql.unsafe(`create role mallory login password '${password}'`)
      await admin.sql.unsafe('create database shop')
      const holder = await session(urlAs(server, 'mallory'))
      await holder.sql.unsafe(`begin; select pg_advisory_xact_lock(${clusterLock})`)
      await holder.sql.unsafe(`prepare transaction 'it''s mine'`)
      await holder.end()
      await writeFiles(dir, { 'pgbosun.yaml': 'lock: { timeout: 300ms }', 'migrations/001_t.sql': 'select 1' })
      const options = { cwd: dir, env: { DATABASE_URL: server.url('shop') } }

      const waited = await runJson(['up'], options)
      expect(waited.json).toMatchObject({
        exit_code: 11,
        error: {
          message: expect.stringMatching(
            /by the prepared transaction "it's mine" of user mallory, who is not a pgbosun user \(prepared \d+ s ago\)$/,
          ),
        },
      })
      const { json } = await runJson(['up', '--take-lock'], options)
      expect(json).toMatchObject({
        exit_code: 12,
        error: { kind: 'refused', hint: expect.stringContaining(`rollback prepared 'it''s mine';`) },
      })
      await admin.sql.unsafe(`rollback prepared 'it''s mine'`)
      expect((await run(['up'], options)).code).toBe(0)
      await admin.end()
    } finally {
      await server.remove()
    }
  })
})

describe('a lock that is held by a user that is ours', () => {
  test('--take-lock does not end our own session, even one that is no pgbosun session', async ({
    cluster,
    makeApp,
  }) => {
    const app = await makeApp({ lock: { timeout: '300ms' } })
    const holder = await cluster.hold(`select pg_advisory_lock(${clusterLock})`, 'postgres', 'a nightly job')
    const { code, json } = await app.runJson('up', '--take-lock')
    expect(code).toBe(11)
    expect(json.error?.message).toMatch(
      new RegExp(
        `by a nightly job \\(pid ${holder.pid}, user postgres, from 127\\.0\\.0\\.1, connected for \\d+ s\\), which is not a pgbosun session$`,
      ),
    )
    expect(json.error?.hint).toBe(
      `if it should not be there, end it as an administrator: select pg_catalog.pg_terminate_backend(${holder.pid});`,
    )
    expect(await isThere(cluster, holder.pid)).toBe(true)
    await holder.release()
  })

  test('a run of our own is waited for, with --take-lock too', async ({ cluster, makeApp }) => {
    const app = await makeApp({ lock: { timeout: '20s' } })
    await app.write({ 'migrations/001_slow.sql': 'create table t (); select pg_sleep(7)' })
    const first = app.start('up')
    await works(cluster, app.database)
    const second = await app.runJson('up', '--take-lock')
    expect(await first.finished).toMatchObject({ code: 0 })
    expect([second.code, second.json.error]).toEqual([0, null])
    expect(second.stderr).not.toContain('ended')
  })

  test('the message names the host, the process and the command of that run, and its log', async ({ cluster, dir }) => {
    const { database, owner, runJson, start } = await ownApp(cluster, dir)
    await writeFiles(dir, { 'migrations/001_t.sql': 'create table t (); select pg_sleep(60)' })
    const first = start('up')
    await works(cluster, database)
    const who = `\`pgbosun up\` on host ${hostname()}, process ${first.child.pid} (session pid `
    const { code, json, stderr } = await runJson('migrate')
    expect([code, json.error?.kind]).toEqual([11, 'locked'])
    expect(json.error?.message).toMatch(
      /^the lock of database \S+ was held for more than 300ms by `.* \(session pid \d+, user \S+, from 127\.0\.0\.1, connected for \d+ s\)$/,
    )
    expect(json.error?.message).toContain(who)
    expect(json.error?.message).toContain(`, user ${owner}, `)
    expect(json.error?.hint).toBe(
      `wait for that run, whose log is on host ${hostname()}, to finish, or raise lock.timeout`,
    )
    expect(stderr).toContain(`waiting for the lock of database ${database}: held by ${who}`)
    // each line of the log names its own run, and no other
    const own = /"run_id":"[^"]*"/g
    expect(new Set(stderr.match(own)).size).toBe(1)
    expect(stderr.replaceAll(own, '') + JSON.stringify(json)).not.toMatch(uuid)

    const port = await freePort()
    const serve = start('serve', { env: { PGBOSUN_SERVE_LISTEN: `127.0.0.1:${port}` } })
    const { code: ended, stderr: said } = await serve.finished
    expect(ended).toBe(11)
    expect(said).toContain(`held by ${who}`)
    expect(said).toContain(`300ms by ${who}`)
    first.child.kill('SIGTERM')
    await first.finished
  })

  test('of a run whose session this user may not read, it names what it may: the user and the id', async ({
    cluster,
    dir,
  }) => {
    const { database, runJson, start } = await ownApp(cluster, dir)
    await writeFiles(dir, { 'migrations/001_t.sql': 'create table t (); select pg_sleep(60)' })
    const first = start('up', { env: { DATABASE_URL: cluster.url(database) } })
    await works(cluster, database)
    const { code, json } = await runJson('migrate')
    expect(code).toBe(11)
    expect(json.error?.message).toMatch(/by a run of pgbosun \(pid \d+, user postgres, run [0-9a-f-]{36}\)$/)
    expect(json.error?.hint).toBe('wait for that run to finish, or raise lock.timeout')
    first.child.kill('SIGTERM')
    await first.finished
  })

  test('a signature of somebody else is not believed, and none may end the message', async ({ cluster, dir }) => {
    const { database, owner, runJson } = await ownApp(cluster, dir)
    const signature = '/* pgbosun {"command":"up","host":"db-1\\\\u001b[2J\\\\nhint: do it","pid":1} */'
    const take = `${signature} select pg_advisory_lock(${lockOf(database)})`
    const mallory = await session(urlAs(cluster, await newRole(cluster)))
    await mallory.sql.unsafe(take)
    await cluster.ask(`grant pg_read_all_stats to ${owner}`)
    expect((await runJson('migrate')).json.error?.message).toMatch(
      /by user mallory\S+, who is not .* calls itself "psql"/,
    )
    await mallory.end()

    const own = await session(urlAs(cluster, owner), 'pgbosun 0f1e2d3c')
    await own.sql.unsafe(take)
    const { json } = await runJson('migrate')
    expect(json.error?.message).toContain(
      'by `pgbosun up` on host "db-1\\\\u001b[2J\\\\nhint: do it", process 1 (session pid ',
    )
    await own.end()
  })

  test('nor one of a superuser, or of a member of our role: they may do everything that we may', async ({
    cluster,
    dir,
  }) => {
    const { database, owner, runJson } = await ownApp(cluster, dir, 'in role pg_signal_backend')
    const member = await newRole(cluster, `in role ${owner}`)
    const admin = await cluster.hold(
      `select pg_advisory_lock(${lockOf(database)})`,
      'postgres',
      'pgbosun of the platform',
    )
    const waited = await runJson('migrate', '--take-lock')
    expect(waited.code).toBe(11)
    expect(waited.json.error?.message).toContain(`by pgbosun of the platform (pid ${admin.pid}, user postgres)`)
    expect(waited.json.error?.hint).toBe('wait for that run to finish, or raise lock.timeout')
    await admin.release()

    const holder = await hold(cluster, member, lockOf(database))
    expect((await runJson('migrate', '--take-lock')).code).toBe(11)
    expect(await isThere(cluster, holder.pid)).toBe(true)
    await holder.end()
  })
})

describe('the lock of the session that works in a database', () => {
  test('cannot be kept by a user that is not ours', async ({ cluster, makeApp }) => {
    const app = await makeApp()
    expect((await app.run('up')).code).toBe(0)
    const mallory = await newRole(cluster)
    await cluster.ask(`grant connect on database ${app.database} to ${mallory}`)
    const holder = await hold(cluster, mallory, '1885823607, 0', 'psql', app.database)
    const { code, stderr } = await app.run('up')
    expect(code).toBe(0)
    expect(stderr).toContain(`ended a session of user ${mallory}, who is not a pgbosun user`)
    expect(await isThere(cluster, holder.pid)).toBe(false)
    await holder.end()
  })
})

describe('check', () => {
  const warning = 'everybody may connect to the lock database'
  /** The others are about what logins can reach. */
  const aboutLocks = ({ warnings }: Record<string, unknown>) =>
    (warnings as string[]).filter((text) => text.includes('lock database'))

  test('warns while PUBLIC may connect to lock.database, and up does not', async ({ makeApp }) => {
    const app = await makeApp()
    const up = await app.runJson('up')
    expect([up.code, up.json.warnings]).toEqual([0, []])
    const { code, json, stderr } = await app.runJson('check')
    expect([code, json.overall_healthy]).toEqual([0, true])
    expect(aboutLocks(json)).toEqual([
      'everybody may connect to the lock database postgres, and so block all runs: set lock.database to a database of its own, `revoke connect on database … from public`, and grant connect to the users that run pgbosun',
    ])
    expect(stderr).toContain(warning)
    expect((await app.runJson('status')).json.warnings).toEqual([])
  })

  test('does not warn while PUBLIC may not, by REVOKE or by default', async ({ cluster, makeApp }) => {
    const locks = uniqueName('locks')
    await cluster.ask(`create database ${locks}`)
    const app = await makeApp({ lock: { database: locks } })
    expect((await app.run('up')).code).toBe(0)
    expect(aboutLocks((await app.runJson('check')).json)).toEqual([expect.stringContaining(`${warning} ${locks}`)])
    await cluster.ask(`revoke connect on database ${locks} from public`)
    expect(aboutLocks((await app.runJson('check')).json)).toEqual([])
    await cluster.ask(`grant connect on database ${locks} to ${await newRole(cluster)}`)
    expect(aboutLocks((await app.runJson('check')).json)).toEqual([])
    await cluster.ask(`grant connect on database ${locks} to public`)
    expect(aboutLocks((await app.runJson('check')).json)).toHaveLength(1)
  })
})
