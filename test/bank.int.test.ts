import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Server, startServer } from '../scripts/server.ts'
import { runJson } from './support/cli.ts'
import { server as shared, writeFiles } from './support/postgres.ts'

const example = join(import.meta.dirname, '../examples/bank')

/** The names are the example's own, so the server is, too. */
let server: Server
let dir: string
const opened: postgres.Sql[] = []
beforeAll(async () => {
  server = await startServer(shared().binDir, {
    settings: ['fsync=off', 'shared_preload_libraries=pg_stat_statements'],
  })
  dir = mkdtempSync(join(tmpdir(), 'pgbosun-bank-'))
  for (const path of ['migrations', 'seeds', 'legacy', 'monitoring'])
    cpSync(join(example, path), join(dir, path), { recursive: true })
  // the server of this test has no certificate; test/container-bank.int.test.ts is about that
  const config = readFileSync(join(example, 'pgbosun.yaml'), 'utf8')
    .replace(/^database: .*$/m, '')
    .replace('file:///backups', `file://${dir}/backups`)
  const secrets = ['neobank_app', 'neobank_monitor', 'neobank_backup'].map((name) => [`secrets/${name}`, 's3cret\n'])
  await writeFiles(dir, {
    'pgbosun.yaml': config,
    'from-text.yaml': config
      .replace(/^ {2}neobank:/m, '  neobank_from_text:')
      .replace('[neobank]', '[neobank_from_text]'),
    'secrets/backup_url': `postgres://neobank_backup:s3cret@127.0.0.1:${server.port}/neobank`,
    ...Object.fromEntries(secrets),
  })
  const first = await pgbosun('neobank', ['up'])
  expect(first.code, first.stderr).toBe(0)
})
afterAll(async () => {
  for (const sql of opened) await sql.end({ timeout: 1 })
  await server?.remove()
  rmSync(dir, { recursive: true, force: true })
})

function open(database: string, user?: string): postgres.Sql {
  const url = new URL(server.url(database))
  if (user) [url.username, url.password] = [user, 's3cret']
  const sql = postgres(url.href, { max: 1, onnotice() {}, fetch_types: false })
  opened.push(sql)
  return sql
}

const pgbosun = (database: string, args: string[], env: Record<string, string> = {}) =>
  runJson(args, { cwd: dir, env: { DATABASE_URL: server.url(database), ...env } })

const rows = async (database: string) => {
  const sql = open(database)
  return {
    accounts: await sql`select * from accounts order by id`,
    transfers: await sql`select * from transfers order by id`,
  }
}

test('the bank comes from its SQLite file as it comes from the text of `.dump`, once, and cents are exact', async () => {
  const text = { PGBOSUN_IMPORT_SQLITE: 'legacy/neobank.sql' }
  const other = await pgbosun('neobank_from_text', ['up', '--config', 'from-text.yaml'], text)
  expect(other.code, other.stderr).toBe(0)

  const [file, dump] = [await rows('neobank'), await rows('neobank_from_text')]
  expect(file.accounts).toHaveLength(9)
  expect(file.transfers).toHaveLength(14)
  const imported = ({ accounts, transfers }: typeof file) => [accounts.slice(0, 8), transfers]
  expect(imported(dump)).toEqual(imported(file))
  // what SQLite adds up to -1.70530256582424e-13
  expect(await open('neobank')`select sum(balance)::text from accounts`).toEqual([{ sum: '0.00' }])
  expect(file.accounts.find(({ name }) => name === 'mint')).toMatchObject({ kind: 'system', balance: '-11862.51' })

  const again = await pgbosun('neobank', ['plan', '--exit-code'])
  expect([again.code, again.stderr]).toEqual([0, expect.any(String)])
})

test('system accounts are seeded as often as you like, and keep their balances', async () => {
  const before = await rows('neobank')
  expect((await pgbosun('neobank', ['seed', '--force'])).code).toBe(0)
  expect(await rows('neobank')).toEqual(before)
})

test('a transfer is made once for each request, and only with money that is there', async () => {
  const app = open('neobank', 'neobank_app')
  const request = '6b1f0f7e-3a3c-4d9a-9d1e-0d8f0c1b2a3d'
  const move = (from: string, to: string, amount: string, id = request) =>
    app<{ status: string }[]>`select transfer(${id}::uuid, ${from}, ${to}, ${amount}::text::numeric) as status`
  const balance = async (name: string) => (await app`select balance from accounts where name = ${name}`)[0]!.balance

  expect(await balance('finn')).toBe('0.00')
  expect(await move('ada', 'finn', '0.01')).toEqual([{ status: 'done' }])
  expect(await move('ada', 'finn', '0.01')).toEqual([{ status: 'done-before' }])
  expect(await balance('finn')).toBe('0.01')
  await expect(move('ada', 'finn', '0.02')).rejects.toMatchObject({ code: 'NB409' })
  const another = '7b1f0f7e-3a3c-4d9a-9d1e-0d8f0c1b2a3d'
  await expect(move('finn', 'ada', '0.02', another)).rejects.toMatchObject({ code: 'NB409' })
  await expect(move('finn', 'nobody', '0.01', another)).rejects.toMatchObject({ code: 'NB404' })
  expect((await pgbosun('neobank', ['up'])).code).toBe(0) // which ends with the assertions
  expect(await open('neobank')`select sum(balance)::text from accounts`).toEqual([{ sum: '0.00' }])
})

test('the application cannot connect to other databases, and monitoring sees what its queries ask for', async () => {
  await expect(open('postgres', 'neobank_app')`select 1`).rejects.toMatchObject({ code: '42501' })
  const monitor = open('neobank', 'neobank_monitor')
  for (const name of ['database', 'slow-queries'])
    expect(await monitor.unsafe(readFileSync(join(example, `monitoring/${name}.sql`), 'utf8'))).not.toHaveLength(0)
})
