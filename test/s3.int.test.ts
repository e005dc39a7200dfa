import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { GetBucketVersioningCommand, PutBucketVersioningCommand } from '@aws-sdk/client-s3'
import { afterAll, describe, expect } from 'vitest'
import { freePort } from '../scripts/server.ts'
import type { Backup } from '../src/archive/backup.ts'
import { openCatalog } from '../src/archive/catalog.ts'
import { manifestName, objectKey } from '../src/archive/layout.ts'
import { sealManifest } from '../src/archive/seal.ts'
import { claimSlot } from '../src/archive/slot-claims.ts'
import { putText } from '../src/store/pack.ts'
import { s3Store } from '../src/store/s3.ts'
import type { Store } from '../src/store/store.ts'
import { collect } from './contracts/store.ts'
import { backUp, client, type Pgbosun, test } from './support/backup.ts'
import { full } from './support/chaos.ts'
import { manifestOf } from './support/many.ts'
import { urlOf } from './support/postgres.ts'
import { keys, type S3Server, settingsFor, startMoto, startSeaweed } from './support/s3.ts'
import { startS3Proxy, startWayOut } from './support/s3-proxy.ts'
import { makeCertificate, tlsMissing } from './support/tls.ts'

const servers = client ? [await startSeaweed(), await startMoto()].filter((one): one is S3Server => !!one) : []
afterAll(async () => {
  for (const one of servers) await one.end()
})

/** What the program finds the keys in. */
const env = { KEY_ID: keys.accessKeyId, KEY: keys.secretAccessKey }
const at = (endpoint: string, bucket: string, more: object = {}) => ({
  store: `s3://${bucket}/of/tests`,
  s3: { endpoint, accessKeyId: { env: 'KEY_ID' }, secretAccessKey: { env: 'KEY' }, ...more },
})

const keysIn = async (server: S3Server, bucket: string) =>
  (await collect(s3Store(`s3://${bucket}/of/tests`, server.settings).list('')))
    .map(({ key }) => key)
    .filter((key) => key !== 'pgbosun-store.json' && !key.includes('/series/'))

describe.runIf(servers.length > 0).each(servers)('backups in $name', (server) => {
  test('are made with keys that a command prints, which is asked once', async ({ configured, dir, sql }) => {
    const bucket = await server.bucket()
    await sql`create table t (id int)`
    const given = (text: string, name: string) => ({
      command: ['sh', '-c', `echo ${name} >>${dir}/asked; echo ${text}`],
    })
    const { accessKeyId, secretAccessKey } = keys
    const s3 = { accessKeyId: given(accessKeyId, 'id'), secretAccessKey: given(secretAccessKey, 'secret') }
    const pgbosun = await configured({ backup: at(server.endpoint, bucket, s3) })
    expect((await pgbosun.runJson('backup')).json).toMatchObject({ exit_code: 0 })
    // many requests, and one answer
    expect(readFileSync(join(dir, 'asked'), 'utf8')).toBe('id\nsecret\n')
    const failing = await configured({
      backup: at(server.endpoint, bucket, { ...s3, secretAccessKey: { command: ['sh', '-c', 'exit 3'] } }),
    })
    const { code, json } = await failing.runJson('backup', 'list')
    expect([code, json.error?.message]).toEqual([2, expect.stringContaining('the command sh ended with exit code 3')])
  })

  // moto looks whether there is an object, and then writes it
  const isAtomic = !server.name.startsWith('moto')
  test.runIf(isAtomic)(
    'of a slot are made once by two replicas whose locks know nothing of each other',
    {
      timeout: full ? 600_000 : 60_000,
    },
    async ({ database, sql }) => {
      const bucket = await server.bucket()
      await sql`create table t (id int)`
      const store = () => s3Store(`s3://${bucket}/of/tests`, server.settings)
      const slots = Array.from({ length: full ? 20 : 3 }, (_, hour) => new Date(Date.UTC(2026, 10, 29, hour)))
      for (const slot of slots) {
        const replicas = ['postgres', database].map((lock) =>
          backUp('', urlOf(database), { store: store(), slot, lock: { database: lock, timeoutMs: 60_000 } }),
        )
        const [one, other] = await Promise.all(replicas)
        expect(other!.id).toBe(one!.id)
        expect([one!.existing, other!.existing].sort()).toEqual([false, true])
      }
      const keys = await keysIn(server, bucket)
      expect(keys.filter((key) => key.endsWith(manifestName))).toHaveLength(slots.length)
      // those of slots that are over are removed
      const last = slots
        .at(-1)!
        .toISOString()
        .replace(/[-:]|\.\d+/g, '')
      expect(keys.filter((key) => key.includes('/slots/'))).toEqual([expect.stringContaining(`/${last}`)])
    },
  )

  test('are claimed once for each of 20 slots; what is given back, has expired, or lost its lock, is free', async () => {
    const bucket = await server.bucket()
    const store = () => s3Store(`s3://${bucket}/of/tests`, server.settings)
    const series = { name: 'default', system_identifier: '7', database: 'shop', kind: 'logical' as const }
    const now = new Date('2026-11-29T12:00:00Z')
    const claim = (hour: number, lock: string, at = now) =>
      claimSlot(store(), { series, slot: new Date(Date.UTC(2026, 10, 28, hour)) }, { lock, now: at, lastsMs: 60_000 })
    const claimAll = async (hour: number, locks: string[], at = now) => {
      if (isAtomic) return Promise.all(locks.map((lock) => claim(hour, lock, at)))
      const claims = []
      for (const lock of locks) claims.push(await claim(hour, lock, at))
      return claims
    }
    for (let hour = 0; hour < 20; hour++) {
      const claims = await claimAll(hour, ['one', 'two', 'three'])
      expect(claims.map((one) => one?.of).sort(), `${hour}`).toEqual(['other', 'other', 'us'])
    }
    const first = await claim(21, 'one')
    expect(await claim(21, 'two')).toMatchObject({ of: 'other', lock: 'one' })
    // it has the lock: who had it before is gone
    expect(await claim(21, 'one')).toMatchObject({ of: 'us' })
    const later = new Date(now.getTime() + 60_000)
    const late = await claimAll(21, ['two', 'three', 'four'], later)
    expect(late.filter((one) => one?.of === 'us')).toHaveLength(1)
    if (first?.of === 'us') await first.release(later)
    expect((await claim(21, 'five', later))?.of).toBe('other')
    const given = await claim(22, 'one')
    if (given?.of === 'us') await given.release(now)
    expect((await claim(22, 'two'))?.of).toBe('us')
  })

  test('are made, listed, verified, restored and pruned as in a folder', async ({ configured, database, sql }) => {
    const bucket = await server.bucket()
    await sql`create table t as select g as id, md5(g::text) as text from generate_series(1, 20000) g`
    const pgbosun = await configured({ backup: at(server.endpoint, bucket), env })

    expect(await pgbosun.run('backup', 'list')).toMatchObject({
      code: 0,
      stdout: `there are no backups in s3://${bucket}/of/tests\n`,
    })
    const none = await pgbosun.runJson('restore', 'latest', '--into', `${database}_none`, '--yes')
    expect(none.json).toMatchObject({ exit_code: 62 })

    const { json: made } = await pgbosun.runJson('backup')
    expect(made).toMatchObject({ exit_code: 0, database })
    const { id } = made as unknown as { id: string }
    expect(await keysIn(server, bucket)).toEqual(
      ['dump.zst', 'globals.sql.zst', 'manifest.json'].map((name) => `${database}/${id}/${name}`),
    )
    expect((await pgbosun.runJson('backup', 'list')).json.backups).toMatchObject([{ id, database, verified: true }])
    expect((await pgbosun.runJson('backup', 'verify', 'all')).json).toMatchObject({ results: [{ id, ok: true }] })
    const restored = await pgbosun.runJson('restore', 'latest', '--into', `${database}_copy`, '--yes')
    expect(restored.json).toMatchObject({ exit_code: 0, id, rows_compared: 20000 })
    expect((await pgbosun.runJson('check')).json).toMatchObject({ exit_code: 0 })
    expect((await pgbosun.run('backup', 'prune')).stdout).toContain('0 deleted, 1 kept')
  })

  test('a dump of several parts comes back', async ({ configured, sql }) => {
    const bucket = await server.bucket()
    await sql`create table t as
      select g as id, (select string_agg(md5(random()::text || g || i), '') from generate_series(1, 30) i) as text
      from generate_series(1, 80000) g`
    const pgbosun = await configured({ backup: at(server.endpoint, bucket), env })
    const { json } = await pgbosun.runJson('backup')
    expect(json).toMatchObject({ exit_code: 0 })
    // more than two parts of 16 MiB
    expect(json.size_bytes).toBeGreaterThan(34 * 2 ** 20)
    expect((await pgbosun.runJson('backup', 'verify', 'latest')).json).toMatchObject({ exit_code: 0 })
  })

  test('lie beside those in a folder, and outlive it', async ({ configured, database, dir, sql }) => {
    const bucket = await server.bucket()
    await sql`create table t as select g as id, md5(g::text || random()) as text from generate_series(1, 20000) g`
    const { store, s3 } = at(server.endpoint, bucket)
    const folder = join(dir, 'first')
    const stores = [pathToFileURL(folder).href, { url: store, s3 }]
    const pgbosun = await configured({ backup: { store: undefined, stores }, env })
    const { json } = await pgbosun.runJson('backup')
    expect(json).toMatchObject({ exit_code: 0, stores: [pathToFileURL(folder).href, store] })
    const id = json.id as string
    expect((await pgbosun.runJson('backup', 'verify', 'all')).json).toMatchObject({
      results: [{ ok: true }, { ok: true }],
    })

    rmSync(folder, { recursive: true })
    expect((await pgbosun.runJson('backup', 'list')).json.backups).toMatchObject([{ id, stores: [store] }])
    const restored = await pgbosun.runJson('restore', 'latest', '--into', `${database}_copy`, '--yes')
    expect(restored.json).toMatchObject({ exit_code: 0, id, rows_compared: 20000 })
    const copied = await pgbosun.runJson('backup', 'copy', '--to', pathToFileURL(folder).href)
    expect(copied.json).toMatchObject({ exit_code: 0, backups: [{ id, database }] })
    expect((await pgbosun.runJson('backup', 'verify', 'all')).json).toMatchObject({ exit_code: 0, results: [{}, {}] })
  })

  test('that were deleted in a bucket with versions are listed and restored all the same', async ({
    configured,
    database,
    sql,
    skip,
  }) => {
    const bucket = await server.bucket()
    const Bucket = { Bucket: bucket }
    await sql`create table t as select g as id from generate_series(1, 1000) g`
    const pgbosun = await configured({ backup: at(server.endpoint, bucket), env })
    const { id } = (await pgbosun.runJson('backup')).json as unknown as { id: string }
    const plain = await pgbosun.runJson('backup', 'list', '--deleted')
    expect(plain.json).toMatchObject({ exit_code: 0, backups: [{ id, deleted: false }] })

    await server.client.send(
      new PutBucketVersioningCommand({ ...Bucket, VersioningConfiguration: { Status: 'Enabled' } }),
    )
    if ((await server.client.send(new GetBucketVersioningCommand(Bucket))).Status !== 'Enabled')
      return skip(`NOT RUN: ${server.name} has no versions`)
    expect(plain.json.warnings).toEqual([expect.stringContaining('the bucket has no versions')])
    const kept = (await pgbosun.runJson('backup')).json as unknown as { id: string }
    const second = kept.id
    await pgbosun.runJson('backup', 'verify', second)
    const store = s3Store(`s3://${bucket}/of/tests`, server.settings)
    for (const { key } of await collect(store.list(`${database}/${second}/`))) await store.delete(key)

    expect((await pgbosun.runJson('backup', 'list')).json.backups).toMatchObject([{ id }])
    const listed = await pgbosun.runJson('backup', 'list', '--deleted')
    expect(listed.json).toMatchObject({
      exit_code: 0,
      warnings: [],
      backups: [
        { id, deleted: false, verified: true },
        { id: second, deleted: true, verified: true, database },
      ],
    })
    expect((await pgbosun.run('backup', 'list', '--deleted')).stdout).toMatch(new RegExp(`${second} .* deleted\n$`))
    const restored = await pgbosun.runJson('restore', second, '--into', `${database}_old`, '--yes')
    expect(restored.json).toMatchObject({ exit_code: 0, id: second, rows_compared: 1000 })
    expect(restored.json.warnings).toContainEqual(expect.stringContaining(`the backup ${second} was deleted`))

    for (const { key } of await collect(store.list(`${database}/`))) await store.delete(key)
    const none = await pgbosun.runJson('restore', 'latest', '--into', `${database}_none`, '--yes')
    expect(none.json).toMatchObject({
      exit_code: 62,
      error: { hint: expect.stringContaining(`2 deleted backups of ${database} can still be read`) },
    })
    expect((await pgbosun.runJson('backup', 'list', '--deleted')).json.backups).toMatchObject([
      { id, deleted: true },
      { id: second, deleted: true },
    ])
  })

  test.runIf(isAtomic)(
    'that were deleted there are verified and fetched by their ids',
    async ({ configured, database, dir, sql }) => {
      const bucket = await server.bucket()
      await server.client.send(
        new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration: { Status: 'Enabled' } }),
      )
      await sql`create table t (id int)`
      const store = s3Store(`s3://${bucket}/of/tests`, server.settings)
      const { id } = await backUp('', urlOf(database), { store })
      for (const { key } of await collect(store.list(`${database}/${id}/`))) await store.delete(key)
      const pgbosun = await configured({ backup: at(server.endpoint, bucket), env })
      const warnings = [expect.stringContaining(`the backup ${id} was deleted`)]
      expect((await pgbosun.runJson('backup', 'verify', id)).json).toMatchObject({
        ...{ exit_code: 0, warnings, results: [{ id, database, ok: true }] },
      })
      const file = join(dir, 'deleted.sql')
      expect((await pgbosun.runJson('backup', 'fetch', id, '--to', file, '--as', 'sql')).json).toMatchObject({
        ...{ exit_code: 0, id, warnings },
      })
      expect(readFileSync(file, 'utf8')).toContain('COPY public.t (id)')
      expect((await pgbosun.run('backup', 'verify', `${id.slice(0, -4)}0000`)).code).toBe(62)
    },
  )

  test('a bucket that is not there is never an empty store', async ({ configured }) => {
    const backup = { ...at(server.endpoint, 'missing'), schedule: '0 3 * * *' }
    await expectUnreadable(await configured({ backup, env }), 'there is no bucket missing')
  })
})

describe.runIf(servers.length > 0)('a way to S3', () => {
  const server = servers[0]!

  test('is trusted with a private authority, and goes through a proxy where one is set', async ({
    configured,
    dir,
    skip,
  }) => {
    if (tlsMissing() !== undefined) return skip(`NOT RUN: ${tlsMissing()}`)
    const pair = makeCertificate(dir, 'localhost')
    const [secure, out] = [await startS3Proxy(server.port, pair), await startWayOut()]
    try {
      const bucket = await server.bucket()
      const listed = async (s3: object, more: Record<string, string>) => {
        const pgbosun = await configured({ backup: at(secure.endpoint, bucket, s3), env: { ...env, ...more } })
        const ended = await pgbosun.runJson('backup', 'list')
        expect(ended.stdout + ended.stderr).not.toContain('geheim')
        return ended.json
      }
      expect(await listed({}, {})).toMatchObject({
        exit_code: 60,
        error: { message: expect.stringContaining('is not trusted'), hint: expect.stringContaining('backup.s3.ca') },
      })
      const ca = { ca: pair.certificate }
      expect(await listed(ca, {})).toMatchObject({ exit_code: 0, backups: [] })
      expect(out.passed).toEqual([])
      expect(await listed(ca, { HTTPS_PROXY: out.url })).toMatchObject({ exit_code: 0, backups: [] })
      expect(out.passed).toEqual([new URL(secure.endpoint).host])
      expect(await listed(ca, { HTTPS_PROXY: out.url, NO_PROXY: 'example.org,localhost' })).toMatchObject({
        exit_code: 0,
      })
      expect(out.passed).toHaveLength(1)
      const wrong = out.url.replace('out:geheim', 'out:geheim2')
      expect(await listed(ca, { HTTPS_PROXY: wrong })).toMatchObject({
        exit_code: 60,
        error: { hint: expect.stringContaining('HTTPS_PROXY') },
      })
    } finally {
      secure.close()
      out.close()
    }
  })

  test('that hangs ends with the signal, and a backup after its time limit', async ({ configured }) => {
    const proxy = await startS3Proxy(server.port)
    try {
      const bucket = await server.bucket()
      const s3 = at(proxy.endpoint, bucket)
      const isDump = ({ method, path }: { method: string; path: string }) =>
        method === 'PUT' && path.includes('dump.zst')
      proxy.fault = (asked) => (isDump(asked) ? 'hang' : undefined)
      const late = await (await configured({ backup: { ...s3, timeout: '5s' }, env })).runJson('backup')
      expect(late.json).toMatchObject({
        exit_code: 60,
        error: { message: expect.stringContaining('it took longer than backup.timeout (5s)') },
      })
      proxy.asked.length = 0
      const { child, finished } = (await configured({ backup: s3, env })).start('backup')
      await expect.poll(() => proxy.asked.some(isDump)).toBe(true)
      child.kill('SIGTERM')
      expect(await finished).toMatchObject({ code: 143 })
      proxy.fault = () => undefined
      expect((await keysIn(server, bucket)).filter((key) => !key.includes('/failed/'))).toEqual([])
    } finally {
      proxy.close()
    }
  })
})

describe.runIf(servers.some(({ name }) => name.startsWith('moto')))('credentials that the SDK finds', () => {
  test.for([
    [
      'of the environment',
      () => ({ AWS_ACCESS_KEY_ID: keys.accessKeyId, AWS_SECRET_ACCESS_KEY: keys.secretAccessKey }),
    ],
    [
      'of the web identity of a service account',
      (dir: string, endpoint: string) => {
        writeFileSync(join(dir, 'token'), 'a-token-of-the-cluster')
        return {
          AWS_WEB_IDENTITY_TOKEN_FILE: join(dir, 'token'),
          AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/backup',
          AWS_ENDPOINT_URL_STS: endpoint,
          AWS_REGION: 'us-east-1',
        }
      },
    ],
  ] as const)('%s are used', async ([, found], { configured, dir }) => {
    const server = servers.find(({ name }) => name.startsWith('moto'))!
    const proxy = await startS3Proxy(server.port)
    try {
      const bucket = await server.bucket()
      const pgbosun = await configured({
        backup: { store: `s3://${bucket}/x`, s3: { endpoint: proxy.endpoint } },
        env: { ...found(dir, server.endpoint), AWS_EC2_METADATA_DISABLED: 'true' },
      })
      expect((await pgbosun.runJson('backup', 'list')).json).toMatchObject({ exit_code: 0, backups: [] })
      expect(proxy.asked[0]?.headers.authorization).toMatch(/^AWS4-HMAC-SHA256 Credential=A[A-Z0-9]+\//)
    } finally {
      proxy.close()
    }
  })
})

describe.runIf(servers.length > 0)('many backups in S3', () => {
  const server = servers[0]!

  /** Backups of `shop` with nothing but a manifest, one an hour. */
  async function putMany(store: Store, count: number): Promise<string[]> {
    const made = Array.from({ length: count }, (_, i) =>
      manifestOf('shop', new Date(Date.now() - (count - i + 1) * 3_600_000), `abcd${i.toString(16).padStart(4, '0')}`),
    )
    for (let at = 0; at < count; at += 40)
      await Promise.all(
        made
          .slice(at, at + 40)
          .map((one) => putText(store, objectKey('shop', one.id, manifestName), sealManifest(one))),
      )
    return made.map(({ id }) => id)
  }

  test('cost the pages of the list, and each manifest once', async () => {
    const proxy = await startS3Proxy(server.port)
    try {
      const url = `s3://${await server.bucket()}/many`
      const ids = await putMany(s3Store(url, server.settings), 350)
      const catalog = openCatalog(s3Store(url, settingsFor(proxy.endpoint)), () => [])
      const requests = async (look: () => Promise<Backup[]>) => {
        proxy.asked.length = 0
        expect((await look()).map(({ id }) => id)).toEqual(ids)
        return proxy.asked.length
      }
      expect(await requests(() => catalog.update('shop'))).toBe(1 + 350)
      expect(await requests(() => catalog.update('shop'))).toBe(1)
      // the names, and what is in the newest
      expect(await requests(() => catalog.glance('shop'))).toBe(2)
      ids.push(...(await putMany(s3Store(url, server.settings), 1)))
      expect(await requests(() => catalog.glance('shop'))).toBe(4)
    } finally {
      proxy.close()
    }
  })

  test('that may not be deleted are named, and kept, and no backup fails for them', async ({
    configured,
    database,
  }) => {
    const proxy = await startS3Proxy(server.port)
    try {
      const bucket = await server.bucket()
      const store = s3Store(`s3://${bucket}/of/tests`, server.settings)
      const ids = await putMany(store, 3)
      const backup = { ...at(proxy.endpoint, bucket), keep: { last: 1 } }
      const pgbosun = await configured({ backup, env })
      proxy.fault = ({ method, path }) =>
        method === 'DELETE' || /[?&]uploads/.test(path) ? { status: 403, code: 'AccessDenied' } : undefined
      const { code, stdout, stderr } = await pgbosun.run('backup', 'prune')
      expect(code).toBe(0)
      expect(stdout).toContain('0 deleted, 3 kept')
      for (const id of ids.slice(0, 2)) expect(stderr).toContain(id)
      expect(stderr).toContain('s3:DeleteObject')
      // what a killed one left behind cannot be removed either
      const { id } = (await pgbosun.runJson('backup')).json as unknown as { id: string }
      await s3Store(`s3://${bucket}/of/tests`, server.settings).delete(`${database}/${id}/manifest.json`)
      expect((await pgbosun.runJson('backup')).json).toMatchObject({ exit_code: 0 })

      proxy.fault = () => undefined
      expect(await pgbosun.run('backup', 'prune')).toMatchObject({
        code: 0,
        stdout: expect.stringContaining('2 deleted, 2 kept'),
      })
      expect(await store.folders('shop/')).toContain(ids[2])
      expect((await keysIn(server, bucket)).filter((key) => key.startsWith('shop/'))).toEqual([
        `shop/${ids[2]}/manifest.json`,
      ])
    } finally {
      proxy.close()
    }
  })
})

describe('backups in S3', () => {
  test('a server that cannot be reached is never an empty store', async ({ configured }) => {
    const backup = { ...at(`http://127.0.0.1:${await freePort()}`, 'any'), schedule: '0 3 * * *' }
    await expectUnreadable(await configured({ backup, env }), 'the server cannot be reached (ECONNREFUSED)')
  })
})

/** All commands at once: each tries for some seconds. */
async function expectUnreadable(pgbosun: Pick<Pgbosun, 'runJson'>, said: string): Promise<void> {
  const commands = [
    ['backup', 'list'],
    ['backup', 'verify', 'all'],
    ['backup', 'prune'],
    ['restore', 'latest', '--into', 'copy', '--yes'],
    ['backup'],
  ]
  const ended = await Promise.all(commands.map((command) => pgbosun.runJson(...command)))
  for (const [i, { json, stdout, stderr }] of ended.entries()) {
    expect(json, commands[i]!.join(' ')).toMatchObject({
      exit_code: 60,
      error: { message: expect.stringContaining(said), hint: expect.stringContaining('backup.s3') },
    })
    expect(stdout + stderr).not.toContain('geheim')
  }
  const { json } = await pgbosun.runJson('check')
  expect(json).toMatchObject({ exit_code: 50 })
  expect(JSON.stringify(json)).toContain(said)
}

describe('the configuration of S3', () => {
  test.for([
    [{ endpoint: 's3.example.org' }, 'backup.s3.endpoint: write a scheme and a host, without a path'],
    [{ endpoint: 'https://s3.example.org/bucket' }, 'backup.s3.endpoint: write a scheme'],
    [{ endpoint: 'https://key:geheim@s3.example.org' }, 'backup.s3.endpoint: write a scheme'],
    [{ accessKeyId: { env: 'KEY_ID' } }, 'backup.s3: set both `accessKeyId` and `secretAccessKey`, or neither'],
    [{ accessKeyId: 'geheim', secretAccessKey: { env: 'KEY' } }, 'write a secret as { env: NAME }, { file: PATH }'],
    [{ accessKeyId: { env: 'NONE' }, secretAccessKey: { env: 'KEY' } }, 'the environment variable NONE is not set'],
    [{ region: 'eu central' }, 'backup.s3.region: write a name like eu-central-1'],
    [{ ca: 'none.crt' }, 'backup.s3.ca: the file none.crt cannot be read'],
    [{ ca: 'empty.crt' }, 'backup.s3.ca: there is no certificate in'],
    [{ endPoint: 'https://s3.example.org' }, 'backup.s3.endPoint: unknown key; did you mean endpoint?'],
  ] as const)('%j is exit 2', async ([s3, said], { configured, dir }) => {
    const pgbosun = await configured({ backup: { store: 's3://bucket/prefix', s3 }, env })
    writeFileSync(join(dir, 'work1', 'empty.crt'), 'nothing\n')
    const { json, stdout, stderr } = await pgbosun.runJson('backup', 'list')
    expect(json).toMatchObject({ exit_code: 2, error: { message: expect.stringContaining(said) } })
    expect(stdout + stderr).not.toContain('geheim')
  })

  test('beside a store that is elsewhere is exit 2', async ({ configured }) => {
    const pgbosun = await configured({ backup: { s3: { endpoint: 'https://s3.example.org' } } })
    const { json } = await pgbosun.runJson('backup', 'list')
    expect(json).toMatchObject({ exit_code: 2, error: { message: expect.stringContaining('no store is in S3') } })
  })

  test.for([
    's3://',
    's3:///prefix',
    's3://bucket/../x',
    's3://bucket//x',
    's3://key:geheim@bucket/x',
    's3://bucket/x?region=geheim',
    'S3://bucket',
    'rclone://:sftp,pass=geheim:/x',
  ])('%s is no store', async (store, { configured }) => {
    const pgbosun = await configured({ backup: { store } })
    const { json, stdout, stderr } = await pgbosun.runJson('backup', 'list')
    expect(json).toMatchObject({
      exit_code: 2,
      error: { message: expect.stringContaining('write file:///folder with an absolute path, s3://bucket/prefix or') },
    })
    expect(stdout + stderr).not.toContain('geheim')
  })
})
