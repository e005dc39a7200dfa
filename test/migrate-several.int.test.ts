import { expect } from 'vitest'
import { runJson } from './support/cli.ts'
import { test as base, open, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

// biome-ignore lint/suspicious/noExplicitAny: the document is checked field by field
type Json = Record<string, any>
type Fixtures = { second: string; call: (...args: string[]) => Promise<{ code: number | null; json: Json }> }

/** `second` is the name of another database, which does not exist yet; `call` runs the program in the folder. */
const test = base.extend<Fixtures>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest wants it
  second: async ({}, use) => use(uniqueName('second')),
  call: async ({ dir, database }, use) =>
    use((...args) => runJson(args, { cwd: dir, env: { DATABASE_URL: urlOf(database) } })),
})

const tables = async (database: string) => {
  const sql = open(database)
  try {
    return (
      await sql`select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace order by 1`
    ).map(({ relname }) => relname)
  } finally {
    await sql.end()
  }
}
const users = {
  'migrations/1_users.sql': 'create table users (id int)',
  'migrations/2_roles.sql': 'create table roles (id int)',
}

test('one `up` migrates an application and its test database from the same files, each with its own history', async ({
  dir,
  database,
  second,
  call,
}) => {
  await writeFiles(dir, {
    ...users,
    'pgbosun.json': JSON.stringify({
      databases: { [database]: { migrate: { dir: 'migrations' } }, [second]: { migrate: { dir: 'migrations' } } },
    }),
  })
  expect((await call('plan')).json.error).toBe(null)
  const { json } = await call('up')
  expect(json.error).toBe(null)
  const migrate = json.steps.find(({ name }: Json) => name === 'migrate')
  expect(migrate.changes.map(({ object }: Json) => object)).toEqual([
    'schema pgbosun',
    'migration 1_users',
    'migration 2_roles',
    `schema pgbosun in ${second}`,
    `migration 1_users in ${second}`,
    `migration 2_roles in ${second}`,
  ])
  expect(await tables(database)).toEqual(['roles', 'users'])
  expect(await tables(second)).toEqual(['roles', 'users'])
  const again = await call('up')
  expect(again.json.steps.every(({ state }: Json) => state === 'nothing')).toBe(true)
  const { json: status } = await call('migrate', 'status')
  expect(status).toMatchObject({
    applied: ['1_users', '2_roles'],
    databases: [
      { database: null, applied: ['1_users', '2_roles'], pending: [] },
      { database: second, applied: ['1_users', '2_roles'], pending: [] },
    ],
  })
})

test('stops at the first database that fails, and says which are done', async ({ dir, database, second, call }) => {
  await writeFiles(dir, {
    ...users,
    'other/1_a.sql': 'create table a (id int)',
    'other/2_b.sql': 'select 1/0',
    'third/1_c.sql': 'create table c (id int)',
    'pgbosun.json': JSON.stringify({
      databases: {
        [database]: { migrate: { dir: 'migrations' } },
        [second]: { migrate: { dir: 'other' } },
        [`${second}_3`]: { migrate: { dir: 'third' } },
      },
    }),
  })
  const { code, json } = await call('up')
  expect(code).toBe(20)
  expect(json.error.message).toContain('2_b failed')
  expect(json).toMatchObject({
    databases_done: [database],
    results: [
      { name: '1_users', status: 'applied' },
      { name: '2_roles', status: 'applied' },
      { name: '1_a', status: 'applied' },
      { name: '2_b', status: 'failed' },
    ],
  })
  expect(await tables(`${second}_3`)).toEqual([])
})

test('--database selects one of them, and --steps and --fake need one', async ({ dir, database, second, call }) => {
  await writeFiles(dir, {
    ...users,
    'pgbosun.json': JSON.stringify({
      databases: { [database]: { migrate: { dir: 'migrations' } }, [second]: { migrate: { dir: 'migrations' } } },
    }),
  })
  expect((await call('roles', 'apply')).code).toBe(0)
  expect((await call('migrate', '--steps', '1')).code).toBe(2)
  expect((await call('migrate', '--steps', '1', '--database', second)).code).toBe(0)
  expect(await tables(second)).toEqual(['users'])
  expect(await tables(database)).toEqual([])
  expect((await call('migrate', '--fake', '--database', second)).json.steps[0].changes).toEqual([
    { action: 'record', object: 'migration 2_roles', reason: 'not applied yet, only recorded' },
  ])
  expect(await tables(second)).toEqual(['users'])
})

test('migrations of the target configured in two places are exit 2', async ({ dir, database, call }) => {
  await writeFiles(dir, {
    ...users,
    'pgbosun.json': JSON.stringify({
      migrate: { dir: 'migrations' },
      databases: { [database]: { migrate: { dir: 'migrations' } } },
    }),
  })
  const { code, json } = await call('migrate')
  expect([code, json.error.message]).toEqual([
    2,
    `the migrations of ${database} are configured twice: in migrate.dir and in databases.${database}.migrate`,
  ])
})
