import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { freePort, type Server, startServer } from '../scripts/server.ts'
import { client } from './support/backup.ts'
import { run, runJson, start } from './support/cli.ts'
import { fails } from './support/fails.ts'
import { type Sql, server, test, uniqueName, writeFiles } from './support/postgres.ts'

const settings = ['fsync=off']
let primary: Server
/** They follow the primary, until the last tests promote one of them. */
let first: Server
let second: Server
let sql: Sql

beforeAll(async () => {
  primary = await startServer(server().binDir, { settings })
  await primary.stop()
  const standby = () => startServer(server().binDir, { settings, standbyOf: primary })
  ;[first, second] = await Promise.all([standby(), standby()])
  await primary.start()
  sql = connect(primary)
}, 120_000)

afterAll(async () => {
  await sql?.end({ timeout: 1 })
  for (const one of [second, first, primary]) await one?.remove()
})

const connect = (at: Server, database = 'postgres') =>
  postgres(at.url(database), { max: 1, fetch_types: false, onnotice() {}, no_subscribe: true } as postgres.Options<
    Record<string, never>
  >)

const name = ({ port }: { port: number }) => `127.0.0.1:${port}`

/** A URL with several hosts, in their order. */
function url(hosts: { port: number }[], { database = 'postgres', parameters = '', user = '' } = {}): string {
  const given = primary.url(database).replace(name(primary), hosts.map(name).join(','))
  return (user ? given.replace(/\/\/[^@]*@/, `//${user}@`) : given) + parameters
}

const env = (DATABASE_URL: string, timeout = '30s') => ({ DATABASE_URL, PGBOSUN_WAIT_TIMEOUT: timeout })

/** In the database of its name, at the primary. */
async function isThere(table: string): Promise<boolean> {
  const other = connect(primary, table)
  const [row] = await other<{ found: boolean }[]>`select to_regclass(${table}) is not null as found`
  await other.end()
  return row!.found
}

describe('a standby first in the URL', () => {
  test('leads to the primary, wherever that stands and whoever is down', { timeout: 60_000 }, async ({ dir }) => {
    const down = { port: await freePort() }
    for (const [i, hosts] of [
      [first, primary],
      [first, second, primary],
      [down, first, primary],
      [first, down, primary, second],
    ].entries()) {
      const table = `t${i}_${uniqueName('x')}`
      await sql.unsafe(`create database ${table}`)
      await writeFiles(dir, { [`w${i}/migrations/0001_a.sql`]: `create table ${table} ();\n` })
      const { code, json, stderr } = await runJson(['migrate'], {
        cwd: join(dir, `w${i}`),
        env: env(url(hosts, { database: table })),
      })
      expect(code, stderr).toBe(0)
      expect(json.results).toHaveLength(1)
      expect(await isThere(table)).toBe(true)
    }
  })

  test('is only a standby where any host was asked for', async ({ dir }) => {
    const failure = await fails(['wait'], {
      cwd: dir,
      env: env(url([first, primary], { parameters: '?target_session_attrs=any' }), '1s'),
    })
    expect(failure).toMatchObject({ code: 10, message: expect.stringContaining('(a standby)') })
  })

  test('is good enough for wait --allow-standby, which looks at no other', async ({ dir }) => {
    // The second belongs to another cluster, which nobody who looked there would accept.
    const hosts = [first, server()]
    expect(await run(['wait', '--allow-standby'], { cwd: dir, env: env(url(hosts)) })).toMatchObject({ code: 0 })
    expect(await run(['wait'], { cwd: dir, env: env(url(hosts)) })).toMatchObject({ code: 10 })
  })

  test('beside others that are none of them the primary is waited for, and all are named', async ({ dir }) => {
    const down = { port: await freePort() }
    const failure = await fails(['wait'], { cwd: dir, env: env(url([first, second, down]), '1s') })
    expect(failure.code).toBe(10)
    expect(failure.message).toContain(
      `${name(first)} is a standby, and there is no primary: ${name(second)} is a standby too`,
    )
    expect(failure.message).toContain(`${name(down)}: connect ECONNREFUSED`)

    const alone = await fails(['wait'], { cwd: dir, env: env(url([down, first]), '1s') })
    expect(alone.code).toBe(10)
    expect(alone.message).toContain(`there is no primary: ${name(down)}: connect ECONNREFUSED`)
  })

  test('beside a server of another cluster is exit 10 at once, naming both', { timeout: 20_000 }, async ({ dir }) => {
    const failure = await fails(['wait'], { cwd: dir, env: env(url([first, server()]), '10m') })
    expect(failure).toMatchObject({ code: 10, hint: expect.stringContaining('belong to one cluster') })
    for (const host of [first, server()]) expect(failure.message).toContain(name(host))
    const [row] = await sql<{ id: string }[]>`select system_identifier::text as id from pg_control_system()`
    expect(failure.message).toContain(row!.id)
  })

  test('is not left for a server whose cluster may not be asked for', { timeout: 20_000 }, async ({ dir }) => {
    const user = uniqueName('low')
    await sql.unsafe(`create role ${user} login password 'geheim'`)
    const options = { cwd: dir, env: env(url([first, primary], { user: `${user}:geheim` })) }
    // Everybody may, until somebody takes it away.
    await expect.poll(async () => (await run(['wait'], options)).code, { timeout: 10_000 }).toBe(0)
    await sql.unsafe('revoke execute on function pg_control_system() from public')
    try {
      await expect.poll(async () => (await run(['wait'], options)).code, { timeout: 10_000 }).toBe(10)
      const failure = await fails(['wait'], options)
      expect(failure.message).toContain(`the user may not call pg_catalog.pg_control_system() at ${name(first)}`)
      expect(failure.message).toContain(name(primary))
      expect(failure.hint).toContain('grant execute')
    } finally {
      await sql.unsafe('grant execute on function pg_control_system() to public')
    }
  })
})

describe('the host that was chosen', () => {
  test('is that of a database that is made first', { timeout: 30_000 }, async ({ dir }) => {
    const database = uniqueName('t')
    await writeFiles(dir, {
      'pgbosun.yaml': JSON.stringify({ databases: { [database]: {} } }),
      'migrations/0001_a.sql': `create table ${database} ();\n`,
    })
    const { code, stderr } = await run(['up'], { cwd: dir, env: env(url([first, primary], { database })) })
    expect(code, stderr).toBe(0)
    expect(await isThere(database)).toBe(true)
  })

  test('is that of a program that migrates', { timeout: 30_000 }, async ({ dir }) => {
    const said = join(dir, 'said.json')
    const script = `require('node:fs').writeFileSync(${JSON.stringify(said)}, JSON.stringify(process.env))`
    const database = uniqueName('t')
    await sql.unsafe(`create database ${database}`)
    await writeFiles(dir, {
      'pgbosun.yaml': JSON.stringify({ migrate: { command: [process.execPath, '-e', script] } }),
    })
    const { code, stderr } = await run(['up'], { cwd: dir, env: env(url([first, primary, second], { database })) })
    expect(code, stderr).toBe(0)
    const its = JSON.parse(readFileSync(said, 'utf8')) as Record<string, string>
    expect(its).toMatchObject({ PGHOST: '127.0.0.1', PGPORT: String(primary.port) })
    expect(new URL(its.DATABASE_URL!).host).toBe(name(primary))
  })

  test.skipIf(!client)('is that of pg_dump and pg_restore', { timeout: 60_000 }, async ({ dir }) => {
    const database = uniqueName('t')
    await sql.unsafe(`create database ${database}`)
    await writeFiles(dir, {
      'pgbosun.yaml': JSON.stringify({ backup: { store: pathToFileURL(join(dir, 'store')).href } }),
    })
    const options = { cwd: dir, env: env(url([first, primary], { database })) }
    for (const args of [
      ['backup', 'run'],
      ['restore', '--into', `${database}_copy`, '--yes'],
    ]) {
      const { code, stderr } = await run(args, options)
      expect(code, stderr).toBe(0)
    }
    const [row] = await sql<
      { n: number }[]
    >`select count(*)::int as n from pg_database where datname = ${`${database}_copy`}`
    expect(row).toEqual({ n: 1 })
  })
})

// From here on the first is no standby any more.
describe('a standby that is promoted', () => {
  test('is waited for, and is a second primary then, which is exit 10 naming both', { timeout: 60_000 }, async ({
    dir,
  }) => {
    const waiting = start(['wait'], { cwd: dir, env: env(url([second, first])) })
    let said = ''
    waiting.child.stderr?.on('data', (text: string) => {
      said += text
    })
    await expect.poll(() => said, { timeout: 20_000 }).toContain('there is no primary')
    const other = connect(first)
    await other`select pg_promote()`
    await other.end()
    expect(await waiting.finished).toMatchObject({ code: 0 })

    const failure = await fails(['wait'], { cwd: dir, env: env(url([second, primary, first]), '10m') })
    expect(failure).toMatchObject({ code: 10, hint: expect.stringContaining('only one of them') })
    for (const host of [primary, first]) expect(failure.message).toContain(name(host))
  })
})
