import { readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { describe, expect } from 'vitest'
import { startTool } from '../src/db/child.ts'
import { backUp, client, connectionTo, test } from './support/backup.ts'
import { startTlsServer, tlsMissing } from './support/tls.ts'

const certificates = () => readdirSync(tmpdir()).filter((name) => name.startsWith('pgbosun-libpq-'))

describe.skipIf(!client || tlsMissing() !== undefined)('over TLS', () => {
  test('the client programs trust what we trust, and leave no certificate behind', { timeout: 60_000 }, async ({
    store,
  }) => {
    const server = await startTlsServer()
    try {
      const [ca, otherCa] = [readFileSync(server.ca, 'utf8'), readFileSync(server.otherCa, 'utf8')]
      const before = certificates()
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
        tool.stdout.resume()
        expect(await tool.ended).toMatchObject({
          code: 1,
          stderr: expect.stringContaining('certificate verify failed'),
        })
      }
      expect(certificates()).toEqual(before)
    } finally {
      await server.remove()
    }
  })
})
