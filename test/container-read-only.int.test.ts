import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { dockerOk, run } from './support/docker.ts'
import { offerTls, test } from './support/engine.ts'
import { uniqueName, writeFiles } from './support/postgres.ts'
import { tlsMissing } from './support/tls.ts'

const missing = tlsMissing()
if (missing !== undefined) console.warn(`SKIPPED, the image without a writable /tmp: ${missing}`)

describe.skipIf(missing !== undefined)('the image with nothing writable but the store', () => {
  test('makes ready, backs up, verifies, checks and restores over TLS with a CA', { timeout: 120_000 }, async ({
    postgres,
    database,
    dir,
  }) => {
    await writeFiles(dir, {
      'ca.crt': await offerTls(postgres),
      'migrations/001_games.sql': 'create table games as select generate_series(1, 1000) id',
    })
    const volume = uniqueName('pgbosun-backups')
    const pgbosun = (args: string[], ...flags: string[]) =>
      run(args, {
        network: postgres.network,
        env: { DATABASE_URL: postgres.url(database), PGBOSUN_DATABASE_TLS_CA: '/etc/pgbosun/ca.crt' },
        mounts: { [join(dir, 'ca.crt')]: '/etc/pgbosun/ca.crt', [join(dir, 'migrations')]: '/migrations' },
        tmp: false,
        flags: [`--volume=${volume}:/backups`, ...flags],
      })
    try {
      // Without its own IPC there is no shared memory either.
      for (const args of [['up'], ['backup', 'run'], ['backup', 'verify'], ['check']]) {
        const { code, stderr } = await pgbosun(args, '--ipc=none')
        expect(code, stderr).toBe(0)
      }
      const into = uniqueName('restored')
      const restore = ['restore', '--into', into, '--yes']
      const refused = await pgbosun(restore, '--ipc=none')
      expect(refused.code, refused.stderr).toBe(2)
      expect(refused.stderr).toContain('mount a writable /tmp')

      const { code, stderr } = await pgbosun(restore)
      expect(code, stderr).toBe(0)
      expect(await postgres.query(into, 'select count(*) from games')).toBe('1000')
    } finally {
      await dockerOk('volume', 'rm', '--force', volume)
    }
  })
})
