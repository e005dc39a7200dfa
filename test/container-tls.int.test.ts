import { symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { dockerOk, run } from './support/docker.ts'
import { test as base, offerTls } from './support/engine.ts'
import { uniqueName, writeFiles } from './support/postgres.ts'
import { tlsMissing } from './support/tls.ts'

const missing = tlsMissing()
if (missing !== undefined) console.warn(`SKIPPED, a company's authority in the image: ${missing}`)

const test = base.extend<{ authority: string }>({
  authority: [async ({ postgres }, use) => use(await offerTls(postgres)), { scope: 'file' }],
})

/** Ways to bring the authority of one's own; each writes into the folder, and returns what is mounted where. */
const ways: Record<string, (dir: string, authority: string) => Promise<Record<string, string>>> = {
  'a file beside those of the image': async (dir, authority) => {
    await writeFiles(dir, { 'company.crt': authority })
    return { [join(dir, 'company.crt')]: '/etc/ssl/certs/company.crt' }
  },
  'the bundle, replaced': async (dir, authority) => {
    await writeFiles(dir, { 'bundle.crt': authority })
    return { [join(dir, 'bundle.crt')]: '/etc/ssl/certs/ca-certificates.crt' }
  },
  'the folder, replaced by a ConfigMap': async (dir, authority) => {
    await writeFiles(join(dir, 'certs', '..2026_01_01'), { 'company.crt': authority })
    await symlink('..2026_01_01', join(dir, 'certs', '..data'))
    await symlink(join('..data', 'company.crt'), join(dir, 'certs', 'company.crt'))
    return { [join(dir, 'certs')]: '/etc/ssl/certs' }
  },
  'the folder of a Debian machine, with its links': async (dir, authority) => {
    await writeFiles(dir, { 'certs/ca-certificates.crt': authority })
    await symlink('/usr/local/share/ca-certificates/company.crt', join(dir, 'certs', 'company.pem'))
    await symlink('company.pem', join(dir, 'certs', '0a1b2c3d.0'))
    return { [join(dir, 'certs')]: '/etc/ssl/certs' }
  },
}

const queries = { 'sslrootcert=system': '?sslmode=verify-full&sslrootcert=system', 'no CA': '?sslmode=verify-full' }

describe.skipIf(missing !== undefined)('a company’s authority in /etc/ssl/certs', () => {
  test.for(Object.keys(ways))(
    '%s: the driver and pg_dump trust it',
    { timeout: 120_000 },
    async (way, { postgres, authority, database, dir }) => {
      await writeFiles(dir, { 'migrations/001_games.sql': 'create table games as select generate_series(1, 10) id' })
      const mounts = { ...(await ways[way]!(dir, authority)), [join(dir, 'migrations')]: '/migrations' }
      const volume = uniqueName('pgbosun-backups')
      try {
        for (const [name, query] of Object.entries(queries)) {
          const options = {
            network: postgres.network,
            env: { DATABASE_URL: postgres.url(database) + query },
            flags: [`--volume=${volume}:/backups`],
          }
          for (const args of [['up'], ['backup', 'run'], ['backup', 'verify']]) {
            const { code, stderr } = await run(args, { ...options, mounts })
            expect([name, args, code], stderr).toEqual([name, args, 0])
          }
          const { code, stderr } = await run(['up'], options)
          expect([name, code]).toEqual([name, 12])
          expect(stderr).toContain('a file in /etc/ssl/certs')
        }
      } finally {
        await dockerOk('volume', 'rm', '--force', volume)
      }
    },
  )
})
