import { describe, expect } from 'vitest'
import { startProxy } from '../bench/proxy.ts'
import { run } from './support/cli.ts'
import { server, test, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

/** What the client computes takes less, so that only what waits for an answer counts as a round trip. */
const delayMs = 100

/** Messages of a login: the start, the method and the proof of the password. */
const login = 3

const files = (database: string) => ({
  'pgbosun.yaml': `
databases:
  ${database}:
    owner: ${database}_owner
    users:
      ${database}_app: { preset: app, password: { env: APP_PASSWORD } }
seeds:
  - { file: seeds/settings.csv, table: settings, key: [name] }
check:
  tables: [settings]
`,
  'migrations/1_settings.sql': 'create table settings (name text primary key, value text)',
  'seeds/settings.csv': 'name,value\na,1\n',
})

describe('up with nothing to do', () => {
  test('needs at most six round trips after the login, one after the other', async ({ dir, database }) => {
    await writeFiles(dir, files(database))
    const env = { APP_PASSWORD: 'x' }
    const direct = new URL(urlOf(database))
    expect(await run(['up'], { cwd: dir, env: { ...env, DATABASE_URL: direct.href } })).toMatchObject({ code: 0 })

    const proxy = await startProxy(Number(direct.port), delayMs)
    const far = new URL(direct)
    far.port = String(proxy.port)
    const chains: number[] = []
    // On a busy machine independent sessions may seem to wait for each other.
    for (let i = 0; i < 3 && !(Math.min(...chains) <= login + 6); i++) {
      const { code, stdout } = await run(['up'], { cwd: dir, env: { ...env, DATABASE_URL: far.href } })
      expect([code, stdout]).toEqual([0, expect.stringContaining('ready, nothing to do')])
      chains.push(proxy.taken().longestChain)
    }
    proxy.close()
    expect(Math.min(...chains), `PostgreSQL ${server().major}, ${chains}`).toBeLessThanOrEqual(login + 6)
  })

  test('opens no more than one session at once besides its two', async ({ dir, database, sql }) => {
    const user = { name: uniqueName('few'), password: 'x' }
    const files = { 'pgbosun.yaml': 'migrate: { format: goose }', 'migrations/1_a.sql': '-- +goose Up\nselect 1;\n' }
    await writeFiles(dir, files)
    await sql.unsafe(`create role ${user.name} login password 'x' connection limit 5`)
    await sql.unsafe(`alter database ${database} owner to ${user.name}`)
    await sql.unsafe(`alter schema public owner to ${user.name}`)
    const env = { DATABASE_URL: urlOf(database, user) }
    expect(await run(['up'], { cwd: dir, env })).toMatchObject({ code: 0 })
    await sql.unsafe(`alter role ${user.name} connection limit 3`)
    const left = `select pg_catalog.count(*)::int as n from pg_catalog.pg_stat_activity where usename = '${user.name}'`
    for (let i = 0; i < 5; i++) {
      await expect.poll(async () => (await sql.unsafe(left))[0]?.n, { timeout: 10_000 }).toBe(0)
      expect(await run(['up'], { cwd: dir, env })).toMatchObject({ code: 0 })
    }
  })
})
