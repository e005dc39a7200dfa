import { describe, expect } from 'vitest'
import { freePort } from '../scripts/server.ts'
import { makeVerifier } from '../src/postgres/scram.ts'
import { runJson, start } from './support/cli.ts'
import { test as base, open, urlOf, writeFiles } from './support/postgres.ts'

type Admin = {
  name: string
  url(password: string): string
  declare(fields: object, more?: object): Promise<void>
  pgbosun(args: string[], password?: string): ReturnType<typeof runJson>
}

/** A superuser with a password, whose login is declared. */
const test = base.extend<{ admin: Admin }>({
  admin: async ({ dir, database, sql }, use) => {
    const name = `${database}_admin`
    await sql.unsafe(`create role "${name}" superuser login password 'old secret'`)
    const url = (password: string) => urlOf(database, { name, password })
    await writeFiles(dir, { 'migrations/1_t.sql': 'create table t (id int)', 'seeds/t.csv': 'id\n1\n' })
    await use({
      name,
      url,
      declare: (fields, more = {}) =>
        writeFiles(dir, {
          'pgbosun.yaml': JSON.stringify({
            databases: { [database]: { owner: `${database}_owner` }, [`${database}_two`]: {} },
            users: { [name]: fields },
            ...more,
          }),
        }),
      pgbosun: (args, password = 'old secret') =>
        runJson(args, { cwd: dir, env: { DATABASE_URL: url(password), NEW: 'new secret', VERIFIER: verifier } }),
    })
    await sql.unsafe(`drop database if exists "${database}_two"`)
  },
})

const verifier = makeVerifier('new secret', { salt: Buffer.alloc(16), iterations: 4096 })

describe('the user that pgbosun connects as', () => {
  test('can get another password: the rest of the run logs in with it, and a warning says what to change', async ({
    admin,
  }) => {
    await admin.declare({ password: { env: 'NEW' } })
    const plan = await admin.pgbosun(['plan'])
    expect([plan.code, plan.json.warnings]).toEqual([
      0,
      expect.arrayContaining([expect.stringMatching(/changes the password of .*DATABASE_URL/)]),
    ])
    const up = await admin.pgbosun(['up'])
    expect([up.code, up.json.error]).toEqual([0, null])
    const { changes } = (up.json.steps as { changes: { object: string }[] }[])[1]!
    expect(changes.at(-1)!.object).toBe(`password of role ${admin.name}`)
    expect(up.json.warnings).toEqual([expect.stringMatching(/was changed: write the new one into DATABASE_URL now/)])
    expect(JSON.stringify(up)).not.toMatch(/(old|new) secret/)
    expect((await admin.pgbosun(['up'])).code).toBe(12)
    const again = await admin.pgbosun(['up'], 'new secret')
    expect([again.code, again.json.warnings]).toEqual([0, []])
  })

  test('logs in with the new password while serve stays, too', async ({ admin, dir }) => {
    const port = await freePort()
    await admin.declare({ password: { env: 'NEW' } }, { serve: { listen: `127.0.0.1:${port}` } })
    const { child, finished } = start(['serve'], {
      cwd: dir,
      env: { DATABASE_URL: admin.url('old secret'), NEW: 'new secret' },
    })
    const isReady = async () => (await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined))?.status
    // readiness uses sessions of its own
    await expect.poll(isReady).toBe(200)
    child.kill('SIGTERM')
    const { code, stderr } = await finished
    expect([code, stderr]).toEqual([0, expect.not.stringMatching(/28P01/)])
  })

  test('cannot be declared so that it could no longer log in: refused before anything is changed', async ({
    admin,
    sql,
    database,
  }) => {
    for (const [fields, message] of [
      [{ validUntil: '2020-01-01T00:00:00Z' }, 'which has passed'],
      [{ connectionLimit: 2 }, 'a run needs up to'],
      [{ password: { env: 'VERIFIER' } }, 'declared as a verifier'],
    ] as const) {
      await admin.declare(fields)
      for (const command of ['plan', 'up']) {
        const { code, json } = await admin.pgbosun([command])
        expect([command, code, json.error?.message]).toEqual([command, 2, expect.stringContaining(message)])
      }
    }
    expect(await sql`select from pg_database where datname = ${`${database}_two`}`).toEqual([])
  })

  test('can get a validUntil in the future, and a run needs no more sessions than its limit must allow', async ({
    admin,
    sql,
  }) => {
    await admin.declare({ validUntil: '2099-01-01T00:00:00Z', connectionLimit: 8 })
    const observer = open('postgres')
    let most = 0
    const watch = setInterval(async () => {
      const [row] = await observer`select count(*)::int as n from pg_stat_activity where usename = ${admin.name}`
      most = Math.max(most, row!.n)
    }, 20)
    const up = await admin.pgbosun(['up'])
    clearInterval(watch)
    await observer.end({ timeout: 1 })
    expect([up.code, up.json.error]).toEqual([0, null])
    expect(most).toBeGreaterThan(0)
    expect(most).toBeLessThanOrEqual(8)
    const [role] =
      await sql`select rolconnlimit as "limit", rolvaliduntil > now() as later from pg_roles where rolname = ${admin.name}`
    expect(role).toEqual({ limit: 8, later: true })
  })
})
