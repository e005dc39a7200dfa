import { readFileSync, writeFileSync } from 'node:fs'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { type Server, startServer } from '../scripts/server.ts'
import { makeVerifier } from '../src/postgres/scram.ts'
import { runJson } from './support/cli.ts'
import { test as base, server as shared, uniqueName, writeFiles } from './support/postgres.ts'

/** A server that logs every login. */
let server: Server
let admin: postgres.Sql
beforeAll(async () => {
  server = await startServer(shared().binDir, { settings: ['fsync=off', 'log_connections=on', 'log_statement=all'] })
  admin = postgres(server.url('postgres'), { max: 1, onnotice() {}, fetch_types: false } as postgres.Options<
    Record<string, never>
  >)
})
afterAll(async () => {
  await admin?.end({ timeout: 1 })
  await server?.remove()
})

const log = () => readFileSync(server.logFile, 'utf8')

/** A deputy that may create roles and owns a database, but may not read pg_authid; and a user that it has created. */
type Deputy = {
  user: string
  database: string
  as(name: string, password: string): postgres.Sql
  letsIn(password: string): Promise<boolean>
  declare(fields: object): Promise<void>
  pgbosun(args: string[], env?: Record<string, string>): ReturnType<typeof runJson>
  /** The last changes of `ensure`, as `action object`. */
  changes(args?: string[], env?: Record<string, string>): Promise<string[]>
}

const test = base.extend<{ deputy: Deputy }>({
  deputy: async ({ dir }, use) => {
    const [name, user, database] = [uniqueName('deputy'), uniqueName('user'), uniqueName('db')]
    await admin.unsafe(`create role "${name}" login createrole password 'deputy'`)
    await admin.unsafe(`create database "${database}" owner "${name}"`)
    const place = new URL(server.url(database))
    const as = (username: string, password: string) =>
      postgres({
        host: place.hostname,
        port: Number(place.port),
        database,
        username,
        password,
        max: 1,
        fetch_types: false,
      })
    const own = as(name, 'deputy')
    await own.unsafe(`create role "${user}" login`)
    await own.end()
    const pgbosun: Deputy['pgbosun'] = (args, env = {}) =>
      runJson(args, {
        cwd: dir,
        env: { DATABASE_URL: `postgres://${name}:deputy@${place.host}/${database}`, PW: 'old secret', ...env },
      })
    await use({
      user,
      database,
      as,
      async letsIn(password) {
        const sql = as(user, password)
        return sql`select 1`
          .then(
            () => true,
            () => false,
          )
          .finally(() => sql.end({ timeout: 1 }))
      },
      declare: (fields) =>
        writeFiles(dir, {
          'pgbosun.yaml': JSON.stringify({ users: { [user]: { password: { env: 'PW' }, ...fields } } }),
        }),
      pgbosun,
      async changes(args = ['roles', 'apply'], env = {}) {
        const { code, json } = await pgbosun(args, env)
        expect([code, json.error]).toEqual([0, null])
        const { changes } = (json.steps as { name: string; changes: { action: string; object: string }[] }[]).find(
          (step) => step.name === 'ensure',
        )!
        return changes.map(({ action, object }) => `${action} ${object}`)
      },
    })
    await admin.unsafe(`drop database "${database}" with (force)`)
    await admin.unsafe(`drop role "${user}"; drop role "${name}"`)
  },
})

describe('a password where pg_authid may not be read', () => {
  test('is compared by a login: it is set, then nothing is to do, and a change by hand is repaired', async ({
    deputy,
  }) => {
    await deputy.declare({})
    const set = [`set password of role ${deputy.user}`, `note passwords of ${deputy.user} in pgbosun.state`]
    expect(await deputy.changes(['roles', 'plan'])).toEqual(set)
    expect(await deputy.letsIn('old secret')).toBe(false)
    expect(await deputy.changes()).toEqual(set)
    expect(await deputy.letsIn('old secret')).toBe(true)
    expect(await deputy.changes(['roles', 'plan'])).toEqual([])
    expect(await deputy.changes(['up'])).toEqual([])
    await admin.unsafe(`alter role "${deputy.user}" password 'by hand'`)
    expect(await deputy.changes()).toEqual(set)
    expect(await deputy.letsIn('old secret')).toBe(true)
    expect(log()).not.toContain('old secret')
  })

  test('is compared without a failed login where it is right', async ({ deputy }) => {
    await deputy.declare({})
    await deputy.changes()
    const before = log().length
    expect(await deputy.changes()).toEqual([])
    expect(log().slice(before)).toContain(`user=${deputy.user}`)
    expect(log().slice(before)).not.toContain('password authentication failed')
  })

  test.for([
    ['which has too many connections', 'connection limit 0'],
    ['which may not log in', 'nologin'],
  ])('is compared for a role %s', async ([, attribute], { deputy }) => {
    await admin.unsafe(`alter role "${deputy.user}" password 'old secret'`)
    await admin.unsafe(`alter role "${deputy.user}" ${attribute}`)
    await deputy.declare({})
    // NOLOGIN itself is a difference, which this deputy is not allowed to repair
    const { json } = await deputy.pgbosun(['roles', 'plan'])
    expect(JSON.stringify(json.steps)).not.toContain('set password')
  })

  test('is compared for a role that may not connect to the database', async ({ deputy }) => {
    await admin.unsafe(`alter role "${deputy.user}" password 'old secret'`)
    await admin.unsafe(`revoke connect on database "${deputy.database}" from public`)
    await deputy.declare({})
    expect(await deputy.changes(['roles', 'plan'])).toEqual([])
  })

  test('is remembered for a role that has expired: the server says the same as for a wrong one', async ({ deputy }) => {
    await admin.unsafe(`alter role "${deputy.user}" valid until '2001-01-01'`)
    await deputy.declare({})
    expect(await deputy.changes()).toHaveLength(2)
    expect(await deputy.changes()).toEqual([])
    expect(await deputy.changes(['roles', 'apply'], { PW: 'new secret' })).toHaveLength(2)
  })

  test('given as a verifier is set once, and remembered', async ({ deputy }) => {
    const verifier = (password: string) => makeVerifier(password, { salt: Buffer.alloc(16), iterations: 4096 })
    await deputy.declare({})
    expect(await deputy.changes(['roles', 'apply'], { PW: verifier('one') })).toHaveLength(2)
    expect(await deputy.letsIn('one')).toBe(true)
    expect(await deputy.changes(['up'], { PW: verifier('one') })).toEqual([])
    expect(await deputy.changes(['up'], { PW: verifier('two') })).toHaveLength(2)
    expect(await deputy.letsIn('two')).toBe(true)
  })

  test('is remembered where the server lets everybody in', async ({ deputy }) => {
    const [{ hba_file: file }] = (await admin`show hba_file`) as unknown as [{ hba_file: string }]
    const before = readFileSync(file, 'utf8')
    writeFileSync(file, `host ${deputy.database} ${deputy.user} all trust\n${before}`)
    await admin`select pg_reload_conf()`
    try {
      await expect.poll(() => deputy.letsIn('anything')).toBe(true)
      await deputy.declare({})
      expect(await deputy.changes()).toHaveLength(2)
      expect(await deputy.changes()).toEqual([])
      expect(await deputy.changes(['roles', 'apply'], { PW: 'new secret' })).toHaveLength(2)
    } finally {
      writeFileSync(file, before)
      await admin`select pg_reload_conf()`
    }
    expect(await deputy.letsIn('new secret')).toBe(true)
  })

  test('is set in each run where nothing can be remembered, and a warning says so', async ({ deputy }) => {
    await admin.unsafe(`alter role "${deputy.user}" valid until '2001-01-01'`)
    await admin.unsafe(`alter database "${deputy.database}" owner to postgres`)
    await deputy.declare({})
    for (const _ of [1, 2]) {
      const { code, json } = await deputy.pgbosun(['roles', 'apply'])
      expect([code, json.warnings]).toEqual([0, [expect.stringContaining('could not be remembered')]])
    }
  })
})

test('no login is tried where pg_authid can be read', async ({ dir, deputy }) => {
  await deputy.declare({})
  const before = log().length
  const env = { DATABASE_URL: server.url(deputy.database), PW: 'old secret' }
  for (const args of [['plan'], ['roles', 'apply'], ['roles', 'plan']])
    expect((await runJson(args, { cwd: dir, env })).code).toBe(0)
  expect(log().slice(before)).not.toContain(`user=${deputy.user}`)
})
