import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { runJson } from './support/cli.ts'
import { open, test, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

const readme = readFileSync(join(import.meta.dirname, '../README.md'), 'utf8')
const block = (language: string) => new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(readme)?.[1] ?? ''

test('the example of the README makes an empty server ready, and its JSON looks as described', async ({ dir }) => {
  const shop = uniqueName('shop')
  const secret = join(dir, 'shop_ro.password')
  await writeFiles(dir, {
    'pgbosun.yaml': block('yaml')
      .replaceAll('/run/secrets/shop_ro', secret)
      .replaceAll(/\bshop(?=(_ro)?:)/g, shop),
    'migrations/001_users.sql':
      'create table users (id int primary key); create table countries (code text primary key, name text)',
    'migrations/002_orders.sql': 'create table orders (id int primary key, user_id int references users)',
    'seeds/countries.csv': 'code,name\nfi,Finland\n',
    'shop_ro.password': 'only looking\n',
  })
  const up = () => runJson(['up'], { cwd: dir, env: { DATABASE_URL: urlOf(shop), SHOP_PASSWORD: 'for sale' } })

  const { code, json } = await up()
  expect(json).toMatchObject({ command: 'up', ok: true, exit_code: 0, error: null, warnings: [] })
  expect(code).toBe(0)
  expect(Object.keys(json)).toEqual(Object.keys(JSON.parse(block('json')) as object))
  const [described] = (JSON.parse(block('json')) as { steps: { changes: object[] }[] }).steps
  const migrate = (json.steps as { name: string; changes: object[] }[]).find(({ name }) => name === 'migrate')
  expect(migrate?.changes).toContainEqual(described?.changes[0])
  expect(Object.keys(migrate ?? {}).sort()).toEqual(Object.keys(described ?? {}).sort())

  expect(((await up()).json.steps as { state: string }[]).map(({ state }) => state)).not.toContain('done')

  const app = open(shop, { name: shop, password: 'for sale' })
  expect(await app`select code from countries`).toEqual([{ code: 'fi' }])
  await app.end()
})
