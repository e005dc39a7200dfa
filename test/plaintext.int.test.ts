import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { startServer } from '../scripts/server.ts'
import { makeVerifier } from '../src/postgres/scram.ts'
import { run, runJson } from './support/cli.ts'
import { expectNoSecret } from './support/fails.ts'
import { test as base, open, server, uniqueName, urlOf, writeFiles } from './support/postgres.ts'
import { startVerifierRefusing } from './support/verifier-refusing.ts'

let refusing: Awaited<ReturnType<typeof startVerifierRefusing>>
beforeAll(async () => {
  refusing = await startVerifierRefusing(server().port)
})
afterAll(() => refusing?.close())

type Provider = {
  user: string
  url: string
  declare(more?: object): Promise<void>
  letsIn(password: string): Promise<boolean>
}

const test = base.extend<{ provider: Provider }>({
  provider: async ({ dir, database, sql }, use) => {
    const user = uniqueName('user')
    const url = new URL(urlOf(database))
    url.port = String(refusing.port)
    url.searchParams.set('sslmode', 'disable')
    await use({
      user,
      url: String(url),
      declare: (more = {}) =>
        writeFiles(dir, {
          'pgbosun.yaml': JSON.stringify({ users: { [user]: { password: { env: 'PW' } } }, ...more }),
        }),
      async letsIn(password) {
        const one = open(database, { name: user, password })
        return one`select 1`
          .then(
            () => true,
            () => false,
          )
          .finally(() => one.end({ timeout: 1 }))
      },
    })
    await sql.unsafe(`drop role if exists "${user}"`)
  },
})

const password = `geheim $$ ' \\ ; ü`

describe('a server that refuses verifiers, and says so only at COMMIT', () => {
  test('is 30 with the key to set, which is never chosen by itself', async ({ dir, provider }) => {
    await provider.declare()
    const before = refusing.refused()
    const { code, json, stderr } = await runJson(['up'], {
      cwd: dir,
      env: { DATABASE_URL: provider.url, PW: password },
    })
    expect([code, json.error]).toMatchObject([
      30,
      {
        message: expect.stringContaining('Neon only supports being given plaintext passwords'),
        hint: expect.stringContaining('passwords.send: plaintext'),
      },
    ])
    expect(refusing.refused()).toBe(before + 1)
    expect(JSON.stringify(json) + stderr).not.toContain('geheim')
    expect(await provider.letsIn(password)).toBe(false)
  })

  test('gets the password itself once that is chosen, and the plan says so', async ({ dir, provider }) => {
    await provider.declare({ passwords: { send: 'plaintext' } })
    const options = { cwd: dir, env: { DATABASE_URL: provider.url, PW: password } }
    const plan = await run(['plan'], options)
    expect(plan.stdout).toMatch(/set password of role .* sent as plain text, which the server sees and may log/)
    expectNoSecret(plan)
    const up = await run(['up', '--log-level', 'debug'], options)
    expect([up.code, up.stderr]).toEqual([0, expect.any(String)])
    expectNoSecret(up)
    expect(await provider.letsIn(password)).toBe(true)
    expect((await run(['plan', '--exit-code'], options)).code).toBe(0)
    expect((await run(['up'], { ...options, env: { ...options.env, PW: 'geheim another' } })).code).toBe(0)
    expect(await provider.letsIn('geheim another')).toBe(true)
  })
})

test('a plain password is not in the log of a server that lets us silence it', async ({ dir, provider }) => {
  const own = await startServer(server().binDir, {
    settings: ['fsync=off', 'log_statement=all', 'log_min_duration_statement=0'],
  })
  try {
    await provider.declare({ passwords: { send: 'plaintext' } })
    const up = await run(['up'], { cwd: dir, env: { DATABASE_URL: own.url('postgres'), PW: 'geheim 1' } })
    expect(up.code).toBe(0)
    expect(readFileSync(own.logFile, 'utf8')).toContain(`create role "${provider.user}"`)
    expect(readFileSync(own.logFile, 'utf8')).not.toContain('geheim 1')
  } finally {
    await own.remove()
  }
})

test.for([
  ['plan'],
  ['up'],
  ['config', 'validate'],
])('a verifier that would be sent as a password is 2: %s', async (args, { dir, provider }) => {
  await provider.declare({ passwords: { send: 'plaintext' } })
  const PW = makeVerifier('geheim', { salt: Buffer.alloc(16), iterations: 4096 })
  const result = await run(args, { cwd: dir, env: { DATABASE_URL: provider.url, PW } })
  expect([result.code, result.stdout + result.stderr]).toEqual([
    2,
    expect.stringContaining('is a verifier, but passwords.send'),
  ])
  expect(result.stdout + result.stderr).not.toContain('SCRAM-SHA-256$')
})

test('where the server makes md5 hashes, a plain password is in place once it is set', async ({
  dir,
  provider,
  sql,
}) => {
  if (server().major >= 19) return // it makes none any more
  await provider.declare({ passwords: { send: 'plaintext' } })
  await sql.unsafe(`alter database postgres set password_encryption = 'md5'`)
  try {
    const options = { cwd: dir, env: { DATABASE_URL: provider.url, PW: 'geheim' } }
    expect((await run(['up'], options)).code).toBe(0)
    const [row] = await sql.unsafe(`select rolpassword from pg_authid where rolname = '${provider.user}'`)
    expect(row!.rolpassword).toMatch(/^md5/)
    expect((await run(['plan', '--exit-code'], options)).code).toBe(0)
  } finally {
    await sql.unsafe('alter database postgres reset password_encryption')
  }
})
