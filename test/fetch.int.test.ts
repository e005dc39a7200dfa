import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect } from 'vitest'
import { silentLog } from '../src/log.ts'
import { fetchDump } from '../src/restore/fetch.ts'
import { quoteIdent } from '../src/sql/quote.ts'
import { localStore } from '../src/store/local.ts'
import { childrenOf, client, lastRecordIn, search, test } from './support/backup.ts'
import { until } from './support/chaos.ts'
import { encryptFor, makeKey } from './support/keys.ts'
import { open, server, uniqueName, urlOf } from './support/postgres.ts'

const shop = `
  create table users (id serial primary key, name text);
  insert into users (name) select 'user ' || i || md5(i::text) from generate_series(1, 20000) i;
  create table orders (id int primary key, user_id int references users, note text);
  insert into orders select i, i, e'two\\nlines' from generate_series(1, 100) i;
  create view names as select name from users`

/** Runs a stock program against a new database, and counts what is there afterwards. */
async function loaded(program: string, args: string[]): Promise<{ users: number | null; orders: number | null }> {
  const name = uniqueName('by_hand')
  const admin = open('postgres')
  await admin.unsafe(`create database ${quoteIdent(name)} template template0`)
  await admin.end({ timeout: 1 })
  execFileSync(join(server().binDir, program), [...args, '--dbname', urlOf(name)], { stdio: 'pipe' })
  const sql = open(name)
  try {
    const count = async (table: string) => {
      const [row] = await sql.unsafe(`select to_regclass('${table}') is not null as found`)
      return row!.found ? ((await sql.unsafe(`select count(*)::int as n from ${table}`))[0]!.n as number) : null
    }
    return { users: await count('users'), orders: await count('orders') }
  } finally {
    await sql.end({ timeout: 1 })
  }
}

/** A secret to sign with. */
function signedBy(dir: string): { file: string } {
  const file = join(dir, 'sign')
  writeFileSync(file, '0f'.repeat(32))
  return { file }
}

describe.skipIf(!client)('backup fetch', () => {
  test.for([false, true])('writes what stock pg_restore and psql load: encrypted %s', async (encrypted, {
    configured,
    dir,
    database,
    sql,
  }) => {
    await sql.unsafe(shop)
    const ops = await makeKey(dir, 'ops')
    const pgbosun = await configured({ backup: encrypted ? { encrypt: encryptFor([ops], ops) } : {} })
    const { json } = await pgbosun.runJson('backup', 'run')

    const custom = join(dir, 'shop.dump')
    const fetched = await pgbosun.runJson('backup', 'fetch', String(json.id), '--to', custom, '--as', 'custom')
    expect(fetched.code, fetched.stderr).toBe(0)
    expect(fetched.json).toMatchObject({
      ...{ command: 'backup fetch', id: json.id, database, file: custom, as: 'custom', warnings: [] },
      size_bytes: statSync(custom).size,
      duration_ms: expect.any(Number),
    })
    expect(statSync(custom).mode & 0o777).toBe(0o600)
    expect(await loaded('pg_restore', ['--exit-on-error', custom])).toEqual({ users: 20000, orders: 100 })

    const text = join(dir, 'shop.sql')
    const plain = await pgbosun.runJson('backup', 'fetch', 'latest', '--to', text, '--as', 'sql')
    expect(plain.code, plain.stderr).toBe(0)
    expect(plain.json).toMatchObject({ id: json.id, size_bytes: statSync(text).size })
    expect(readFileSync(text, 'utf8').trimEnd()).toMatch(/PostgreSQL database dump complete\n--(\n\n\\unrestrict .*)?$/)
    expect(await loaded('psql', ['-v', 'ON_ERROR_STOP=1', '-q', '-f', text])).toEqual({ users: 20000, orders: 100 })

    const part = join(dir, 'users.sql')
    const some = await pgbosun.runJson('backup', 'fetch', 'latest', '--to', part, '--as', 'sql', '--table', 'users')
    expect(some.code, some.stderr).toBe(0)
    expect(await loaded('psql', ['-v', 'ON_ERROR_STOP=1', '-q', '-f', part])).toEqual({ users: 20000, orders: null })
    expect(readFileSync(part, 'utf8')).toContain('users_pkey')
    expect(readdirSync(dir).filter((name) => name.endsWith('.partial'))).toEqual([])
  })

  test('keeps the backup from being pruned meanwhile, and notes that an identity decrypted it', async ({
    configured,
    dir,
    database,
    store,
    sql,
  }) => {
    await sql.unsafe(shop)
    const ops = await makeKey(dir, 'ops')
    const pgbosun = await configured({ backup: { encrypt: encryptFor([ops], ops), sign: { secret: signedBy(dir) } } })
    const { json } = await pgbosun.runJson('backup', 'run')
    const folder = join(store, database, String(json.id))
    const before = Date.now()
    const leases = () => readdirSync(folder).filter((name) => /^lease-/.test(name)).length
    const inner = localStore(pathToFileURL(store).href)
    const meanwhile: number[] = []
    await fetchDump({
      store: {
        ...inner,
        read(key) {
          if (key.endsWith('dump.zst.age')) meanwhile.push(leases())
          return inner.read(key)
        },
      },
      keys: { identities: [ops.identity], secrets: ['0f'.repeat(32)] },
      manifest: JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')),
      ...{ file: join(dir, 'a.dump'), as: 'custom', tables: [], search, log: silentLog },
      ...{ signal: new AbortController().signal, now: () => new Date(), onProgress() {} },
    })
    expect(meanwhile).toEqual([1, 1])
    expect(leases()).toBe(0)
    const noted = lastRecordIn(folder)
    expect(noted).toMatchObject({ id: json.id, ok: true, level: 'stored', hmac_sha256: expect.any(String) })
    expect(Date.parse(noted.decrypted_at)).toBeGreaterThanOrEqual(before)
    // what was known stays known
    expect(noted.verified_at).toBe(JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')).verified_at)
  })

  test('never replaces a file, and writes none that nobody can open', async ({ configured, dir, sql }) => {
    await sql.unsafe(shop)
    const [ops, wrong] = [await makeKey(dir, 'ops'), await makeKey(dir, 'wrong')]
    const pgbosun = await configured({ backup: { encrypt: encryptFor([ops], ops) } })
    const { json } = await pgbosun.runJson('backup', 'run')
    const id = String(json.id)
    const file = join(dir, 'there.dump')
    const fetch = (one: typeof pgbosun, to: string, ...more: string[]) =>
      one.runJson('backup', 'fetch', id, '--to', to, '--as', 'custom', ...more)

    writeFileSync(file, 'mine')
    expect((await fetch(pgbosun, file)).json).toMatchObject({
      exit_code: 2,
      error: { message: expect.stringContaining('exists already; nothing was written') },
    })
    expect(readFileSync(file, 'utf8')).toBe('mine')
    const leads = join(dir, 'leads-nowhere')
    symlinkSync(join(dir, 'nowhere'), leads)
    expect((await fetch(pgbosun, leads)).code).toBe(2)
    const free = join(dir, 'free.dump')
    writeFileSync(`${free}.partial`, 'of another run')
    expect((await fetch(pgbosun, free)).code).toBe(2)
    expect(readFileSync(`${free}.partial`, 'utf8')).toBe('of another run')
    expect((await fetch(pgbosun, join(dir, 'no', 'folder'))).code).toBe(2)
    expect((await fetch(pgbosun, join(dir, 'x'), '--table', 'users')).code).toBe(2)
    expect((await pgbosun.runJson('backup', 'fetch', id, '--to', join(dir, 'x'))).code).toBe(2)
    expect((await pgbosun.runJson('backup', 'fetch', id, '--to', join(dir, 'x'), '--as', 'tar')).code).toBe(2)
    const unknown = await pgbosun.runJson(
      'backup',
      'fetch',
      id,
      '--to',
      join(dir, 'x'),
      '--as',
      'sql',
      '--table',
      'nobody',
    )
    expect(unknown.json).toMatchObject({ exit_code: 2, error: { message: expect.stringContaining('nobody') } })
    const missing = await pgbosun.runJson(
      'backup',
      'fetch',
      '20260101T000000Z-00000000',
      '--to',
      join(dir, 'x'),
      '--as',
      'sql',
    )
    expect(missing.code).toBe(62)

    const stranger = await configured({ backup: { encrypt: encryptFor([ops], wrong) } })
    for (const as of ['custom', 'sql'])
      expect((await stranger.runJson('backup', 'fetch', id, '--to', join(dir, 'x'), '--as', as)).json).toMatchObject({
        exit_code: 61,
        error: { message: expect.stringContaining('no identity opens') },
      })
    expect(readdirSync(dir).filter((name) => name.startsWith('x'))).toEqual([])
  })

  test('leaves no file of a damaged backup, wherever it is damaged', { timeout: 120_000 }, async ({
    configured,
    store,
    dir,
    database,
    sql,
  }) => {
    await sql.unsafe(shop)
    const ops = await makeKey(dir, 'ops')
    for (const [backup, name] of [
      [{ encrypt: encryptFor([ops], ops) }, 'dump.zst.age'],
      [{}, 'dump.zst'],
    ] as const) {
      const pgbosun = await configured({ backup })
      const { json } = await pgbosun.runJson('backup', 'run')
      const path = join(store, database, String(json.id), name)
      const whole = readFileSync(path)
      for (const at of [10, Math.floor(whole.length / 2), whole.length - 5]) {
        const changed = Buffer.from(whole)
        changed[at]! ^= 4
        writeFileSync(path, changed)
        for (const as of ['custom', 'sql']) {
          const to = join(dir, 'damaged')
          const fetched = await pgbosun.runJson('backup', 'fetch', String(json.id), '--to', to, '--as', as)
          expect(fetched.json, `${name}, byte ${at}, as ${as}`).toMatchObject({ exit_code: 61 })
          expect(existsSync(to)).toBe(false)
          expect(existsSync(`${to}.partial`)).toBe(false)
        }
      }
      writeFileSync(path, whole.subarray(0, whole.length - 16))
      const cut = await pgbosun.runJson('backup', 'fetch', String(json.id), '--to', join(dir, 'cut'), '--as', 'sql')
      expect(cut.code).toBe(61)
      writeFileSync(path, whole)
    }
  })

  test('leaves nothing where there is no room for it', async ({ configured, dir, sql, skip }) => {
    await sql.unsafe(`${shop}; create table large as select md5(i::text) as text from generate_series(1, 200000) i`)
    const pgbosun = await configured()
    await pgbosun.run('backup', 'run')
    const volume = join(dir, 'volume')
    mkdirSync(volume)
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', volume], { stdio: 'pipe' })
    } catch {
      return skip('NOT RUN: mounting a tmpfs needs root')
    }
    try {
      const fetch = (...more: string[]) =>
        pgbosun.runJson('backup', 'fetch', 'latest', '--to', join(volume, 'file'), '--as', ...more)
      for (const as of ['custom', 'sql'])
        expect((await fetch(as)).json).toMatchObject({
          exit_code: 60,
          error: { message: expect.stringMatching(/has only .* free, but .* are to be written; nothing was written/) },
        })
      // how long a part is, nobody knows before
      expect((await fetch('sql', '--table', 'large')).json).toMatchObject({
        exit_code: 60,
        error: { message: expect.stringContaining('what was written of it is removed') },
      })
      expect(readdirSync(volume)).toEqual([])
    } finally {
      execFileSync('umount', ['-l', volume])
    }
  })

  test('asked to stop, or without its pg_restore, leaves nothing', async ({ configured, dir, sql }) => {
    await sql.unsafe(
      `${shop}; insert into users (name) select md5(i::text) || md5(random()::text) from generate_series(1, 600000) i`,
    )
    const pgbosun = await configured()
    const { json } = await pgbosun.runJson('backup', 'run')
    const to = join(dir, 'stopped.sql')
    const stopped = pgbosun.start('backup', 'fetch', String(json.id), '--to', to, '--as', 'sql')
    await until('it writes', () => existsSync(`${to}.partial`) && statSync(`${to}.partial`).size > 0)
    stopped.child.kill('SIGTERM')
    expect((await stopped.finished).code).toBe(143)
    const killed = pgbosun.start('backup', 'fetch', String(json.id), '--to', to, '--as', 'sql')
    const [pid] = await until('pg_restore runs', () => {
      const found = childrenOf(killed.child.pid!, 'pg_restore')
      return found.length > 0 && existsSync(`${to}.partial`) ? found : undefined
    })
    process.kill(pid!, 'SIGKILL')
    expect((await killed.finished).code).toBe(60)
    expect(readdirSync(dir).filter((name) => name.startsWith('stopped'))).toEqual([])
  })
})

describe.skipIf(!client)('backup keys check', () => {
  test('says of each backup whether an identity opens it, and reads only headers', async ({
    configured,
    store,
    dir,
    database,
    sql,
  }) => {
    await sql.unsafe(shop)
    const [old, next] = [await makeKey(dir, 'old'), await makeKey(dir, 'next')]
    const plain = await (await configured()).runJson('backup', 'run')
    const first = await (await configured({ backup: { encrypt: encryptFor([old]) } })).runJson('backup', 'run')
    const second = await (await configured({ backup: { encrypt: encryptFor([next]) } })).runJson('backup', 'run')
    const ids = [plain, first, second].map(({ json }) => json.id)
    // everything behind the header is gone
    const dump = join(store, database, String(first.json.id), 'dump.zst.age')
    writeFileSync(dump, readFileSync(dump).subarray(0, 1_000))

    const both = join(dir, 'both.txt')
    writeFileSync(both, `${old.identity}\n\n# the new one\n${next.identity}\n`)
    const reader = await configured({ backup: { encrypt: { ...encryptFor([next]), identity: { file: both } } } })
    const checked = await reader.runJson('backup', 'keys', 'check')
    expect(checked.code, checked.stderr).toBe(0)
    expect(checked.json).toMatchObject({
      command: 'backup keys check',
      identities: [expect.stringMatching(/^[0-9a-f]{16}$/), expect.stringMatching(/^[0-9a-f]{16}$/)],
      backups: [
        { id: ids[0], database, encrypted: false, opens: null, problem: null, recipients: [] },
        { id: ids[1], database, encrypted: true, opens: true, problem: null },
        { id: ids[2], database, encrypted: true, opens: true, problem: null },
      ],
    })
    const one = await configured({ backup: { encrypt: encryptFor([next], next) } })
    const some = await one.runJson('backup', 'keys', 'check')
    expect(some.json).toMatchObject({
      exit_code: 61,
      error: { kind: 'corrupt', message: `1 of 3 backups cannot be opened: ${ids[1]}` },
      backups: [{ opens: null }, { opens: false, problem: 'no identity opens it' }, { opens: true }],
    })
    expect((await (await configured()).runJson('backup', 'keys', 'check')).code).toBe(2)
    const subcommand = await one.runJson('backup', 'keys')
    expect(subcommand.json).toMatchObject({ exit_code: 2 })
  })
})
