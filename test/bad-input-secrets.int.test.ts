import { readFileSync } from 'node:fs'
import postgres from 'postgres'
import { afterAll, beforeAll, expect } from 'vitest'
import { type Server, startServer } from '../scripts/server.ts'
import { run, start } from './support/cli.ts'
import { expectNoSecret, fails } from './support/fails.ts'
import { server as shared, test, writeFiles } from './support/postgres.ts'

/** A server that logs everything it can log. */
let server: Server
let admin: postgres.Sql
beforeAll(async () => {
  const logging = [
    'log_statement=all',
    'log_min_error_statement=error',
    'log_min_duration_statement=0',
    'log_connections=on',
  ]
  server = await startServer(shared().binDir, { settings: ['fsync=off', ...logging] })
  admin = postgres(server.url('postgres'), { max: 1, onnotice() {}, fetch_types: false } as postgres.Options<
    Record<string, never>
  >)
})
afterAll(async () => {
  await admin?.end({ timeout: 1 })
  await server?.remove()
})

const log = () => readFileSync(server.logFile, 'utf8')

const users = (...names: string[]) =>
  `users: { ${names.map((name) => `${name}: { password: { file: ${name}.pw } }`).join(', ')} }`

test('no password reaches stdout, stderr, pg_stat_activity or the server’s log', async ({ dir }) => {
  const names = Array.from({ length: 20 }, (_, i) => `user_${i}`)
  const files = (word: string) => Object.fromEntries(names.map((name) => [`${name}.pw`, `geheim ${word} of ${name}`]))
  await writeFiles(dir, { 'pgbosun.yaml': users(...names), ...files('first') })
  const options = { cwd: dir, env: { DATABASE_URL: server.url('postgres') } }
  const seen = new Set<string>()

  for (const word of ['first', 'second']) {
    await writeFiles(dir, files(word))
    const { finished } = start(['up', '--log-level', 'debug'], options)
    let running = true
    const watching = (async () => {
      while (running) for (const { query } of await admin`select query from pg_stat_activity`) seen.add(query)
    })()
    const result = await finished
    running = false
    await watching
    expect(result.code, result.stderr).toBe(0)
    expect(result.stdout).toContain(word === 'first' ? '40 changes' : 'set password of role user_19')
    expectNoSecret(result)
    expect(result.stdout + result.stderr).not.toContain('SCRAM-SHA-256$')
  }

  expect([...seen].join('\n')).not.toContain('geheim')
  expect(seen.size).toBeGreaterThan(3)
  expect(log()).toContain('create role "user_19"')
  expect(log()).not.toContain('geheim')
  expect(log()).not.toContain('SCRAM-SHA-256$')
  expect(log()).not.toContain(server.password)
})

test('not even when the server refuses the password', async ({ dir, skip }) => {
  const there = await admin.unsafe("load 'passwordcheck'").then(
    () => true,
    () => false,
  )
  if (!there) {
    console.warn('SKIPPED, a refused password: this server comes without the module passwordcheck')
    skip()
  }
  await admin`alter system set session_preload_libraries = 'passwordcheck'`
  await admin`select pg_reload_conf()`
  await writeFiles(dir, { 'pgbosun.yaml': users('geheimnis'), 'geheimnis.pw': 'geheimnis' })
  const options = { cwd: dir, env: { DATABASE_URL: server.url('postgres') } }

  const { code, stdout, stderr } = await run(['up', '--log-level', 'debug'], options)
  expect(code).toBe(30)
  expect(stderr).toContain('error: set password of role geheimnis failed: password must not equal user name')
  expect(stderr).toMatch(/\nhint: .*choose another/)
  expect(stdout + stderr + log()).not.toContain('SCRAM-SHA-256$')
})

test('nor when the URL is wrong in any way', async ({ dir }) => {
  const url = new URL(server.url('postgres'))
  const variants = [
    `postgres://nobody:geheim@${url.host}/postgres`,
    `postgres://postgres:geheim@${url.host}/postgres?sslmode=verify-full`,
    `postgres://postgres:geheim@${url.host}/postgres?sslmode=geheim2`.replace('geheim2', 'sometimes'),
    `postgres:/postgres:geheim@${url.host}/postgres`,
    `postgres://postgres:geheim@host with blanks/postgres`,
    `postgres://postgres:geheim@${url.hostname}:99999/postgres`,
  ]
  for (const value of variants)
    expect(
      await fails(['wait'], { cwd: dir, env: { DATABASE_URL: value, PGBOSUN_WAIT_TIMEOUT: '200ms' } }),
    ).toMatchObject({
      kind: expect.stringMatching(/^(usage|refused|unreachable)$/),
    })
})
