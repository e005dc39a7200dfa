import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  copyFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { zstdDecompressSync } from 'node:zlib'
import { describe, expect } from 'vitest'
import { startServer } from '../scripts/server.ts'
import type { Manifest } from '../src/archive/manifest.ts'
import { sealManifest } from '../src/archive/seal.ts'
import { verifyBackup } from '../src/backup/verify.ts'
import { silentLog } from '../src/log.ts'
import { fingerprint } from '../src/store/age.ts'
import { localStore } from '../src/store/local.ts'
import { childrenOf, client, filesBelow, lastRecordIn, search, test } from './support/backup.ts'
import { full, randomFrom, until } from './support/chaos.ts'
import { ageFolder, encryptFor, makeKey } from './support/keys.ts'
import { open, server, uniqueName } from './support/postgres.ts'

const shop = `
  create table users (id serial primary key, name text);
  insert into users (name) select 'user ' || i || md5(i::text) from generate_series(1, 20000) i`

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

const folderOf = (store: string, database: string, id: unknown) => join(store, database, String(id))
const manifestIn = (folder: string) => JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as Manifest

type Ran = { json: Record<string, unknown> }

/** What `verify all` found, in the order of these runs of `backup run`: two backups of one second are in any order. */
const resultsOf = ({ json }: Ran, runs: readonly Ran[]) =>
  runs.map((made) => (json.results as { id: string }[]).find(({ id }) => id === made.json.id))

const exists = async (name: string) => {
  const sql = open('postgres')
  try {
    return (await sql`select from pg_database where datname = ${name}`).length > 0
  } finally {
    await sql.end({ timeout: 1 })
  }
}

describe.skipIf(!client)('an encrypted backup', () => {
  test('is made and verified with recipients alone, and restored with an identity', async ({
    configured,
    store,
    dir,
    database,
    sql,
  }) => {
    await sql.unsafe(shop)
    const [ops, escrow] = [await makeKey(dir, 'ops'), await makeKey(dir, 'escrow')]
    const maker = await configured({ backup: { encrypt: encryptFor([ops, escrow]) } })
    const made = await maker.runJson('backup', 'run')
    expect(made.code, made.stderr).toBe(0)
    const folder = folderOf(store, database, made.json.id)
    expect(readdirSync(folder).sort()).toEqual(['dump.zst.age', 'globals.sql.zst.age', 'manifest.json'])
    const manifest = manifestIn(folder)
    expect(manifest).toMatchObject({
      encryption: {
        format: 'age',
        recipients: [fingerprint(ops.recipient), fingerprint(escrow.recipient)],
        since: manifest.started_at,
        decrypted_at: null,
      },
      globals: 'no-passwords',
      rows: { 'public.users': 20000 },
      verified_at: manifest.finished_at,
    })
    for (const { name, sha256: stored } of manifest.objects)
      expect(sha256(readFileSync(join(folder, name)))).toBe(stored)
    for (const { name } of manifest.objects)
      expect(readFileSync(join(folder, name)).subarray(0, 22).toString()).toBe('age-encryption.org/v1\n')

    const stored = await maker.runJson('backup', 'verify')
    expect(stored.code, stored.stderr).toBe(0)
    expect(stored.json.results).toMatchObject([
      { id: made.json.id, database, level: 'stored', ok: true, problem: null },
    ])
    expect((await maker.run('backup', 'verify')).stdout).toContain('to decode them too, set backup.encrypt.identity')

    for (const key of [ops, escrow]) {
      const reader = await configured({ backup: { encrypt: encryptFor([ops, escrow], key) } })
      const decoded = await reader.runJson('backup', 'verify')
      expect(decoded.code, decoded.stderr).toBe(0)
      expect(decoded.json.results).toMatchObject([
        { id: made.json.id, database, level: 'decode', ok: true, problem: null },
      ])
      const into = uniqueName('copy')
      const restored = await reader.runJson('restore', 'latest', '--into', into, '--yes')
      expect(restored.code, restored.stderr).toBe(0)
      expect(restored.json).toMatchObject({ touched: true, rows_compared: 20000, differences: [] })
    }
    const record = lastRecordIn(folder)
    expect(record).toMatchObject({ level: 'decode', ok: true })
    // a restore counts, too
    expect(Date.parse(record.decrypted_at)).toBeGreaterThan(Date.parse(record.verified_at))
    // and what was decrypted once stays known
    expect((await maker.run('backup', 'verify')).code).toBe(0)
    expect(lastRecordIn(folder)).toMatchObject({
      level: 'stored',
      decrypted_at: record.decrypted_at,
    })
    const next = await maker.runJson('backup', 'run')
    expect(manifestIn(folderOf(store, database, next.json.id)).encryption).toMatchObject({
      since: manifest.started_at,
      decrypted_at: record.decrypted_at,
    })
  })

  test('without an identity, or with a wrong one, ends with 61 before anything is touched', async ({
    configured,
    store,
    dir,
    database,
    sql,
  }) => {
    await sql.unsafe(shop)
    const [ops, wrong] = [await makeKey(dir, 'ops'), await makeKey(dir, 'wrong')]
    const maker = await configured({ backup: { encrypt: encryptFor([ops]) } })
    const { json } = await maker.runJson('backup', 'run')
    const stranger = await configured({ backup: { encrypt: encryptFor([ops], wrong) } })
    const without = await configured()
    const into = uniqueName('copy')
    for (const one of [maker, stranger, without]) {
      const refused = await one.runJson('restore', 'latest', '--into', into, '--yes')
      expect(refused.json).toMatchObject({
        exit_code: 61,
        touched: false,
        error: { kind: 'corrupt', message: expect.stringContaining('no identity opens dump.zst.age') },
      })
      expect(await exists(into)).toBe(false)
    }
    const swap = await stranger.runJson('restore', 'latest', '--replace', database, '--no-backup-first')
    expect(swap.json).toMatchObject({ exit_code: 61, touched: false })
    expect(await sql`select count(*)::int as n from users`).toEqual([{ n: 20000 }])

    const unopened = await stranger.runJson('backup', 'verify')
    expect(unopened.json).toMatchObject({
      exit_code: 61,
      results: [{ id: json.id, level: 'stored', ok: false, problem: 'no identity opens it' }],
    })
    // a wrong identity says nothing about the backup: it is still the latest, and good
    const listed = await without.runJson('backup', 'list')
    expect(listed.json.backups).toMatchObject([{ id: json.id, verified: true, problem: null, restore_test: null }])
    const tests = filesBelow(store).filter(
      (path) => /verified-/.test(path) && /"restore"/.test(readFileSync(join(store, path), 'utf8')),
    )
    expect(tests).toEqual([])
  })

  test('is read by zstd and pg_restore after the program age, which also writes what is restored', async ({
    configured,
    store,
    dir,
    database,
    sql,
    skip,
  }) => {
    if (ageFolder === undefined) return skip('there is no program age')
    await sql.unsafe(shop)
    const ops = await makeKey(dir, 'ops')
    const reader = await configured({ backup: { encrypt: encryptFor([ops], ops) } })
    const { json } = await reader.runJson('backup', 'run')
    const folder = folderOf(store, database, json.id)
    const manifest = manifestIn(folder)
    const age = (args: string[], input?: Buffer) =>
      execFileSync(join(ageFolder!, 'age'), args, { input, maxBuffer: 2 ** 30 })
    for (const object of manifest.objects) {
      const path = join(folder, object.name)
      const frame = age(['--decrypt', '-i', ops.path, path])
      expect(sha256(zstdDecompressSync(frame))).toBe(object.sha256_plain)
      const sealed = age(['-r', ops.recipient], frame)
      writeFileSync(path, sealed)
      Object.assign(object, { size_bytes: sealed.length, sha256: sha256(sealed) })
    }
    writeFileSync(join(folder, 'manifest.json'), sealManifest(manifest))
    expect((await reader.runJson('backup', 'verify')).json.results).toMatchObject([{ level: 'decode', ok: true }])
    const restored = await reader.runJson('restore', 'latest', '--into', uniqueName('copy'), '--yes')
    expect(restored.json).toMatchObject({ exit_code: 0, rows_compared: 20000 })
  })

  test('that is changed in any place is 61, with and without an identity', { timeout: 300_000 }, async ({
    configured,
    store,
    dir,
    database,
    sql,
  }) => {
    await sql.unsafe(shop)
    const ops = await makeKey(dir, 'ops')
    const reader = await configured({ backup: { encrypt: encryptFor([ops], ops) } })
    const { json } = await reader.runJson('backup', 'run')
    const folder = folderOf(store, database, json.id)
    const random = randomFrom(61)
    const verify = (identities: string[]) =>
      verifyBackup(
        localStore(pathToFileURL(store).href),
        { database, id: String(json.id) },
        {
          keys: { identities, secrets: [] },
          search,
          signal: new AbortController().signal,
          log: silentLog,
          now: () => new Date(),
        },
      )
    const copy = join(dir, 'copy')
    cpSync(folder, copy, { recursive: true })
    const names = ['dump.zst.age', 'globals.sql.zst.age', 'manifest.json']
    for (const name of names) {
      const whole = readFileSync(join(copy, name))
      const put = (bytes: Buffer) => writeFileSync(join(folder, name), bytes)
      for (let i = 0; i < (full ? 200 : 12); i++) {
        const changed = Buffer.from(whole)
        // half of them in the header
        const at = Math.floor(random() * (i % 2 === 0 ? whole.length : Math.min(whole.length, 216)))
        changed[at]! ^= 1 << Math.floor(random() * 8)
        put(changed)
        expect((await verify([ops.identity])).ok, `${name}, byte ${at}`).toBe(false)
        expect((await verify([])).ok, `${name}, byte ${at}, without an identity`).toBe(false)
      }
      for (const length of [0, 20, 200, Math.floor(whole.length / 2), whole.length - 1]) {
        put(whole.subarray(0, length))
        expect((await verify([ops.identity])).ok, `${name}, ${length} bytes`).toBe(false)
        expect((await verify([])).ok, `${name}, ${length} bytes, without an identity`).toBe(false)
      }
      put(Buffer.concat([whole, Buffer.from([0])]))
      expect((await verify([ops.identity])).ok, `${name}, one byte more`).toBe(false)
      const into = uniqueName('copy')
      if (name !== 'globals.sql.zst.age') {
        const refused = await reader.runJson('restore', String(json.id), '--into', into, '--yes')
        expect(refused.json).toMatchObject({ exit_code: 61, touched: false })
        expect(await exists(into)).toBe(false)
      }
      copyFileSync(join(copy, name), join(folder, name))
      expect((await verify([ops.identity])).problem).toBeNull()
    }
  })

  test('that a restore finds changed behind its beginning is 61, and nothing is published', async ({
    configured,
    store,
    dir,
    database,
    sql,
  }) => {
    await sql.unsafe(shop)
    const ops = await makeKey(dir, 'ops')
    const reader = await configured({ backup: { encrypt: encryptFor([ops], ops) } })
    const { json } = await reader.runJson('backup', 'run')
    const path = join(folderOf(store, database, json.id), 'dump.zst.age')
    const whole = readFileSync(path)
    const changed = Buffer.from(whole)
    changed[whole.length - 40]! ^= 1
    writeFileSync(path, changed)
    const into = uniqueName('copy')
    const refused = await reader.runJson('restore', 'latest', '--into', into, '--yes')
    expect(refused.json).toMatchObject({ exit_code: 61, touched: false })
    expect(await exists(into)).toBe(false)
    writeFileSync(path, whole)
    truncateSync(path, whole.length - 16)
    expect((await reader.runJson('restore', 'latest', '--into', into, '--yes')).json).toMatchObject({ exit_code: 61 })
  })

  test('what decoding found wrong stays known when somebody without an identity verifies it', async ({
    configured,
    store,
    dir,
    database,
    sql,
  }) => {
    await sql.unsafe(shop)
    const ops = await makeKey(dir, 'ops')
    const maker = await configured({ backup: { encrypt: encryptFor([ops]) } })
    const { json } = await maker.runJson('backup', 'run')
    const folder = folderOf(store, database, json.id)
    const manifest = manifestIn(folder)
    const globals = manifest.objects.find(({ name }) => name.startsWith('globals'))!
    // a whole object with a fitting checksum, which is no dump
    const dump = manifest.objects.find(({ name }) => name.startsWith('dump'))!
    copyFileSync(join(folder, globals.name), join(folder, dump.name))
    Object.assign(dump, { ...globals, name: dump.name })
    writeFileSync(join(folder, 'manifest.json'), sealManifest(manifest))
    expect((await maker.runJson('backup', 'verify')).code).toBe(0)
    const reader = await configured({ backup: { encrypt: encryptFor([ops], ops) } })
    expect((await reader.runJson('backup', 'verify')).json).toMatchObject({
      exit_code: 61,
      results: [{ level: 'decode' }],
    })
    expect((await maker.runJson('backup', 'verify')).json).toMatchObject({
      exit_code: 61,
      results: [{ ok: false, problem: expect.stringContaining('pg_restore cannot decode') }],
    })
  })

  test('is not there if what decodes it is killed while it is made', async ({
    configured,
    store,
    dir,
    database,
    sql,
  }) => {
    await sql.unsafe(
      `create table many as select i, md5(i::text) || md5(random()::text) as text from generate_series(1, 800000) i`,
    )
    const ops = await makeKey(dir, 'ops')
    const maker = await configured({ backup: { encrypt: encryptFor([ops]), counts: 'none' } })
    const making = maker.start('backup', 'run', '--json')
    const [pid] = await until('pg_restore runs beside pg_dump', () => {
      const of = (name: string) => childrenOf(making.child.pid!, name)
      return of('pg_dump').length > 0 && of('pg_restore').length > 0 ? of('pg_restore') : undefined
    })
    process.kill(pid!, 'SIGKILL')
    const { code, stdout } = await making.finished
    expect(JSON.parse(stdout)).toMatchObject({
      exit_code: 60,
      error: { message: expect.stringContaining('pg_restore was ended by SIGKILL') },
    })
    expect(code).toBe(60)
    expect(filesBelow(store).filter((path) => !path.includes('failed'))).toEqual([])
    expect(database).not.toBe('')
  })

  test('is restored for a test with an identity; with a wrong one, it is 61 and not noted', async ({
    configured,
    store,
    dir,
    database,
    sql,
  }) => {
    await sql.unsafe(shop)
    const other = await startServer(server().binDir, { settings: ['fsync=off'] })
    try {
      writeFileSync(join(dir, 'url'), other.url('postgres'))
      const verify = { url: { file: join(dir, 'url') } }
      const [ops, wrong] = [await makeKey(dir, 'ops'), await makeKey(dir, 'wrong')]
      const stranger = await configured({ backup: { encrypt: encryptFor([ops], wrong), verify } })
      const { json } = await stranger.runJson('backup', 'run')
      const records = () => readdirSync(folderOf(store, database, json.id)).filter((name) => /^verified/.test(name))
      const refused = await stranger.runJson('backup', 'verify', 'latest', '--restore')
      expect(refused.json).toMatchObject({
        exit_code: 61,
        error: { message: expect.stringContaining('was not tried: no identity opens dump.zst.age') },
      })
      expect(records()).toEqual([])
      const reader = await configured({ backup: { encrypt: encryptFor([ops], ops), verify } })
      const tested = await reader.runJson('backup', 'verify', 'latest', '--restore')
      expect(tested.json, tested.stderr).toMatchObject({ exit_code: 0, results: [{ level: 'restore', ok: true }] })
      expect(records()).toHaveLength(1)
      // the next backup knows that one was decrypted
      const next = await stranger.runJson('backup', 'run')
      const { encryption } = manifestIn(folderOf(store, database, next.json.id))
      expect(encryption?.decrypted_at).toMatch(/^\d{4}-/)
    } finally {
      await other.remove()
    }
  })

  test('lies beside others: not encrypted, and for other recipients', async ({
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
    const both = join(dir, 'both.txt')
    writeFileSync(both, `${old.identity}\n${next.identity}\n`)
    const reader = await configured({
      backup: { encrypt: { recipients: [next.recipient], identity: { file: both } } },
    })
    const verified = await reader.runJson('backup', 'verify', 'all')
    const all = [plain, first, second]
    expect(resultsOf(verified, all)).toMatchObject(all.map(({ json }) => ({ id: json.id, level: 'decode', ok: true })))
    for (const { json } of all) {
      const restored = await reader.runJson('restore', String(json.id), '--into', uniqueName('copy'), '--yes')
      expect(restored.json).toMatchObject({ exit_code: 0, rows_compared: 20000 })
    }
    const rotated = await configured({ backup: { encrypt: encryptFor([next], next) } })
    const some = await rotated.runJson('backup', 'verify', 'all')
    expect(some.code).toBe(61)
    expect(resultsOf(some, all)).toMatchObject([{ ok: true }, { ok: false }, { ok: true }])
    expect(filesBelow(store).filter((path) => path.endsWith('dump.zst'))).toHaveLength(1)
    expect(database).not.toBe('')
  })

  test('has the passwords of roles only where it says so', async ({ configured, store, dir, database, sql }) => {
    const role = uniqueName('role')
    await sql.unsafe(`create role ${role} login password 'very geheim'`)
    const ops = await makeKey(dir, 'ops')
    const globalsOf = async (id: unknown) => {
      const { objects } = manifestIn(folderOf(store, database, id))
      const { name } = objects.find((object) => object.name.startsWith('globals'))!
      const { unpack } = await import('../src/store/pack.ts')
      const chunks: string[] = []
      const object = objects.find((one) => one.name === name)!
      const from = localStore(pathToFileURL(store).href)
      for await (const chunk of unpack(from, `${database}/${id}/${name}`, object, [ops.identity]))
        chunks.push(chunk.toString('utf8'))
      return chunks.join('')
    }
    const without = await (await configured({ backup: { encrypt: encryptFor([ops]) } })).runJson('backup', 'run')
    expect(await globalsOf(without.json.id)).not.toContain('SCRAM')
    const backup = { encrypt: encryptFor([ops]), globals: 'with-passwords' }
    const made = await (await configured({ backup })).runJson('backup', 'run')
    expect(await globalsOf(made.json.id)).toMatch(new RegExp(`ALTER ROLE ${role} .* PASSWORD 'SCRAM-SHA-256`))
    expect(manifestIn(folderOf(store, database, made.json.id)).globals).toBe('with-passwords')
    const refused = await (await configured({ backup: { globals: 'with-passwords' } })).runJson('backup', 'run')
    expect(refused.json).toMatchObject({ exit_code: 2, error: { message: expect.stringContaining('backup.globals') } })
    await sql.unsafe(`drop role ${role}`)
  })

  test('a recipient or an identity that was copied wrongly is exit 2, and is not shown', async ({
    configured,
    dir,
  }) => {
    const ops = await makeKey(dir, 'ops')
    const mistyped = `${ops.recipient.slice(0, -3)}${ops.recipient.at(-3) === 'q' ? 'p' : 'q'}${ops.recipient.slice(-2)}`
    const wrong = await (await configured({ backup: { encrypt: { recipients: [mistyped] } } })).runJson('backup', 'run')
    expect(wrong.json).toMatchObject({ exit_code: 2, error: { message: expect.stringContaining('recipients') } })
    writeFileSync(join(dir, 'bad.txt'), `${ops.identity.slice(0, -1)}${ops.identity.at(-1) === 'Q' ? 'P' : 'Q'}\n`)
    const encrypt = { recipients: [ops.recipient], identity: { file: join(dir, 'bad.txt') } }
    const bad = await (await configured({ backup: { encrypt } })).runJson('backup', 'verify')
    expect(bad.json).toMatchObject({
      exit_code: 2,
      error: { message: expect.stringContaining('backup.encrypt.identity') },
    })
    expect(bad.stderr + bad.stdout).not.toContain(ops.identity.slice(16, 40))
    const none = await (await configured({ backup: { encrypt: { recipients: [] } } })).runJson('backup', 'run')
    expect(none.json).toMatchObject({ exit_code: 2 })
  })
})

describe.skipIf(!client)('a signed backup', () => {
  const secretIn = (dir: string, name: string, ...secrets: string[]) => {
    const file = join(dir, name)
    writeFileSync(file, `${secrets.join('\n')}\n`)
    return { secret: { file } }
  }
  const [ours, theirs] = ['0f'.repeat(32), 'e1'.repeat(32)] as [string, string]

  test('is the only one that counts: a forged one is never the latest, never tested, never pruned for', async ({
    configured,
    store,
    dir,
    database,
    sql,
  }) => {
    await sql.unsafe(shop)
    const ops = await makeKey(dir, 'ops')
    const encrypt = encryptFor([ops], ops)
    const sign = secretIn(dir, 'sign', ours)
    const us = await configured({ backup: { encrypt, sign, keep: { last: 2 } } })
    const first = await us.runJson('backup', 'run')
    expect(first.code, first.stderr).toBe(0)
    const { objects, ...rest } = manifestIn(folderOf(store, database, first.json.id))
    expect(rest.hmac_sha256).toMatch(/^[0-9a-f]{64}$/)

    // the attacker can write the store, and has the recipients
    await sql.unsafe('create table evil (id int)')
    const attackers: string[] = []
    for (const backup of [{ encrypt }, { encrypt, sign: secretIn(dir, 'theirs', theirs) }]) {
      const forged = await (await configured({ backup })).runJson('backup', 'run')
      expect(forged.code).toBe(0)
      attackers.push(String(forged.json.id))
    }
    // a manifest of ours with another dump, another place, another time
    const replaced = folderOf(store, database, '20990101T000000Z-00000000')
    cpSync(folderOf(store, database, first.json.id), replaced, { recursive: true })
    attackers.push('20990101T000000Z-00000000')
    const moved = folderOf(store, database, '20261129T000000Z-00000000')
    cpSync(folderOf(store, database, attackers[0]), moved, { recursive: true })
    writeFileSync(
      join(moved, 'manifest.json'),
      sealManifest({ ...manifestIn(moved), id: '20261129T000000Z-00000000', started_at: '2026-11-29T00:00:00.000Z' }),
    )
    attackers.push('20261129T000000Z-00000000')
    await sql.unsafe('drop table evil')

    const into = uniqueName('copy')
    const restored = await us.runJson('restore', 'latest', '--into', into, '--yes')
    expect(restored.json).toMatchObject({ exit_code: 0, id: first.json.id })
    for (const id of attackers) expect(JSON.stringify(restored.json.warnings)).toContain(id)
    const at = new Date(Date.now() + 1_000).toISOString()
    expect((await us.runJson('restore', '--at', at, '--into', uniqueName('copy'), '--yes')).json).toMatchObject({
      exit_code: 0,
      id: first.json.id,
    })
    for (const id of attackers) {
      const copy = uniqueName('copy')
      const refused = await us.runJson('restore', id, '--into', copy, '--yes')
      expect(refused.json).toMatchObject({
        exit_code: 61,
        touched: false,
        error: { message: expect.stringContaining('is not signed with backup.sign.secret') },
      })
      expect(await exists(copy)).toBe(false)
      expect((await us.runJson('backup', 'verify', id)).json).toMatchObject({ exit_code: 61, results: [{ ok: false }] })
      expect(filesBelow(folderOf(store, database, id)).filter((path) => path.includes('verified'))).toEqual([])
    }
    const latest = await us.runJson('backup', 'verify')
    expect(latest.json).toMatchObject({ exit_code: 0, results: [{ id: first.json.id, level: 'decode', ok: true }] })
    const listed = await us.runJson('backup', 'list')
    const bad = (listed.json.backups as { id: string; verified: boolean; problem: string | null }[]).filter(
      ({ problem }) => problem !== null,
    )
    expect(bad.map(({ id }) => id).sort()).toEqual(attackers.toSorted())
    expect(bad.every(({ verified }) => !verified)).toBe(true)
    const checked = await us.runJson('check')
    expect(JSON.stringify(checked.json.warnings)).toContain('not signed with backup.sign.secret')

    const second = await us.runJson('backup', 'run')
    const pruned = await us.runJson('backup', 'prune', '--dry-run', '--now', '2026-12-30T00:00:00Z')
    const actions = Object.fromEntries(
      (pruned.json.backups as { id: string; action: string }[]).map(({ id, action }) => [id, action]),
    )
    expect(actions).toEqual({
      ...Object.fromEntries(attackers.map((id) => [id, 'keep'])),
      [String(first.json.id)]: 'keep',
      [String(second.json.id)]: 'keep',
    })
  })

  test('is not condemned by a record that somebody else wrote beside it', async ({
    configured,
    store,
    dir,
    database,
    sql,
  }) => {
    await sql.unsafe(shop)
    const sign = secretIn(dir, 'sign', ours)
    const us = await configured({ backup: { sign } })
    const { json } = await us.runJson('backup', 'run')
    const folder = folderOf(store, database, json.id)
    const verified_at = new Date().toISOString()
    const record = { id: json.id, level: 'decode', ok: false, problem: 'it is bad', verified_at }
    writeFileSync(join(folder, 'verified.json'), JSON.stringify(record))
    const tested = { ...record, level: 'restore', duration_ms: null, server: 'x' }
    writeFileSync(join(folder, 'verified-20201130T030000000Z.json'), JSON.stringify(tested))
    const listed = await us.runJson('backup', 'list')
    expect(listed.json.backups).toMatchObject([{ id: json.id, verified: true, problem: null, restore_test: null }])
    expect((await us.runJson('backup', 'verify')).code).toBe(0)
    const own = lastRecordIn(folder)
    expect(own).toMatchObject({ ok: true, hmac_sha256: expect.any(String) })
    // without the secret, everything that can be read counts
    const plain = await (await configured()).runJson('backup', 'list')
    expect(plain.json.backups).toMatchObject([{ restore_test: { ok: false } }])
  })

  test('stays good when the secret is replaced, as long as the old one is named too', async ({
    configured,
    dir,
    sql,
  }) => {
    await sql.unsafe(shop)
    const first = await (await configured({ backup: { sign: secretIn(dir, 'a', ours) } })).runJson('backup', 'run')
    const both = await configured({ backup: { sign: secretIn(dir, 'b', theirs, ours) } })
    const second = await both.runJson('backup', 'run')
    const verified = await both.runJson('backup', 'verify', 'all')
    expect(verified.code).toBe(0)
    expect(resultsOf(verified, [first, second])).toMatchObject([{ ok: true }, { ok: true }])
    const only = await configured({ backup: { sign: secretIn(dir, 'c', theirs) } })
    const one = await only.runJson('backup', 'verify', 'all')
    expect(one.code).toBe(61)
    expect(resultsOf(one, [first, second])).toMatchObject([{ ok: false }, { ok: true }])
    const wrong = await configured({ backup: { sign: secretIn(dir, 'd', 'q'.repeat(32)) } })
    expect((await wrong.runJson('restore', 'latest', '--into', uniqueName('copy'), '--yes')).json).toMatchObject({
      exit_code: 61,
      touched: false,
    })
    const short = await configured({ backup: { sign: secretIn(dir, 'e', 'geheim') } })
    const refused = await short.runJson('backup', 'run')
    expect(refused.json).toMatchObject({ exit_code: 2 })
    expect(refused.stdout + refused.stderr).not.toContain('geheim')
  })

  test.for([
    ['into a new database', (): string[] => ['--into', uniqueName('copy'), '--yes']],
    ['in place', (database: string) => ['--in-place', '--replace', database, '--no-backup-first']],
  ] as const)('that was changed runs nothing with the rights of --as-superuser: %s', async ([, flags], {
    configured,
    store,
    dir,
    database,
    sql,
  }) => {
    // what no rollback takes back
    const taken = join('/tmp', uniqueName('taken'))
    await sql.unsafe(shop)
    const us = await configured({ backup: { sign: secretIn(dir, 'sign', ours) } })
    const { json } = await us.runJson('backup', 'run')
    await sql.unsafe(`
      create function grab(int) returns bool language plpgsql as $$ begin
        copy (select 1) to '${taken}'; return true; end $$;
      create table evil (id int check (grab(id))); insert into evil values (1)`)
    rmSync(taken)
    const forged = await (await configured()).runJson('backup', 'run')
    copyFileSync(
      join(folderOf(store, database, forged.json.id), 'dump.zst'),
      join(folderOf(store, database, json.id), 'dump.zst'),
    )
    // the attacker makes it as long as it has to be
    const [wanted] = manifestIn(folderOf(store, database, json.id)).objects
    truncateSync(join(folderOf(store, database, json.id), 'dump.zst'), wanted!.size_bytes)
    const refused = await us.runJson('restore', String(json.id), ...flags(database), '--as-superuser')
    expect(refused.json).toMatchObject({ exit_code: 61, touched: false })
    expect(existsSync(taken)).toBe(false)
  })
})
