import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import postgres from 'postgres'
import { describe, expect } from 'vitest'
import { type Server, startServer } from '../scripts/server.ts'
import { runJson } from './support/cli.ts'
import { test as base, server, uniqueName, writeFiles } from './support/postgres.ts'

type Shop = {
  a: string
  b: string
  user: string
  declare(more?: object, user?: object): Promise<void>
  check(as?: { name: string; password: string }): Promise<{ code: number | null; warnings: string[] }>
  ask(database: string, statement: string): Promise<Record<string, unknown>[]>
}

type Login = { name: string; password: string }

/** On a server without other databases: what a user can reach is about all of them. */
const urlIn = (own: Server, database: string, user?: Login) => {
  const url = new URL(own.url(database))
  if (user) [url.username, url.password] = [encodeURIComponent(user.name), encodeURIComponent(user.password)]
  return url.href
}

/** Two databases that `up` has made, each with a user. */
const test = base
  // biome-ignore lint/correctness/noEmptyPattern: vitest demands the destructuring
  .extend('own', { scope: 'file' }, async ({}, { onCleanup }) => {
    const own = await startServer(server().binDir)
    onCleanup(() => own.remove())
    return own
  })
  .extend<{ shop: Shop }>({
    shop: async ({ dir, own }, use) => {
      const urlOf = (database: string, as?: Login) => urlIn(own, database, as)
      const open = (database: string) => postgres(urlOf(database), { max: 1, onnotice() {} })
      const [a, b] = [uniqueName('a'), uniqueName('b')]
      const user = `${a}_app`
      const env = { DATABASE_URL: urlOf(a), A: 'secret of a', B: 'secret of b' }
      const declare: Shop['declare'] = (more = {}, of = {}) =>
        writeFiles(dir, {
          'pgbosun.yaml': JSON.stringify({
            databases: {
              [a]: { users: { [user]: { preset: 'app', password: { env: 'A' }, ...of } } },
              [b]: { users: { [`${b}_app`]: { preset: 'app', password: { env: 'B' } } } },
            },
            ...more,
          }),
          'migrations/001_t.sql': 'create table t (id int)',
        })
      await declare()
      expect((await runJson(['up'], { cwd: dir, env })).json.error).toBeNull()
      await use({
        ...{ a, b, user, declare },
        async check(as) {
          const { code, json } = await runJson(['check'], {
            cwd: dir,
            env: { ...env, ...(as && { DATABASE_URL: urlOf(a, as) }) },
          })
          return { code, warnings: json.warnings as string[] }
        },
        async ask(database, statement) {
          const sql = open(database)
          try {
            return await sql.unsafe(statement)
          } finally {
            await sql.end()
          }
        },
      })
    },
  })

const about = (warnings: string[], name: string) => warnings.filter((warning) => warning.includes(name))

describe('check warns', () => {
  test('of other databases that a user can reach, with what closes them; those that pgbosun made are closed', async ({
    shop,
  }) => {
    const other = uniqueName('Other db')
    await shop.ask('postgres', `create database "${other}"`)
    const { code, warnings } = await shop.check()
    const found = about(warnings, 'can also connect to').filter((text) => text.includes(shop.user))
    expect([code, found]).toEqual([0, [expect.stringContaining(`revoke connect on database "${other}" from public`)]])
    expect(found[0]).not.toContain(`database "${shop.b}"`)

    await shop.ask('postgres', `revoke connect on database "${other}" from public`)
    await shop.ask('postgres', `grant connect on database "${shop.b}" to "${shop.user}"`)
    const [granted] = about((await shop.check()).warnings, 'can also connect to').filter((text) =>
      text.includes(shop.b),
    )
    expect(granted).toContain('is not declared there')
  })

  test('of nothing where the server refuses that user: on B, and on a closed postgres', async ({ shop, own }) => {
    const login = (database: string) => {
      const sql = postgres(urlIn(own, database, { name: shop.user, password: 'secret of a' }), { max: 1 })
      return sql
        .unsafe('select 1')
        .then(
          () => 'connected',
          ({ code }: { code: string }) => code,
        )
        .finally(() => sql.end())
    }
    expect(await login(shop.a)).toBe('connected')
    expect(await login(shop.b)).toBe('42501')
    expect(await login('postgres')).toBe('connected')
    const [lock] = about((await shop.check()).warnings, 'the lock database postgres')
    expect(lock).toContain('revoke connect on database')
    await shop.ask('postgres', 'revoke connect on database postgres from public')
    try {
      expect(await login('postgres')).toBe('42501')
      expect(about((await shop.check()).warnings, 'postgres,')).toEqual([])
    } finally {
      await shop.ask('postgres', 'grant connect on database postgres to public')
    }
  })

  test('of objects that a declared user or owner has in another database', async ({ shop }) => {
    await shop.ask(shop.b, `create table stray (id int); alter table stray owner to "${shop.a}_owner"`)
    const { warnings } = await shop.check()
    expect(about(warnings, 'but owns')).toEqual([
      `${shop.a}_owner is declared for ${shop.a}, but owns 1 object in ${shop.b}: give them to the owner of that database (\`databases.NAME.reassign\`, or \`reassign owned\` there)`,
    ])
  })

  test('of an application that may become a superuser, through whichever roles', async ({ shop }) => {
    const [boss, between] = [uniqueName('boss'), uniqueName('between')]
    expect(about((await shop.check()).warnings, 'superuser')).toEqual([])
    await shop.ask(
      'postgres',
      `create role "${boss}" superuser; create role "${between}"; grant "${boss}" to "${between}"; grant "${between}" to "${shop.a}_owner"`,
    )
    expect(about((await shop.check()).warnings, 'superuser')).toEqual(
      [shop.user, `${shop.a}_owner`].map((role) =>
        expect.stringContaining(`${role} can make itself a superuser: it may SET ROLE to ${boss}`),
      ),
    )
    await shop.ask('postgres', `drop role "${boss}"`)
  })

  test('of logins without a password, and says so where that cannot be seen', async ({ shop }) => {
    const bare = uniqueName('bare')
    await shop.ask('postgres', `create role "${bare}" login`)
    expect(about((await shop.check()).warnings, 'no password').join()).toContain(bare)
    await shop.ask('postgres', `alter role "${bare}" nologin`)
    expect(about((await shop.check()).warnings, 'no password').join()).not.toContain(bare)

    const reader = { name: uniqueName('reader'), password: 'reads' }
    await shop.ask(
      'postgres',
      `create role "${reader.name}" login password 'reads'; grant connect on database "${shop.a}", "${shop.b}" to "${reader.name}"`,
    )
    await shop.ask(
      shop.a,
      `grant usage on schema pgbosun to "${reader.name}"; grant select on all tables in schema pgbosun to "${reader.name}"`,
    )
    expect(about((await shop.check(reader)).warnings, 'every login')).toEqual([
      `whether every login has a password was not checked: ${reader.name} may not read pg_authid`,
    ])
  })

  test('of a declared database that its login may not connect to, and goes on with the others', async ({ shop }) => {
    const reader = { name: uniqueName('near'), password: 'reads' }
    await shop.ask(
      'postgres',
      `create role "${reader.name}" login password 'reads'; grant connect on database "${shop.a}" to "${reader.name}"`,
    )
    await shop.ask(
      shop.a,
      `grant usage on schema pgbosun to "${reader.name}"; grant select on all tables in schema pgbosun to "${reader.name}"; alter table t owner to current_user; revoke all on t from "${shop.user}"`,
    )
    const found = await shop.check(reader)
    expect(about(found.warnings, `database ${shop.b} was not compared`).join()).toContain(
      `grant connect on database "${shop.b}" to "${reader.name}"`,
    )
    expect(found.code).toBe(50)
  })

  test('of passwords that expire soon, or have expired', async ({ shop }) => {
    const days = (count: number) => new Date(Date.now() + count * 86_400_000 + 60_000).toISOString()
    for (const [at, said] of [
      [days(13), /expires in 13 d: nobody can log in with it then/],
      [days(-2), /expired 1 d 23 h ago: nobody can log in with it any more/],
    ] as const) {
      await shop.ask('postgres', `alter role "${shop.user}" valid until '${at}'`)
      const found = about((await shop.check()).warnings, `the password of ${shop.user} expire`)
      expect(found).toEqual([expect.stringMatching(said)])
    }
    await shop.ask('postgres', `alter role "${shop.user}" valid until '${days(20)}'`)
    expect(about((await shop.check()).warnings, 'expire')).toEqual([])
  })

  test('of old passwords, as far as the audit trail knows', async ({ shop }) => {
    await shop.declare({ check: { passwordAge: '90d' } })
    const found = async () => about((await shop.check()).warnings, 'check.passwordAge')
    expect(await found()).toEqual([])
    await shop.ask(shop.a, `update pgbosun.events set at = at - interval '91 days'`)
    expect((await found()).join()).toMatch(/set 91 d ago, but check.passwordAge is 90d/)
    await shop.ask(shop.a, `update pgbosun.events set detail = null`)
    expect((await found()).join()).toMatch(/was not set by pgbosun within the last 91 d/)
    await shop.ask(shop.a, 'delete from pgbosun.events')
    expect((await found()).join()).toMatch(/is not known: PostgreSQL does not keep it/)
  })
})

describe('check.probeTrust', () => {
  test('says nothing where a wrong password is refused, and is off by default', async ({ shop }) => {
    await shop.declare({ check: { probeTrust: true } })
    expect(about((await shop.check()).warnings, 'wrong password')).toEqual([])
  })

  test('finds a server that trusts everybody, and what it could not try', async ({ dir }) => {
    const trusting = await startServer(server().binDir)
    try {
      await writeFile(join(trusting.dir, 'data', 'pg_hba.conf'), 'host all all all trust\n')
      const admin = new URL(trusting.url('shop'))
      await writeFiles(dir, {
        'pgbosun.yaml':
          'databases: { shop: { users: { shop: { preset: app, password: { env: P } } } } }\ncheck: { probeTrust: true }',
      })
      const env = { DATABASE_URL: admin.href, P: 'x' }
      await trusting.stop('fast')
      await trusting.start()
      expect((await runJson(['up'], { cwd: dir, env })).json.error).toBeNull()
      const { code, json } = await runJson(['check'], { cwd: dir, env })
      expect([code, json.warnings]).toEqual([
        0,
        expect.arrayContaining([
          expect.stringMatching(
            /^a wrong password is enough to log in as postgres \(.*\), shop \(.*\/shop\): pg_hba.conf trusts/,
          ),
        ]),
      ])
      await writeFiles(dir, {
        'pgbosun.yaml': 'databases: { shop: { users: { shop: { preset: app, password: { env: P } } } } }',
      })
      expect(about((await runJson(['check'], { cwd: dir, env })).json.warnings as string[], 'wrong password')).toEqual(
        [],
      )
    } finally {
      await trusting.remove()
    }
  })
})
