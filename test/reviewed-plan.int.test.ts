import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect } from 'vitest'
import type { ReviewedPlan } from '../src/up/reviewed/document.ts'
import { run, runJson, start } from './support/cli.ts'
import { test as base, open, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

type Shop = {
  name: string
  env: Record<string, string>
  /** `pgbosun.yaml`, as JSON; the database `shop` by its real name. */
  declare(more?: object, database?: object): Promise<void>
  pgbosun(args: string[]): ReturnType<typeof runJson>
  /** `plan --out`, and what is in the file. */
  plan(): Promise<ReviewedPlan>
  /** Changes the file. */
  forge(change: (plan: ReviewedPlan) => void): Promise<void>
  pending(): Promise<string[]>
  ask(statement: string, database?: string): Promise<Record<string, unknown>[]>
}

/** A declared database that does not exist yet. */
const test = base.extend<{ shop: Shop }>({
  shop: async ({ dir }, use) => {
    const name = uniqueName('shop')
    const env = { DATABASE_URL: urlOf(name), SHOP: "it's a secret", SHOP_RO: 'read only' }
    const pgbosun = (args: string[]) => runJson(args, { cwd: dir, env })
    const file = join(dir, 'plan.json')
    const read = async () => JSON.parse(await readFile(file, 'utf8')) as ReviewedPlan
    const shop: Shop = {
      ...{ name, env, pgbosun },
      declare: (more = {}, database = {}) =>
        writeFiles(dir, {
          'pgbosun.yaml': JSON.stringify({
            databases: {
              [name]: {
                users: {
                  [`${name}_app`]: { preset: 'app', password: { env: 'SHOP' } },
                  [`${name}_ro`]: { preset: 'readonly', password: { env: 'SHOP_RO' } },
                },
                ...database,
              },
            },
            ...more,
          }),
        }),
      async plan() {
        expect(await pgbosun(['plan', '--out', 'plan.json'])).toMatchObject({ code: 0, json: { error: null } })
        return read()
      },
      async forge(change) {
        const plan = await read()
        change(plan)
        await writeFile(file, JSON.stringify(plan))
      },
      async pending() {
        const steps = (await pgbosun(['plan'])).json.steps as { name: string; changes: unknown[] }[]
        return steps.filter(({ changes }) => changes.length > 0).map(({ name }) => name)
      },
      async ask(statement, database = name) {
        const sql = open(database)
        try {
          return await sql.unsafe(statement)
        } finally {
          await sql.end()
        }
      },
    }
    await writeFiles(dir, {
      'migrations/001_users.sql': 'create table users (id int primary key)',
      'seeds/users.sql': 'insert into users values (1)',
    })
    await shop.declare({ seeds: [{ dir: 'seeds' }] })
    await use(shop)
  },
})

const upPlan = ['up', '--plan', 'plan.json']

test('a plan has what follows from its own changes: a schema that it creates, or hands over', async ({ shop }) => {
  const { name } = shop
  await shop.declare()
  expect((await shop.pgbosun(['up'])).code).toBe(0)
  const old = uniqueName('old')
  await shop.ask(`create role "${old}"; create schema "Legacy ;" authorization "${old}"`)
  const access = { access: { [`${name}_ro`]: 'read' } }
  await shop.declare({}, { reassign: [old], schemas: { public: null, 'Legacy ;': access, fresh: access } })
  const changes = async (command: string) => {
    const { code, json } = await shop.pgbosun(['roles', command])
    const steps = json.steps as { changes: { object: string }[] }[]
    return [code, steps.flatMap((step) => step.changes)] as const
  }
  const planned = await changes('plan')
  expect(planned[1].map(({ object }) => object.replaceAll(name, 'shop'))).toEqual(
    expect.arrayContaining(['USAGE on schema fresh to shop_ro (database shop)']),
  )
  expect(await changes('apply')).toEqual(planned)
})

describe('a reviewed plan', () => {
  test('is applied completely, from nothing, and is then nothing to do', async ({ shop, dir }) => {
    const plan = await shop.plan()
    expect(plan).toMatchObject({ schema_version: 1, database: shop.name, server_major: expect.any(Number) })
    expect(plan.migrations).toEqual([{ name: '001_users', sha256: expect.stringMatching(/^[0-9a-f]{64}$/) }])
    expect(plan.seeds).toEqual([{ name: 'seeds/users.sql', sha256: expect.stringMatching(/^[0-9a-f]{64}$/) }])
    const first = await shop.pgbosun(upPlan)
    expect([first.code, first.json.error]).toEqual([0, null])
    expect(await shop.ask('select id from users')).toEqual([{ id: 1 }])
    expect(await shop.pending()).toEqual([])
    const again = await run(upPlan, { cwd: dir, env: shop.env })
    expect([again.code, again.stdout]).toEqual([0, expect.stringMatching(/ready, nothing to do/)])
  })

  test('holds no secret: a password is one line without value, salt or digest', async ({ shop, dir }) => {
    const plan = await shop.plan()
    const changes = plan.steps.flatMap(({ changes }) => changes).filter(({ object }) => /^password/.test(object))
    expect(changes).toEqual(
      ['app', 'ro'].map((user) => ({
        action: 'set',
        object: `password of role ${shop.name}_${user}`,
        reason: 'has none',
      })),
    )
    const text = await readFile(join(dir, 'plan.json'), 'utf8')
    expect(text).not.toMatch(/SCRAM|secret|read only/)
  })

  test('is a file like any other, in place of an older one', async ({ shop, dir }) => {
    await writeFile(join(dir, 'plan.json'), 'old')
    await shop.plan()
    const { mode } = await stat(join(dir, 'plan.json'))
    expect(mode & 0o777).toBe(0o666 & ~process.umask())
  })

  test('two runners with the same one: one applies it, the other finds nothing to do', async ({ shop }) => {
    await shop.plan()
    const both = await Promise.all([shop.pgbosun(upPlan), shop.pgbosun(upPlan)])
    expect(both.map(({ code, json }) => [code, json.error])).toEqual([
      [0, null],
      [0, null],
    ])
    const counts = both.map(({ json }) =>
      (json.steps as { changes: unknown[] }[]).reduce((sum, { changes }) => sum + changes.length, 0),
    )
    expect(counts.filter((count) => count === 0)).toHaveLength(1)
  })
})

/** Applies the plan, which must be refused before anything is changed. @returns all differences */
async function refused(shop: Shop, args = upPlan): Promise<string[]> {
  const { code, json } = await shop.pgbosun(args)
  expect([code, json.error?.message]).toEqual([21, expect.stringMatching(/no longer fits, and nothing was changed/)])
  expect(await shop.ask(`select 1 from pg_database where datname = '${shop.name}'`, 'postgres')).toEqual([])
  return json.differences as string[]
}

describe('refused, with nothing changed, is a plan', () => {
  test('whose migration was edited', async ({ shop, dir }) => {
    await shop.plan()
    await writeFiles(dir, { 'migrations/001_users.sql': 'create table users (id bigint primary key)' })
    expect(await refused(shop)).toEqual([
      'migration 001_users has other content',
      expect.stringMatching(/^migrate: apply migration 001_users .* what would be done is not the same$/),
    ])
  })

  test('to which a migration was added, or a seed changed', async ({ shop, dir }) => {
    await shop.plan()
    await writeFiles(dir, { 'migrations/002_x.sql': 'select 1', 'seeds/users.sql': 'insert into users values (2)' })
    expect(await refused(shop)).toEqual(
      expect.arrayContaining(['migration 002_x is not in it', 'seed seeds/users.sql has other content']),
    )
  })

  test('whose declaration changed where it only shows after the migrations', async ({ shop }) => {
    await shop.plan()
    await shop.declare(
      { seeds: [{ dir: 'seeds' }] },
      {
        users: {
          [`${shop.name}_app`]: { preset: 'app', password: { env: 'SHOP' } },
          [`${shop.name}_ro`]: { preset: 'readonly', password: { env: 'SHOP_RO' } },
        },
        schemas: { public: { access: { [`${shop.name}_ro`]: 'write' } } },
      },
    )
    expect(await refused(shop)).toContainEqual(expect.stringMatching(/^the configuration of databases, roles/))
  })

  test('that hides other SQL behind the same words', async ({ shop }) => {
    await shop.plan()
    await shop.forge(({ steps }) => {
      const change = steps.flatMap(({ changes }) => changes).find(({ object }) => object === `role ${shop.name}_app`)!
      Object.assign(change, { sql: [`create role "${shop.name}_app" superuser login`] })
    })
    expect(await refused(shop)).toEqual([expect.stringMatching(/what would be done is not the same/)])
    expect(await shop.ask(`select 1 from pg_roles where rolname = '${shop.name}_app'`, 'postgres')).toEqual([])
  })

  test('that is too old, of another version, for another server or major', async ({ shop }) => {
    await shop.plan()
    await shop.forge((plan) => {
      plan.planned_at = new Date(Date.now() - 25 * 3_600_000).toISOString()
      plan.pgbosun_version = '9.9.9'
      plan.server_major = 12
    })
    const found = await refused(shop)
    expect(found).toEqual([
      'it is 1 d 1 h old, and --plan-max-age is 1d',
      expect.stringMatching(/^it was made by pgbosun 9.9.9/),
      expect.stringMatching(/^it was made for PostgreSQL 12/),
    ])
    expect(await refused(shop, [...upPlan, '--plan-max-age', '2d'])).toHaveLength(2)
    await shop.forge((plan) => {
      plan.system_identifier = '1'
    })
    expect(await refused(shop)).toEqual([expect.stringMatching(/made on another server: its system identifier is 1/)])
  })

  test('that is empty while something is pending', async ({ shop }) => {
    await shop.plan()
    await shop.forge(({ steps }) => {
      for (const step of steps) step.changes = []
    })
    expect((await refused(shop)).length).toBeGreaterThan(3)
  })

  test('that cannot be read, as exit 2', async ({ shop, dir }) => {
    const attempt = async (text: string) => {
      await writeFile(join(dir, 'plan.json'), text)
      const { code, json } = await shop.pgbosun(upPlan)
      return [code, String(json.error?.message).replace(/^.*plan\.json /, '')]
    }
    await shop.plan()
    const whole = await readFile(join(dir, 'plan.json'), 'utf8')
    expect(await attempt(whole.slice(0, -20))).toEqual([2, 'is not JSON, or not all of it is there'])
    expect(await attempt('{}')).toEqual([2, 'is not a plan of pgbosun'])
    expect(await attempt(whole.replace('"schema_version": 1', '"schema_version": 2'))).toEqual([
      2,
      'has version 2, but this pgbosun reads version 1',
    ])
    expect(await attempt(whole.replace('"steps": [', '"steps": [1, '))).toEqual([2, 'has no valid steps'])
    for (const args of [
      ['up', '--plan', 'no.json'],
      ['up', '--plan-max-age', '2h'],
      [...upPlan, '--plan-max-age', 'soon'],
      [...upPlan, '--dry-run'],
      ['plan', '--out', 'no/such/folder.json'],
    ])
      expect((await shop.pgbosun(args)).code, args.join(' ')).toBe(2)
  })
})

test('of which a run was killed halfway is 21, with what to do; a new one has what is left', async ({ shop, dir }) => {
  const go = `${shop.name}_go`
  await writeFiles(dir, {
    'migrations/002_slow.sql': `select pg_sleep(case when exists (select from pg_roles where rolname = '${go}') then 0 else 60 end); create table slow (id int)`,
  })
  await shop.plan()
  const { child, finished } = start(upPlan, { cwd: dir, env: shop.env })
  const sleeping = () =>
    shop.ask(`select from pg_stat_activity where datname = '${shop.name}' and wait_event = 'PgSleep'`, 'postgres')
  await expect.poll(async () => (await sleeping()).length, { timeout: 60_000, interval: 50 }).toBe(1)
  child.kill('SIGKILL')
  await finished

  const again = await shop.pgbosun(upPlan)
  expect([again.code, again.json.error]).toEqual([
    21,
    expect.objectContaining({
      kind: 'history',
      message: expect.stringMatching(/^the reviewed plan plan.json no longer fits, and nothing was changed: /),
      hint: 'make a new plan with `pgbosun plan --out FILE`, and review it',
    }),
  ])
  expect(await sleeping()).toEqual([])
  expect(
    await shop.ask("select to_regclass('users') is not null as first, to_regclass('slow') is null as not_second"),
  ).toEqual([{ first: true, not_second: true }])

  await shop.ask(`create role "${go}"`, 'postgres')
  const left = await shop.plan()
  expect(left.steps.find(({ name }) => name === 'migrate')!.changes.map(({ object }) => object)).toEqual([
    'migration 002_slow',
  ])
  expect(await shop.pgbosun(upPlan)).toMatchObject({ code: 0, json: { error: null } })
  expect(await shop.pending()).toEqual([])
})

describe('where something has changed meanwhile', () => {
  test('a table that is given away is refused, although the words are the same', async ({ shop }) => {
    expect((await shop.pgbosun(['up'])).code).toBe(0)
    await shop.ask('create table one (id int); create table two (id int)')
    await shop.plan()
    await shop.ask('alter table two rename to three')
    const { code, json } = await shop.pgbosun(upPlan)
    expect([code, json.error?.message]).toEqual([21, expect.stringMatching(/no longer fits, and nothing was changed/)])
    expect(json.differences).toEqual(
      expect.arrayContaining([expect.stringMatching(/^grant: grant SELECT on 2 tables/)]),
    )
  })

  test('what follows from the migrations alone is granted, and what else differs is not', async ({ shop, dir }) => {
    expect((await shop.pgbosun(['up'])).code).toBe(0)
    await writeFiles(dir, { 'migrations/002_new.sql': 'create table fresh (id int)' })
    await shop.plan()
    expect(await shop.pgbosun(upPlan)).toMatchObject({ code: 0, json: { error: null } })
    const may = (table: string) =>
      shop.ask(`select has_table_privilege('${shop.name}_ro', '${table}', 'insert') as insert,
                       has_table_privilege('${shop.name}_ro', '${table}', 'select') as select`)
    expect(await may('fresh')).toEqual([{ insert: false, select: true }])

    // a grant on a table that existed, which nobody reviewed the end of
    await writeFiles(dir, { 'migrations/003_grant.sql': `grant insert on users to "${shop.name}_ro"` })
    await shop.plan()
    const { code, json } = await shop.pgbosun(upPlan)
    expect([code, json.error]).toEqual([
      21,
      expect.objectContaining({
        message: expect.stringMatching(/was not applied: grant: revoke INSERT on table public.users/),
      }),
    ])
    expect(await may('users')).toEqual([{ insert: true, select: true }])
    const text = await run(upPlan, { cwd: dir, env: shop.env })
    expect(text.code).toBe(21)
    await shop.plan()
    expect((await shop.pgbosun(upPlan)).code).toBe(0)
    expect(await may('users')).toEqual([{ insert: false, select: true }])
  })

  test('an applied plan stays nothing to do, however old it is; but not for another database', async ({ shop }) => {
    await shop.plan()
    expect((await shop.pgbosun(upPlan)).code).toBe(0)
    await shop.forge((plan) => {
      plan.planned_at = '2020-01-01T00:00:00.000Z'
    })
    expect((await shop.pgbosun(upPlan)).code).toBe(0)
    await shop.forge((plan) => {
      plan.database = 'other'
    })
    expect((await shop.pgbosun(upPlan)).code).toBe(21)
  })
})

describe('also with', () => {
  test('an existing database whose objects change their owner', async ({ shop, dir }) => {
    await shop.ask(`create database "${shop.name}"`, 'postgres')
    await shop.ask(
      `create role "${shop.name}_app" login; create table old (id int); alter table old owner to "${shop.name}_app"; grant select on old to public`,
    )
    await shop.declare(
      {},
      {
        users: { [`${shop.name}_app`]: { preset: 'app' }, [`${shop.name}_ro`]: { preset: 'readonly' } },
        reassign: [`${shop.name}_app`],
      },
    )
    await writeFiles(dir, {
      'migrations/001_users.sql': 'create table users (id int references old)'.replace(' references old', ''),
    })
    await shop.plan()
    expect(await shop.pgbosun(upPlan)).toMatchObject({ code: 0, json: { error: null } })
    expect(await shop.pending()).toEqual([])
  })

  test('an import whose file has other content, but as many rows, is refused; the reviewed one is done at once', async ({
    shop,
    dir,
  }) => {
    const write = (statements: string) => {
      const db = new DatabaseSync(join(dir, 'app.db'))
      db.exec(statements)
      db.close()
    }
    write(`create table users (id integer primary key); insert into users values (1)`)
    await shop.declare({ import: { sqlite: 'app.db' } })
    await shop.plan()
    write('update users set id = 2')
    const { code, json } = await shop.pgbosun(upPlan)
    expect([code, json.differences]).toEqual([
      21,
      [expect.stringMatching(/^import: import file app.db .* what would be done is not the same$/)],
    ])
    await shop.plan()
    expect(await shop.pgbosun(upPlan)).toMatchObject({ code: 0, json: { error: null } })
    expect(await shop.ask('select id from users')).toEqual([{ id: 2 }])
    expect(await shop.pgbosun(upPlan)).toMatchObject({ code: 0, json: { error: null } })
    expect(await shop.pending()).toEqual([])
  })

  test('a role that is removed, however many sessions it has by then', async ({ shop }) => {
    expect((await shop.pgbosun(['up'])).code).toBe(0)
    const old = `${shop.name}_old`
    await shop.ask(`create role "${old}" login password 'x'`)
    await shop.declare({ roles: { [old]: { ensure: 'absent', terminate: true } } })
    const plan = await shop.plan()
    expect(plan.steps.find(({ name }) => name === 'ensure')?.changes).toContainEqual(
      expect.objectContaining({ action: 'end', object: `sessions of ${old}` }),
    )
    const session = open('postgres', { name: old, password: 'x' })
    try {
      await session`select 1`
      expect(await shop.pgbosun(upPlan)).toMatchObject({ code: 0, json: { error: null } })
    } finally {
      await session.end({ timeout: 1 })
    }
    expect(await shop.ask(`select from pg_roles where rolname = '${old}'`)).toEqual([])
  })

  test('several databases, another tool’s format and a program that decides itself', async ({ shop, dir }) => {
    const two = uniqueName('two')
    await writeFiles(dir, {
      'two/20240101000000_a.sql': '-- migrate:up\ncreate table a (id int);\n-- migrate:down\n',
      'migrations/x.sql': '',
    })
    await shop.declare({
      migrate: { command: ['sh', '-c', 'echo ran >> ran.txt'] },
      databases: { [shop.name]: {}, [two]: { migrate: { dir: 'two', format: 'dbmate' } } },
    })
    const plan = await shop.plan()
    expect(plan.migrations).toEqual([{ database: two, name: '20240101000000_a', sha256: expect.any(String) }])
    expect(plan.steps.find(({ name }) => name === 'migrate')?.changes).toContainEqual(
      expect.objectContaining({ action: 'run', reason: 'sh itself decides what is pending' }),
    )
    expect(await shop.pgbosun(upPlan)).toMatchObject({ code: 0, json: { error: null } })
    expect(await shop.ask('select to_regclass($$a$$)::text as a', two)).toEqual([{ a: 'a' }])
    expect(await readFile(join(dir, 'ran.txt'), 'utf8')).toBe('ran\n')
    await shop.declare({
      migrate: { command: ['sh', '-c', 'echo other >> ran.txt'] },
      databases: { [shop.name]: {}, [two]: { migrate: { dir: 'two', format: 'dbmate' } } },
    })
    expect((await shop.pgbosun(upPlan)).code).toBe(21)
    expect(await readFile(join(dir, 'ran.txt'), 'utf8')).toBe('ran\n')
  })
})
