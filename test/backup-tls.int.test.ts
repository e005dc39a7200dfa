import { chmodSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, vi } from 'vitest'
import { startTool } from '../src/programs/child.ts'
import { backUp, client, connectionTo, filesBelow, test } from './support/backup.ts'
import { run } from './support/cli.ts'
import { fails } from './support/fails.ts'
import { urlOf, writeFiles } from './support/postgres.ts'
import { makeCertificate, startTlsServer, tlsMissing } from './support/tls.ts'

describe.skipIf(!client || tlsMissing() !== undefined)('over TLS', () => {
  test('the client programs trust what we trust, and leave no certificate behind', { timeout: 60_000 }, async ({
    store,
    dir,
  }) => {
    const server = await startTlsServer()
    // Another test may write certificates of its own meanwhile.
    vi.stubEnv('TMPDIR', dir)
    try {
      const [ca, otherCa] = [readFileSync(server.ca, 'utf8'), readFileSync(server.otherCa, 'utf8')]
      const before = readdirSync(dir)
      for (const [host, tls] of [
        ['localhost', { mode: 'verify-full', ca }],
        ['127.0.0.1', { mode: 'verify-ca', ca }],
        ['127.0.0.1', { mode: 'require' }],
      ] as const) {
        const connection = connectionTo(server.url(host), { tls })
        expect(await backUp(store, server.url(host), { connection })).toMatchObject({ database: 'postgres' })
      }
      const connection = connectionTo(server.url('localhost'), { tls: { mode: 'verify-full', ca: otherCa } })
      const tool = startTool(client!, 'pg_dump', ['-w', '-s'], { connection })
      expect(readdirSync(dir).some((name) => name.startsWith('pgbosun-'))).toBe(true)
      tool.stdout.resume()
      expect(await tool.ended).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('certificate verify failed'),
      })
      expect(readdirSync(dir).filter((name) => name !== basename(store))).toEqual(before)
    } finally {
      vi.unstubAllEnvs()
      await server.remove()
    }
  })

  describe('without a folder for temporary files', () => {
    const nowhere = { TMPDIR: '/proc/nowhere' }
    const missing = 'the folder for temporary files, /proc/nowhere, does not exist'

    test('certificates and a key are read from where they are', { timeout: 60_000 }, async ({ dir, store }) => {
      const server = await startTlsServer()
      try {
        const tls = { mode: 'verify-full', ca: 'ca.crt', cert: 'own.crt', key: 'own.key' }
        await writeFiles(dir, {
          'ca.crt': readFileSync(server.ca),
          'own.crt': readFileSync(server.otherCa),
          'own.key': readFileSync(server.otherKey),
          'pgbosun.yaml': JSON.stringify({ backup: { store: pathToFileURL(store).href }, database: { tls } }),
        })
        const options = { cwd: dir, env: { DATABASE_URL: server.url('localhost'), ...nowhere } }
        const key = join(dir, 'own.key')

        chmodSync(key, 0o600)
        for (const args of [
          ['backup', 'run'],
          ['backup', 'verify'],
          ['restore', '--into', 'copy', '--as-superuser', '--yes'],
        ]) {
          const { code, stderr } = await run(args, options)
          expect(code, stderr).toBe(0)
        }
        // libpq refuses a key that others may read: it needs a copy.
        chmodSync(key, 0o644)
        const before = filesBelow(store)
        const refused = await fails(['backup', 'run'], options)
        expect(refused).toMatchObject({ code: 2, message: expect.stringContaining(missing) })
        expect(refused.hint).toContain('make the key readable only by its owner (mode 0600)')
        expect(filesBelow(store)).toEqual(before)
        expect(await run(['backup', 'run'], { cwd: dir, env: { ...options.env, TMPDIR: dir } })).toMatchObject({
          code: 0,
        })
      } finally {
        await server.remove()
      }
    })

    test('the authorities of the system are read from their file', { timeout: 60_000 }, async ({ dir, store }) => {
      const server = await startTlsServer()
      try {
        await writeFiles(dir, {
          'none/readme.txt': 'no certificate',
          'one/other.crt': readFileSync(server.otherCa),
          'pgbosun.yaml': JSON.stringify({ backup: { store: pathToFileURL(store).href } }),
        })
        const env = {
          DATABASE_URL: server.url('localhost', '?sslrootcert=system'),
          SSL_CERT_FILE: server.ca,
          ...nowhere,
        }
        const backUpWith = (folder: string) =>
          [['backup', 'run'], { cwd: dir, env: { ...env, SSL_CERT_DIR: join(dir, folder) } }] as const
        // Those of the folder stand in no file together with the others.
        const refused = await fails(['backup', 'run'], backUpWith('one')[1])
        expect(refused).toMatchObject({ code: 2, message: expect.stringContaining(missing) })
        expect(refused.hint).toContain('set `database.tls.ca` to a file')
        expect(filesBelow(store)).toEqual([])

        const { code, stderr } = await run(['backup', 'run'], backUpWith('none')[1])
        expect(code, stderr).toBe(0)
      } finally {
        await server.remove()
      }
    })

    test('a restore that needs a list is refused before it has made anything', { timeout: 60_000 }, async ({
      pgbosun,
      database,
      dir,
      store,
      sql,
    }) => {
      await sql.unsafe('create table t as select 1 as x')
      expect(await pgbosun.run('backup', 'run')).toMatchObject({ code: 0 })
      await writeFiles(dir, {
        'pgbosun.yaml': JSON.stringify({ backup: { store: pathToFileURL(store).href } }),
      })
      const into = `${database}_copy`
      const failure = await fails(['restore', '--into', into, '--yes'], {
        cwd: dir,
        env: { DATABASE_URL: urlOf(database), ...nowhere },
      })
      expect(failure).toMatchObject({ code: 2, message: expect.stringContaining(missing) })
      expect(failure.json).toMatchObject({ touched: false })
      expect(await sql`select from pg_database where datname = ${into}`).toHaveLength(0)
    })

    test.for([
      ['up', {}],
      ['backup run', {}],
      ['restore --into copy --yes', {}],
      ['serve --no-up', { PGBOSUN_BACKUP_SCHEDULE: '0 3 * * *' }],
    ] as const)('%s is refused before the database is asked for anything', async ([command, more], { dir, store }) => {
      makeCertificate(dir, 'here')
      await writeFiles(dir, {
        'pgbosun.yaml': JSON.stringify({
          migrate: { command: ['true'] },
          backup: { store: pathToFileURL(store).href },
        }),
        'one/other.crt': readFileSync(makeCertificate(dir, 'there').certificate),
      })
      const env = { SSL_CERT_FILE: join(dir, 'here.crt'), SSL_CERT_DIR: join(dir, 'one'), ...nowhere }
      const DATABASE_URL = 'postgres://u:geheim@127.0.0.1:1/d?sslrootcert=system'
      const { code, stderr } = await run(command.split(' '), { cwd: dir, env: { DATABASE_URL, ...env, ...more } })
      expect(code, stderr).toBe(2)
      expect(stderr).toContain(missing)
      expect(filesBelow(store)).toEqual([])
    })
  })

  test('the client programs trust the authorities of the system where we do', { timeout: 60_000 }, async ({ dir }) => {
    const server = await startTlsServer()
    try {
      await writeFiles(dir, { 'pgbosun.yaml': JSON.stringify({ backup: { store: `file://${dir}/tls` } }) })
      for (const parameters of ['?sslmode=verify-full', '?sslrootcert=system']) {
        const env = { DATABASE_URL: server.url('localhost', parameters), SSL_CERT_FILE: server.ca }
        const { code, stderr } = await run(['backup', 'run'], { cwd: dir, env })
        expect(code, stderr).toBe(0)
      }
    } finally {
      await server.remove()
    }
  })
})
