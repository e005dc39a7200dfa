import postgres from 'postgres'
import { describe, expect } from 'vitest'
import { run, runJson } from './support/cli.ts'
import { expectNoSecret } from './support/fails.ts'
import { test as base, open, server, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

/** A database of an application with two logins, `a` and `b`, whose secrets are files. */
type Shop = {
  group: string
  a: string
  b: string
  write(login: string, secret: string): Promise<void>
  pgbosun(args: string[], env?: Record<string, string>): ReturnType<typeof runJson>
  /** Opens a session as the application would, and does some work; it stays open. */
  connect(login: string, secret: string): Promise<{ work(): Promise<string>; close(): Promise<void> }>
  letsIn(login: string, secret: string): Promise<boolean>
  rotate(...args: string[]): ReturnType<typeof runJson>
}

const test = base.extend<{ shop: Shop }>({
  shop: async ({ dir, database, sql }, use) => {
    const [group, a, b] = ['shop', 'shop_a', 'shop_b'].map((name) => uniqueName(name)) as [string, string, string]
    const sessions = new Set<postgres.Sql>()
    const pgbosun: Shop['pgbosun'] = (args, env = {}) =>
      runJson(args, { cwd: dir, env: { DATABASE_URL: urlOf(database), PGBOSUN_TEST_LOOKING_MS: '200', ...env } })
    await writeFiles(dir, {
      'migrations/1_orders.sql': 'create table orders (id int generated always as identity, who text)',
      [a]: 'geheim a1\n',
      [b]: 'geheim b1\n',
      'pgbosun.yaml': JSON.stringify({
        databases: {
          [database]: {
            owner: group,
            users: {
              [a]: { preset: 'app', password: { file: a } },
              [b]: { preset: 'app', password: { file: b } },
            },
          },
        },
      }),
    })
    await use({
      group,
      a,
      b,
      write: (login, secret) => writeFiles(dir, { [login]: secret }),
      pgbosun,
      async connect(name, password) {
        const one = postgres({
          ...{ host: '127.0.0.1', port: server().port, database, username: name, password, max: 1 },
          onnotice() {},
        })
        sessions.add(one)
        const work = async () => {
          const [row] = await one`insert into orders (who) values (session_user) returning who`
          return row!.who as string
        }
        await work()
        return {
          work,
          async close() {
            sessions.delete(one)
            await one.end({ timeout: 1 })
            await expect
              .poll(async () => (await sql`select from pg_stat_activity where usename = ${name}`).length)
              .toBe(0)
          },
        }
      },
      async letsIn(name, password) {
        const one = open(database, { name, password })
        return one`select 1`
          .then(
            () => true,
            () => false,
          )
          .finally(() => one.end({ timeout: 1 }))
      },
      rotate: (...args) => pgbosun(['roles', 'rotate', ...args]),
    })
    for (const one of sessions) await one.end({ timeout: 1 })
    await sql.unsafe(`drop owned by "${group}", "${a}", "${b}" cascade`)
    await sql.unsafe(`alter database "${database}" owner to postgres; drop role "${a}", "${b}", "${group}"`)
  },
})

const changesOf = ({ json }: Awaited<ReturnType<typeof runJson>>) =>
  (json.steps as { changes: { action: string; object: string }[] }[]).flatMap(({ changes }) =>
    changes.map(({ action, object }) => `${action} ${object}`),
  )

const ready = async ({ pgbosun }: Shop) => {
  const up = await pgbosun(['up'])
  expect([up.code, up.json.error]).toEqual([0, null])
}

/** `up` has nothing to do. */
const settled = async ({ pgbosun }: Shop) => {
  const up = await pgbosun(['up'])
  expect([up.code, up.json.error, changesOf(up)]).toEqual([0, null, []])
}

test('two logins take turns, without an interruption, and `up` never undoes it', async ({ shop, sql }) => {
  const { group, a, b, connect, write, rotate, letsIn } = shop
  await ready(shop)
  const old = await connect(a, 'geheim a1')

  await write(b, 'geheim b2')
  const rotated = await rotate(group)
  expect([rotated.code, rotated.json.error]).toEqual([0, null])
  expect(rotated.json).toMatchObject({ group, idle: b, in_use: a })
  expect(changesOf(rotated)).toEqual([`set password of role ${b}`, `note ${a} in pgbosun.state`])
  expectNoSecret(rotated)
  expect(await letsIn(b, 'geheim b2')).toBe(true)
  expect(await old.work()).toBe(a)
  await settled(shop)
  expect(changesOf(await rotate(a))).toEqual([])

  // the application is switched, one part after the other
  const fresh = await connect(b, 'geheim b2')
  expect(await rotate(group, '--finish')).toMatchObject({
    code: 30,
    json: { error: { message: expect.stringContaining(`${a} still has 1 session`) } },
  })
  expect(await old.work()).toBe(a)
  await old.close()
  const finished = await rotate(group, '--finish')
  expect([finished.code, finished.json.error, changesOf(finished)]).toEqual([
    0,
    null,
    [`close role ${a}`, `note ${b} in pgbosun.state`],
  ])
  expect(await letsIn(a, 'geheim a1')).toBe(false)
  const state = await sql`select rolcanlogin, rolpassword from pg_authid where rolname = ${a}`
  expect([...state]).toEqual([{ rolcanlogin: false, rolpassword: null }])
  await settled(shop)
  expect(await fresh.work()).toBe(b)

  // the next time round, b is in use: that is remembered, even if nobody is connected now
  await fresh.close()
  await write(a, 'geheim a2')
  await settled(shop)
  const again = await rotate(group)
  expect([again.code, changesOf(again)]).toEqual([
    0,
    [`set password of role ${a}`, `alter role ${a}`, `note ${b} in pgbosun.state`],
  ])
  expect([await letsIn(a, 'geheim a2'), await letsIn(b, 'geheim b2')]).toEqual([true, true])
  await settled(shop)
  expect((await rotate(group, '--finish')).json.error).toMatchObject({
    message: expect.stringContaining(`nobody is connected as ${a}`),
  })
  const last = await connect(a, 'geheim a2')
  expect((await rotate(group, '--finish')).code).toBe(0)
  expect(await last.work()).toBe(a)
  await settled(shop)
})

test('shows what it would do, and says what comes next', async ({ dir, database, shop }) => {
  const { a, b, group, connect, write, letsIn, pgbosun } = shop
  await ready(shop)
  await connect(a, 'geheim a1')
  await write(b, 'geheim b2')
  expect(changesOf(await pgbosun(['roles', 'rotate', b, '--dry-run']))).toEqual([
    `set password of role ${b}`,
    `note ${a} in pgbosun.state`,
  ])
  expect(await letsIn(b, 'geheim b2')).toBe(false)
  const env = { DATABASE_URL: urlOf(database), PGBOSUN_TEST_LOOKING_MS: '0' }
  const { stdout, code } = await run(['roles', 'rotate', group], { cwd: dir, env })
  expect([code, stdout]).toEqual([0, expect.stringContaining(`switch the application from ${a} to ${b}`)])
  expect(stdout).toContain(`roles rotate ${group} --finish`)
})

describe('is never guessed: 30, and nothing was changed', () => {
  test('when neither has a session and nothing is remembered, unless --idle says which', async ({ shop }) => {
    const { a, b, group, write, rotate, letsIn } = shop
    await ready(shop)
    await write(b, 'geheim b2')
    const refused = await rotate(group)
    expect([refused.code, refused.json.error]).toMatchObject([
      30,
      { message: expect.stringMatching(/neither .* has a session now/), hint: expect.stringContaining('--idle') },
    ])
    expect(await letsIn(b, 'geheim b1')).toBe(true)
    expect((await rotate(group, '--idle', b)).code).toBe(0)
    expect([await letsIn(b, 'geheim b2'), await letsIn(a, 'geheim a1')]).toEqual([true, true])
  })

  test('when both have sessions', async ({ shop }) => {
    const { a, b, group, connect, rotate } = shop
    await ready(shop)
    await connect(a, 'geheim a1')
    await connect(b, 'geheim b1')
    const refused = await rotate(group)
    expect([refused.code, refused.json.error]).toMatchObject([
      30,
      { message: expect.stringContaining('both have sessions') },
    ])
    const named = await rotate(group, '--idle', b)
    expect([named.code, named.json.error]).toMatchObject([
      30,
      { message: expect.stringContaining(`${b} has 1 session`) },
    ])
  })

  test('when the idle one has a session in only one of the looks', async ({ shop }) => {
    const { b, group, connect, write, pgbosun, letsIn } = shop
    await ready(shop)
    await write(b, 'geheim b2')
    const rotating = pgbosun(['roles', 'rotate', group, '--idle', b], { PGBOSUN_TEST_LOOKING_MS: '6000' })
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    const short = await connect(b, 'geheim b1')
    await new Promise((resolve) => setTimeout(resolve, 3_000))
    await short.close()
    expect(await rotating).toMatchObject({
      code: 30,
      json: { error: { message: expect.stringContaining(`${b} has 1 session`) } },
    })
    expect(await letsIn(b, 'geheim b1')).toBe(true)
  })

  test('when the new secret is the one of the login in use', async ({ shop }) => {
    const { a, b, group, connect, write, rotate, letsIn } = shop
    await ready(shop)
    await connect(a, 'geheim a1')
    await write(b, 'geheim a1')
    const refused = await rotate(group)
    expect([refused.code, refused.json.error]).toMatchObject([
      30,
      { message: expect.stringContaining(`is the one of ${a}`) },
    ])
    // also when its secret was changed, but not applied yet
    await write(a, 'geheim a2')
    expect((await rotate(group)).code).toBe(30)
    expect(await letsIn(b, 'geheim b1')).toBe(true)
  })

  test('when nothing is under way that could be finished', async ({ shop }) => {
    const { a, b, group, connect, rotate, letsIn } = shop
    await ready(shop)
    await connect(b, 'geheim b1')
    const refused = await rotate(group, '--finish')
    expect([refused.code, refused.json.error]).toMatchObject([
      30,
      { message: expect.stringContaining('no rotation'), hint: expect.stringContaining('--idle') },
    ])
    expect(await letsIn(a, 'geheim a1')).toBe(true)
    expect((await rotate(group, '--finish', '--idle', a)).code).toBe(0)
    expect(await letsIn(a, 'geheim a1')).toBe(false)
    await settled(shop)
  })
})

test('a name that means no pair, and a login that is none of the two, are 2', async ({ shop }) => {
  await ready(shop)
  const nobody = await shop.rotate('postgres')
  expect([nobody.code, nobody.json.error]).toMatchObject([
    2,
    { message: expect.stringContaining('postgres does not name two logins') },
  ])
  const other = await shop.rotate(shop.group, '--idle', 'postgres')
  expect([other.code, other.json.error]).toMatchObject([
    2,
    { message: expect.stringContaining('--idle postgres is neither') },
  ])
  expect((await shop.rotate()).code).toBe(2)
})

test('a login that somebody else closed is opened by `up`, as ever', async ({ shop, sql }) => {
  await ready(shop)
  await sql.unsafe(`alter role "${shop.b}" nologin`)
  const up = await shop.pgbosun(['up'])
  expect([up.code, changesOf(up)]).toEqual([0, [`alter role ${shop.b}`]])
})

test('names with quotes and line breaks, and a user that may not read pg_authid', async ({ dir, database, sql }) => {
  const line = server().major < 19 ? '\n' : ' '
  const [deputy, group, a, b] = ['deputy', `g'";--$$`, `a'"${line}\\! x`, 'ü $(b)'].map((name) => uniqueName(name)) as [
    string,
    string,
    string,
    string,
  ]
  const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`
  await sql.unsafe(`create role ${deputy} login createrole password 'deputy'`)
  await sql.unsafe(`alter database "${database}" owner to ${deputy}`)
  const own = open(database, { name: deputy, password: 'deputy' })
  for (const [name, more] of [
    [group, 'nologin'],
    [a, `login in role ${quoted(group)}`],
    [b, `login in role ${quoted(group)}`],
  ] as const)
    await own.unsafe(`create role ${quoted(name)} ${more}`)
  await own.end()
  try {
    const member = (password: string) => ({ memberOf: [group], password: { env: password } })
    await writeFiles(dir, {
      'pgbosun.yaml': JSON.stringify({ roles: { [group]: {} }, users: { [a]: member('A'), [b]: member('B') } }),
    })
    const DATABASE_URL = urlOf(database, { name: deputy, password: 'deputy' })
    const env = { DATABASE_URL, A: 'geheim a', B: 'geheim b', PGBOSUN_TEST_LOOKING_MS: '0' }
    const rotated = await runJson(['roles', 'rotate', a, '--idle', b], { cwd: dir, env })
    expect([rotated.code, rotated.json.error]).toEqual([0, null])
    expectNoSecret(rotated)
    const session = open(database, { name: b, password: 'geheim b' })
    try {
      expect((await session`select session_user as who`)[0]).toEqual({ who: b })
      const finished = await runJson(['roles', 'rotate', group, '--finish'], { cwd: dir, env })
      expect([finished.code, finished.json.error]).toEqual([0, null])
      const [closed] = await sql`select rolcanlogin, rolpassword from pg_authid where rolname = ${a}`
      expect(closed).toEqual({ rolcanlogin: false, rolpassword: null })
      // a login tells that b is in place, and a is closed
      const plan = await runJson(['roles', 'plan', '--exit-code'], { cwd: dir, env })
      expect([plan.code, plan.json.error]).toEqual([0, null])
    } finally {
      await session.end()
    }
  } finally {
    await sql.unsafe(`alter database "${database}" owner to postgres; drop schema if exists pgbosun cascade`)
    await sql.unsafe(`drop role ${[a, b, group, deputy].map(quoted).join(', ')}`)
  }
})
