import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { type Server, startServer } from '../scripts/server.ts'
import { run } from './support/cli.ts'
import { test as base, server as shared, uniqueName, writeFiles } from './support/postgres.ts'

/** A server that logs all it can: each statement, its plan, its parse tree, how long it took, and, of a failed one, the text. */
let server: Server
let admin: postgres.Sql
beforeAll(async () => {
  server = await startServer(shared().binDir, {
    settings: [
      'fsync=off',
      `shared_preload_libraries='pg_stat_statements,auto_explain'`,
      ...['auto_explain.log_min_duration=0', 'auto_explain.log_nested_statements=on', 'auto_explain.log_analyze=on'],
      ...['log_statement=all', 'log_duration=on', 'log_min_duration_statement=0', 'log_min_error_statement=debug5'],
      ...['log_min_duration_sample=0', 'log_statement_sample_rate=1', 'log_transaction_sample_rate=1'],
      'debug_print_parse=on',
      'pg_stat_statements.track=all',
    ],
  })
  admin = postgres(server.url('postgres'), { max: 1, onnotice() {}, fetch_types: false })
  await admin.unsafe('create extension pg_stat_statements')
})
afterAll(async () => {
  await admin?.end({ timeout: 1 })
  await server?.remove()
})

/** Part of each password here, and of nothing else. */
const secret = /geheimnis/

/** The statements of all sessions that have a secret, as others see them while `work` runs. */
async function seenDuring(work: () => Promise<void>): Promise<string[]> {
  const watcher = postgres(server.url('postgres'), { max: 1, fetch_types: false })
  const found = new Set<string>()
  let working = true
  const looking = (async () => {
    while (working) {
      const rows = await watcher.unsafe(`select query from pg_stat_activity where pid <> pg_backend_pid()`)
      for (const { query } of rows) if (secret.test(query)) found.add(query)
      await sleep(5)
    }
  })()
  try {
    await work()
  } finally {
    working = false
    await looking
    await watcher.end()
  }
  return [...found]
}

type Shop = { user: string; database: string; up(args?: string[], env?: object): ReturnType<typeof run> }

const test = base.extend<{ shop: Shop }>({
  shop: async ({ dir }, use) => {
    const [user, database] = [uniqueName('user'), uniqueName('leak')]
    await use({
      user,
      database,
      up: (args = ['up'], env = {}) =>
        run([...args, '--log-level', 'debug'], { cwd: dir, env: { DATABASE_URL: server.url(database), ...env } }),
    })
  },
})

/** The parts of the verifiers that the declared users have. */
async function verifierParts(user: string): Promise<string[]> {
  const rows = await admin.unsafe(`select rolpassword from pg_authid where rolname ^@ '${user}'`)
  return rows.flatMap(({ rolpassword }) =>
    (rolpassword?.split(/[$:]/) ?? []).filter((part: string) => part.length > 20),
  )
}

async function expectNowhere({ user, database }: Shop, results: Awaited<ReturnType<typeof run>>[]): Promise<void> {
  const parts = await verifierParts(user)
  expect(parts.length).toBeGreaterThan(2)
  const hasSecret = (text: string) => secret.test(text) || parts.some((part) => text.includes(part))
  const target = postgres(server.url(database), { max: 1, fetch_types: false })
  try {
    const events = await target.unsafe(`select e::text as event from pgbosun.events e`)
    const counted = await admin.unsafe(`select query from pg_stat_statements`)
    const log = readFileSync(server.logFile, 'utf8').split('\n')
    const texts = {
      output: results.flatMap(({ stdout, stderr }) => [stdout, stderr]),
      events: events.map(({ event }) => event as string),
      statistics: counted.map(({ query }) => query as string),
      log,
    }
    const verifiers = log.filter((line) => line.includes('SCRAM-SHA-256$'))
    expect(verifiers, 'nor that of a login that is made for the run').toEqual([])
    for (const [where, lines] of Object.entries(texts))
      expect([where, lines.length > 0, lines.filter(hasSecret)]).toEqual([where, true, []])
  } finally {
    await target.end()
  }
}

const migrations = { 'migrations/1_t.sql': 'create table t (id int)', 'seeds/1.sql': 'insert into t values (1)' }

describe('a password is nowhere but in its secret', () => {
  test.for(['verifier', 'plaintext'])('when it is sent as %s', async (send, { dir, shop }) => {
    const users = { [`${shop.user}_a`]: { preset: 'app', password: { env: 'A' } } }
    const more = { [shop.user]: { password: { env: 'B' } } }
    await writeFiles(dir, {
      ...migrations,
      'pgbosun.yaml': JSON.stringify({
        databases: { [shop.database]: { users } },
        users: more,
        passwords: { send },
        seeds: [{ dir: 'seeds' }],
      }),
    })
    const first = { A: 'geheimnis 1', B: 'geheimnis 2' }
    const then = { A: 'geheimnis 3', B: `geheimnis ' $$ ; ü` }
    const results: Awaited<ReturnType<typeof run>>[] = []
    const seen = await seenDuring(async () => {
      for (const [command, env] of [
        ['plan', first],
        ['up', first],
        ['up', then],
        ['check', then],
      ] as const)
        results.push(await shop.up([command], env))
    })
    expect(results.map(({ code, stderr }) => (code === 0 ? code : stderr))).toEqual([0, 0, 0, 0])
    // who may read the statements of others sees a verifier, or, where that was chosen, the password
    if (send === 'verifier') expect(seen).toEqual([])
    await expectNowhere(shop, results)
    const log = readFileSync(server.logFile, 'utf8')
    expect(log).toContain(`create role "${shop.user}"`)
    expect(log).toMatch(/create role "pgbosun_[0-9a-f]{8}_[0-9a-f]{8}" login/)
  })

  test.for(['verifier', 'plaintext'])('when the statement is slow and fails, and it is sent as %s', async (send, {
    dir,
    shop,
  }) => {
    const declared = (password?: object) =>
      writeFiles(dir, {
        ...migrations,
        'pgbosun.yaml': JSON.stringify({
          databases: { [shop.database]: {} },
          users: { [shop.user]: password ? { password } : {} },
          passwords: { send },
        }),
      })
    await declared()
    expect((await shop.up()).code).toBe(0)
    await declared({ env: 'A' })
    const holder = postgres(server.url('postgres'), { max: 1, fetch_types: false })
    try {
      await holder.unsafe(`begin; update pg_authid set rolconnlimit = 7 where rolname = '${shop.user}'`)
      // what sets the password waits for the row, and then fails, because it is another one
      const running = shop.up(['up'], { A: 'geheimnis 4' })
      const waiting = `select from pg_stat_activity where wait_event_type = 'Lock' and query ~ '^alter role'`
      await expect.poll(async () => (await admin.unsafe(waiting)).length, { timeout: 20_000 }).toBe(1)
      await sleep(300)
      await holder.unsafe('commit')
      const done = await running
      expect([done.code, done.stderr]).toEqual([0, expect.stringContaining('planning again')])
      await expectNowhere(shop, [done])
      expect(readFileSync(server.logFile, 'utf8')).toMatch(/ERROR: {2}tuple concurrently updated/)
    } finally {
      await holder.end({ timeout: 1 })
    }
  })

  test('when a login without superuser sends it as plaintext, as far as the server lets it', async ({ dir, shop }) => {
    if (server.major < 15) return // there, only a superuser keeps a statement out of the log
    const deputy = `${shop.user}_deputy`
    const may = 'log_statement, log_min_error_statement, log_min_duration_statement, log_min_duration_sample'
    await admin.unsafe(
      `create role "${deputy}" login createrole createdb password 'x'; grant select on pg_authid to "${deputy}";
       grant set on parameter ${may}, log_transaction_sample_rate, pg_stat_statements.track_utility to "${deputy}"`,
    )
    await admin.unsafe(`create database "${shop.database}" owner "${deputy}"`)
    await writeFiles(dir, {
      ...migrations,
      'pgbosun.yaml': JSON.stringify({
        users: { [shop.user]: { password: { env: 'A' } } },
        passwords: { send: 'plaintext' },
      }),
    })
    const url = new URL(server.url(shop.database))
    Object.assign(url, { username: deputy, password: 'x' })
    const results = [await shop.up(['up'], { A: 'geheimnis 5', DATABASE_URL: String(url) })]
    expect(results.map(({ code, stderr }) => (code === 0 ? code : stderr))).toEqual([0])
    await expectNowhere(shop, results)
  })
})
