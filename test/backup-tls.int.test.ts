import { readdirSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { describe, expect, vi } from 'vitest'
import { startTool } from '../src/db/child.ts'
import { backUp, client, connectionTo, test } from './support/backup.ts'
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
      for (const tls of [{ mode: 'verify-full', ca: otherCa }, { mode: 'verify-full' }] as const) {
        const connection = connectionTo(server.url('localhost'), { tls })
        const tool = startTool(client!, 'pg_dump', ['-w', '-s'], { connection })
        expect(readdirSync(dir).some((name) => name.startsWith('pgbosun-libpq-'))).toBe(true)
        tool.stdout.resume()
        expect(await tool.ended).toMatchObject({
          code: 1,
          stderr: expect.stringContaining('certificate verify failed'),
        })
      }
      expect(readdirSync(dir).filter((name) => name !== basename(store))).toEqual(before)
    } finally {
      vi.unstubAllEnvs()
      await server.remove()
    }
  })
})
