import { spawnSync } from 'node:child_process'
import { cpSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { type Server, startServer } from '../scripts/server.ts'
import { runJson } from './support/cli.ts'
import { test as base, type Sql, server as shared, writeFiles } from './support/postgres.ts'

const example = join(import.meta.dirname, '../examples/web-app')
const databases = ['kennwilliamson', 'kennwilliamson_test']

/** The names of the databases are the example's own, so the server is, too. */
let server: Server
beforeAll(async () => {
  server = await startServer(shared().binDir, {
    settings: ['fsync=off', 'shared_preload_libraries=pg_stat_statements'],
  })
})
afterAll(() => server.remove())

const test = base.extend<{
  app: {
    dir: string
    pgbosun(...args: string[]): ReturnType<typeof runJson>
    open(database: string, user?: string): Sql
  }
}>({
  app: async ({ dir }, use) => {
    const config = readFileSync(join(example, 'pgbosun.yaml'), 'utf8')
    cpSync(example, dir, { recursive: true, filter: (path) => !/\/(secrets|backups)$/.test(path) })
    await writeFiles(dir, {
      'pgbosun.yaml': config
        .replaceAll('/run/secrets/', `${dir}/secrets/`)
        .replace('file:///backups', `file://${dir}/backups`),
      'secrets/app_password': 'app secret',
      'secrets/backup_password': 'backup secret',
      'secrets/backup_url': `postgres://kennwilliamson_backup:backup%20secret@127.0.0.1:${server.port}/kennwilliamson`,
    })
    const opened: Sql[] = []
    await use({
      dir,
      pgbosun: (...args) => runJson(args, { cwd: dir, env: { DATABASE_URL: server.url('kennwilliamson') } }),
      open(database, user) {
        const url = new URL(server.url(database))
        if (user) [url.username, url.password] = [user, 'app%20secret']
        const sql = postgres(url.href, { max: 1, onnotice() {}, fetch_types: false })
        opened.push(sql)
        return sql
      },
    })
    for (const sql of opened) await sql.end({ timeout: 1 })
  },
})

/** sqlx-cli is compiled for an hour: it is asked where somebody has installed it. */
const sqlx = (args: string[], url: string) =>
  spawnSync('sqlx', args, { encoding: 'utf8', env: { PATH: process.env.PATH, DATABASE_URL: url } })
const hasSqlx = sqlx(['--version'], '').status === 0
if (!hasSqlx)
  process.stderr.write('NOT RUN: what sqlx says of examples/web-app: sqlx is not here (cargo install sqlx-cli)\n')

describe('the web application', () => {
  test('gets two databases from the same files, and finds nothing to do afterwards', async ({ app }) => {
    const up = await app.pgbosun('up')
    expect([up.code, up.json.error]).toEqual([0, null])
    for (const name of databases) {
      const rows = await app.open(name)`select version::text, success from _sqlx_migrations order by version`
      expect(rows.map(({ version }) => version)).toEqual([
        '20250829024919',
        '20250829025210',
        '20250901080000',
        '20250901081500',
      ])
    }
    const again = await app.pgbosun('up')
    expect((again.json.steps as { changes: unknown[] }[]).flatMap(({ changes }) => changes)).toEqual([])
    const check = await app.pgbosun('check')
    expect([check.code, check.json.error]).toEqual([0, null])
  })

  test('has keys that sort by time, native where the server has them', async ({ app }) => {
    await app.pgbosun('up')
    const sql = app.open('kennwilliamson', 'kennwilliamson_app')
    const ids: string[] = []
    for (let i = 0; i < 3; i++) {
      const [row] =
        await sql`insert into users (email, display_name) values (${`${i}@x`}, 'x') returning id, (select pg_sleep(0.002))`
      ids.push(row!.id)
    }
    expect(ids).toEqual([...ids].sort())
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab]/)
    const [made] = await sql`select prosrc like '%uuidv7()%' as native from pg_proc where proname = 'uuid_generate_v7'`
    expect(made!.native).toBe(shared().major >= 18)
  })

  test('may open as many sessions as its pool, and no more', async ({ app }) => {
    await app.pgbosun('up')
    const sessions = Array.from({ length: 11 }, () => app.open('kennwilliamson', 'kennwilliamson_app'))
    for (const session of sessions.slice(0, 10)) await session`select 1`
    await expect(sessions[10]!`select 1`).rejects.toMatchObject({ code: '53300' })
  })

  test('takes the last migration back and again, as sqlx would', async ({ app }) => {
    await app.pgbosun('up')
    const down = await app.pgbosun('migrate', 'down')
    expect([down.code, down.json.error]).toEqual([0, null])
    const sql = app.open('kennwilliamson')
    expect(await sql`select to_regclass('public.sessions') as sessions`).toEqual([{ sessions: null }])
    if (hasSqlx) {
      const info = sqlx(['migrate', 'info', '--source', `${app.dir}/migrations`], server.url('kennwilliamson'))
      expect(info.stdout, info.stderr).toMatch(/20250901080000\/installed[\s\S]*20250901081500\/pending/)
    }
    expect((await app.pgbosun('migrate')).code).toBe(0)
  })
})
