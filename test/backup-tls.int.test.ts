import { readdirSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { describe, expect, vi } from 'vitest'
import { startTool } from '../src/db/child.ts'
import { backUp, client, connectionTo, test } from './support/backup.ts'
import { run } from './support/cli.ts'
import { writeFiles } from './support/postgres.ts'
import { startTlsServer, tlsMissing } from './support/tls.ts'

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
      expect(readdirSync(dir).some((name) => name.startsWith('pgbosun-libpq-'))).toBe(true)
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
