import { rename, stat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { freePort } from '../scripts/server.ts'
import { client } from './support/backup.ts'
import { run, type Started, start } from './support/cli.ts'
import { test as base, open, server, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

type Status = {
  ready: boolean
  backups: { last_success_id: string | null; last_error: string | null }[]
  conditions: { name: string; severity: string; roles: string[]; message: string; hint: string; since: string }[]
}

/** A database with a user for the application and one for backups. Their passwords are files; the login of the backups reads the same file. */
type Shop = {
  database: string
  keeper: string
  app: string
  env: Record<string, string>
  /** `more`: further lines of the configuration. */
  configure(more?: string, schedule?: string, preset?: string): Promise<void>
  serve(args?: string[], env?: Record<string, string>): Started
  /** Overwrites a secret where it is. */
  write(secret: 'keeper' | 'app', text: string): Promise<void>
  status(): Promise<Status>
  /** Whether the server lets a user in. */
  letsIn(user: string, password: string): Promise<boolean>
  until<T>(what: string, look: () => Promise<T | undefined>, timeoutMs?: number): Promise<T>
  /** The log so far. */
  log(): string
}

const old = 'the old secret'
const fresh = 'the new secret'

const test = base.extend<{ shop: Shop }>({
  shop: async ({ dir, database }, use) => {
    const port = await freePort()
    const [keeper, app] = [uniqueName('keeper'), uniqueName('app')]
    const env = {
      DATABASE_URL: urlOf(database),
      BACKUP_URL: `postgres://${keeper}@127.0.0.1:${server().port}/${database}`,
      PGPASSWORD_FILE: `${dir}/secrets/keeper`,
    }
    const started: Started[] = []
    let log = ''
    await writeFiles(dir, { 'secrets/keeper': old, 'secrets/app': old })
    await use({
      database,
      keeper,
      app,
      env,
      log: () => log,
      configure: (more = '', schedule = '@yearly', preset = 'preset: backup,') =>
        writeFiles(dir, {
          'pgbosun.yaml': [
            `databases: { ${database}: { users: { ${app}: { preset: app, password: { file: secrets/app } } } } }`,
            `users: { ${keeper}: { ${preset} password: { file: secrets/keeper } } }`,
            `backup: { url: { env: BACKUP_URL }, store: "file://${dir}/store", schedule: "${schedule}" }`,
            `serve: { listen: "127.0.0.1:${port}" }`,
            more,
            '',
          ].join('\n'),
        }),
      serve(args = [], more = {}) {
        const one = start(['serve', ...args], { cwd: dir, env: { ...env, ...more } })
        one.child.stderr?.on('data', (text) => {
          log += text
        })
        started.push(one)
        return one
      },
      async write(secret, text) {
        const path = `${dir}/secrets/${secret}`
        const { ino } = await stat(path)
        await writeFiles(dir, { [`secrets/${secret}`]: text })
        expect((await stat(path)).ino).toBe(ino)
      },
      status: async () => (await (await fetch(`http://127.0.0.1:${port}/status.json`)).json()) as Status,
      async letsIn(user, password) {
        const sql = open(database, { name: user, password })
        try {
          await sql`select 1`
          return true
        } catch (error) {
          if ((error as { code?: string }).code === '28P01') return false
          throw error
        } finally {
          await sql.end({ timeout: 1 })
        }
      },
      async until(what, look, timeoutMs = 30_000) {
        const deadline = Date.now() + timeoutMs
        for (;;) {
          const found = await look().catch(() => undefined)
          if (found !== undefined) return found
          if (Date.now() > deadline) throw new Error(`not within ${timeoutMs / 1000} s: ${what}\n${log}`)
          await sleep(100)
        }
      },
    })
    for (const { child, finished } of started) {
      child.kill('SIGKILL')
      await finished
    }
  },
})

const truly = (is: boolean) => (is ? true : undefined)
const backup = async ({ status }: Shop) => (await status()).backups[0]
const failure = (shop: Shop) =>
  shop.until('a backup that fails', async () => (await backup(shop))?.last_error ?? undefined)
const lines = (shop: Shop, text: string) =>
  shop
    .log()
    .split('\n')
    .filter((line) => line.includes(text))

/** A migration delays `up` after it has set the passwords: a secret that is written then was not applied by it, and the first backup meets it. */
async function servedWith(shop: Shop, dir: string, rotate: () => Promise<void>, env = {}): Promise<void> {
  await writeFiles(dir, { 'migrations/001_slow.sql': 'select pg_sleep(4)' })
  shop.serve([], env)
  await shop.until('the password of up', async () => truly(await shop.letsIn(shop.keeper, old)))
  await rotate()
}

// These tests wait for minutes, so they run at the same time.
describe.skipIf(!client).concurrent('a rotated secret of the role of the backups', () => {
  test('is set once the server has refused it: the next backup succeeds, and one line of the log says so, without the secret', async ({
    shop,
  }) => {
    await shop.configure('', '* * * * *')
    shop.serve()
    const first = await shop.until('the first backup', async () => (await backup(shop))?.last_success_id ?? undefined)
    await shop.write('keeper', fresh)
    await shop.until(
      'the next backup',
      async () => {
        const { last_success_id: id } = (await backup(shop))!
        return truly(id !== null && id !== first && (await shop.letsIn(shop.keeper, fresh)))
      },
      120_000,
    )
    expect(await shop.letsIn(shop.keeper, old)).toBe(false)
    const status = await shop.status()
    expect(status).toMatchObject({ ready: true, backups: [{ last_error: null }], conditions: [] })
    const told = lines(shop, shop.keeper).filter((line) => line.includes('has been set now'))
    expect(told.map((line) => JSON.parse(line))).toMatchObject([
      { level: 'info', role: shop.keeper, msg: expect.stringContaining('the server refused the rotated password of') },
    ])
    for (const secret of [old, fresh, 'SCRAM-SHA-256']) expect(shop.log()).not.toContain(secret)
  }, 180_000)

  test('is recorded in the audit trail', async ({ shop, dir, sql }) => {
    await shop.configure()
    await servedWith(shop, dir, () => shop.write('keeper', fresh))
    await shop.until('a backup', async () => (await backup(shop))?.last_success_id ?? undefined)
    const events = await sql<{ changes: { object: string }[] }[]>`
      select detail -> 'changes' as changes from pgbosun.events where command = 'serve' and phase = 'finished' order by id`
    expect(events.at(-1)?.changes).toMatchObject([{ action: 'set', object: `password of role ${shop.keeper}` }])
  }, 60_000)

  test('is not set with `applyOnRotation: never`, and the hint says what to do', async ({ shop, dir }) => {
    await shop.configure('passwords: { applyOnRotation: never }')
    await servedWith(shop, dir, () => shop.write('keeper', fresh))
    expect(await failure(shop)).toContain(`the password of ${shop.keeper} was refused`)
    const line = await refusalIn(shop)
    expect(JSON.parse(line)).toMatchObject({ hint: 'the secret has changed since `up`: run `pgbosun up`' })
    expect(await shop.letsIn(shop.keeper, old)).toBe(true)
    const [condition] = await shop.until(
      'the condition',
      async () => {
        const conditions = (await shop.status()).conditions.filter(({ name }) => name.startsWith('secret-'))
        return conditions.length > 0 ? conditions : undefined
      },
      60_000,
    )
    expect(condition).toMatchObject({ name: 'secret-changed', roles: [shop.keeper] })
  }, 120_000)

  test('is not set with `serve --no-up`, and the hint says what to do', async ({ shop, dir }) => {
    await shop.configure('', '* * * * *')
    expect(await run(['up'], { cwd: dir, env: shop.env })).toMatchObject({ code: 0 })
    shop.serve(['--no-up'])
    await shop.until('a backup', async () => (await backup(shop))?.last_success_id ?? undefined)
    await shop.write('keeper', fresh)
    await shop.until('a failure', async () => (await backup(shop))?.last_error ?? undefined, 90_000)
    const line = await refusalIn(shop)
    expect(JSON.parse(line)).toMatchObject({ hint: 'the secret has changed since `up`: run `pgbosun up`' })
    expect(await shop.letsIn(shop.keeper, old)).toBe(true)
    expect(await run(['up'], { cwd: dir, env: shop.env })).toMatchObject({ code: 0 })
    await shop.until('the next try', async () => truly((await backup(shop))?.last_error === null), 90_000)
  }, 240_000)

  test('is not set while it is being written', async ({ shop, dir }) => {
    await shop.configure()
    let writing = true
    let written: Promise<void> | undefined
    await servedWith(shop, dir, async () => {
      await shop.write('keeper', 'piece 0')
      written = (async () => {
        for (let i = 1; writing; i++) {
          await sleep(500)
          await shop.write('keeper', `piece ${i}`)
        }
      })()
    })
    try {
      await failure(shop)
      const line = await refusalIn(shop)
      expect(JSON.parse(line)).toMatchObject({ hint: expect.stringContaining('is being written') })
      expect(await shop.letsIn(shop.keeper, old)).toBe(true)
    } finally {
      writing = false
      await written
    }
  }, 60_000)

  test.for<[string, string]>([
    ['empty', ''],
    ['blank', ' \n'],
  ])('is not set while it is %s', async ([, text], { shop, dir }) => {
    await shop.configure()
    await servedWith(shop, dir, () => shop.write('keeper', text))
    await failure(shop)
    await shop.until('the reason', async () => truly(lines(shop, 'is empty').length > 0))
    expect(await shop.letsIn(shop.keeper, old)).toBe(true)
    expect(await shop.letsIn(shop.keeper, ' ')).toBe(false)
  })

  test('is not set if the login sends another one', async ({ shop, dir }) => {
    await shop.configure()
    await writeFiles(dir, { 'secrets/login': old })
    await servedWith(
      shop,
      dir,
      async () => {
        await shop.write('keeper', fresh)
        await writeFiles(dir, { 'secrets/login': 'a third secret' })
      },
      { PGPASSWORD_FILE: `${dir}/secrets/login` },
    )
    await failure(shop)
    const line = await refusalIn(shop)
    expect(JSON.parse(line)).toMatchObject({ hint: expect.stringContaining('backup.url has another one') })
    expect(await shop.letsIn(shop.keeper, old)).toBe(true)
  })

  test('is not set if it is the one that `up` applied, and somebody else has changed it on the server', async ({
    shop,
    sql,
  }) => {
    await shop.configure('', '* * * * *')
    shop.serve()
    await shop.until('a backup', async () => (await backup(shop))?.last_success_id ?? undefined)
    await sql.unsafe(`alter role ${shop.keeper} password 'of somebody else'`)
    await shop.until('a failure', async () => (await backup(shop))?.last_error ?? undefined, 90_000)
    const line = await refusalIn(shop)
    expect(JSON.parse(line)).toMatchObject({ hint: expect.stringContaining('`pgbosun up`') })
    expect(await shop.letsIn(shop.keeper, 'of somebody else')).toBe(true)
  }, 120_000)

  test('is not set for the user of the target’s own connection', async ({ shop, sql }) => {
    const admin = { name: shop.keeper, password: old }
    await sql.unsafe(`create role ${admin.name} superuser login password '${old}'`)
    await shop.configure('', '* * * * *', '')
    shop.serve([], { DATABASE_URL: urlOf(shop.database, admin) })
    await shop.until('a backup', async () => (await backup(shop))?.last_success_id ?? undefined)
    await shop.write('keeper', fresh)
    const error = await shop.until('a failure', async () => (await backup(shop))?.last_error ?? undefined, 90_000)
    expect(error).toContain(`the password of ${admin.name} was refused`)
    expect(lines(shop, 'has been set now')).toEqual([])
    expect(await shop.letsIn(shop.keeper, old)).toBe(true)
  }, 120_000)

  test('is not set while another runner has the lock on roles', async ({ shop, dir }) => {
    await shop.configure(`lock: { database: ${shop.database}, timeout: 2s }`)
    const other = open(shop.database)
    try {
      await servedWith(shop, dir, async () => {
        await shop.until('the lock', async () => {
          const [row] = await other`select pg_try_advisory_lock(1885823599, 0) as taken`
          return truly(row?.taken)
        })
        await shop.write('keeper', fresh)
      })
      await failure(shop)
      const line = await refusalIn(shop)
      expect(JSON.parse(line)).toMatchObject({
        hint: expect.stringContaining('the lock on roles and databases was held'),
      })
      expect(await shop.letsIn(shop.keeper, old)).toBe(true)
    } finally {
      await other.end({ timeout: 1 })
    }
  }, 60_000)

  test('is not set without the rights, and the hint says so', async ({ shop, dir, sql }) => {
    const admin = { name: uniqueName('admin'), password: 'admin secret' }
    await shop.configure(`lock: { database: ${shop.database} }`, '* * * * *')
    expect(await run(['up'], { cwd: dir, env: shop.env })).toMatchObject({ code: 0 })
    // It may read that everything is as declared, but may change nothing.
    await sql.unsafe(`
      create role ${admin.name} login password '${admin.password}';
      grant connect on database ${shop.database} to ${admin.name}; grant select on pg_authid to ${admin.name}`)
    shop.serve([], { DATABASE_URL: urlOf(shop.database, admin) })
    await shop.until('a backup', async () => (await backup(shop))?.last_success_id ?? undefined)
    await shop.write('keeper', fresh)
    await shop.until('a failure', async () => (await backup(shop))?.last_error ?? undefined, 90_000)
    const line = await refusalIn(shop)
    expect(JSON.parse(line).hint).toMatch(
      /^the secret has changed since `up`: run `pgbosun up` as a user that may set the password/,
    )
    expect(JSON.parse(line).hint).toContain(`${admin.name} may not change roles and privileges`)
    expect(await shop.letsIn(shop.keeper, old)).toBe(true)
  }, 150_000)
})

/** The status may know of it before the log has arrived here. */
const refusalIn = (shop: Shop) => shop.until('the line', async () => lines(shop, 'was refused')[0])

describe.concurrent('a rotated secret of another role', () => {
  const condition = (shop: Shop, there: boolean) =>
    shop.until(
      there ? 'the condition' : 'no condition',
      async () => {
        const { conditions } = await shop.status()
        return conditions.length > 0 === there ? { first: conditions[0] } : undefined
      },
      60_000,
    )
  const isUp = (shop: Shop) => shop.until('up', async () => truly((await shop.status()).ready))

  test('is not set: the status and the log report it until somebody has run `up`', async ({ shop, dir }) => {
    await shop.configure()
    shop.serve()
    await isUp(shop)
    await shop.write('app', fresh)
    const { first } = await condition(shop, true)
    expect(first).toMatchObject({
      name: 'secret-changed',
      severity: 'warning',
      roles: [shop.app],
      hint: expect.stringContaining('`pgbosun up`'),
    })
    expect(await shop.letsIn(shop.app, old)).toBe(true)
    expect(await shop.letsIn(shop.app, fresh)).toBe(false)
    expect((await shop.status()).ready).toBe(true)

    expect(await run(['up'], { cwd: dir, env: shop.env })).toMatchObject({ code: 0 })
    await condition(shop, false)
    expect(await shop.letsIn(shop.app, fresh)).toBe(true)
    expect(lines(shop, 'secret-changed').map((line) => JSON.parse(line))).toMatchObject([
      { level: 'warn', roles: [shop.app], msg: expect.stringContaining('has changed since `up`') },
      { level: 'info', roles: [shop.app], msg: 'secret-changed is over' },
    ])
    for (const secret of [old, fresh, 'SCRAM-SHA-256']) expect(shop.log()).not.toContain(secret)
  }, 120_000)

  test('that cannot be read is a condition until it can be read; serve goes on', async ({ shop, dir }) => {
    await shop.configure()
    const { child } = shop.serve()
    await isUp(shop)
    await rename(`${dir}/secrets/app`, `${dir}/secrets/gone`)
    const { first } = await condition(shop, true)
    expect(first).toMatchObject({
      name: 'secret-unreadable',
      roles: [shop.app],
      message: expect.stringContaining(`${dir}/secrets/app does not exist`),
    })
    await rename(`${dir}/secrets/gone`, `${dir}/secrets/app`)
    await condition(shop, false)
    expect(child.exitCode).toBeNull()
    expect(lines(shop, 'secret-unreadable')).toHaveLength(2)
  }, 120_000)
})
