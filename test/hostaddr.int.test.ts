import { afterAll, beforeAll, describe, expect } from 'vitest'
import { client } from './support/backup.ts'
import { run } from './support/cli.ts'
import { fails } from './support/fails.ts'
import { test, writeFiles } from './support/postgres.ts'
import { startTlsServer, type TlsServer, tlsMissing } from './support/tls.ts'

const missing = tlsMissing()
if (missing !== undefined) console.warn(`SKIPPED, the tests of hostaddr: ${missing}`)

describe.skipIf(missing !== undefined)('hostaddr is where a host is reached that nobody can look up', () => {
  let server: TlsServer
  beforeAll(async () => {
    server = await startTlsServer('db.invalid')
  })
  afterAll(() => server?.remove())
  const url = (host: string, address: string, mode = 'verify-full') => ({
    DATABASE_URL: server.url(host, `?hostaddr=${address}&sslmode=${mode}&sslrootcert=${server.ca}`),
    PGBOSUN_WAIT_TIMEOUT: '1s',
  })

  test('by us and by client programs, and its certificate is verified against its name', async ({ dir }) => {
    await writeFiles(dir, { 'pgbosun.yaml': JSON.stringify({ backup: { store: `file://${dir}/store` } }) })
    const { searchParams, hostname, port, username, password } = new URL(url('db.invalid', '127.0.0.1').DATABASE_URL)
    const variables = {
      ...{ PGHOST: hostname, PGHOSTADDR: '127.0.0.1', PGPORT: port, PGUSER: username, PGDATABASE: 'postgres' },
      ...{ PGPASSWORD: decodeURIComponent(password), PGSSLMODE: 'verify-full' },
      PGSSLROOTCERT: searchParams.get('sslrootcert')!,
    }
    for (const env of [url('db.invalid', '127.0.0.1'), variables] as Record<string, string>[])
      for (const args of [['wait'], ...(client ? [['backup', 'run']] : [])]) {
        const { code, stderr } = await run(args, { cwd: dir, env })
        expect([args, code], stderr).toEqual([args, 0])
      }
  })

  test('the host is reached at its hostaddr and nowhere else', async ({ dir }) => {
    const elsewhere = await fails(['wait'], { cwd: dir, env: url('db.invalid', '127.0.0.9') })
    expect(elsewhere).toMatchObject({ code: 10, message: expect.stringContaining('nothing is listening there') })
    const other = await fails(['wait'], { cwd: dir, env: url('other.invalid', '127.0.0.1') })
    expect(other).toMatchObject({
      code: 12,
      message: expect.stringContaining('the TLS connection to other.invalid failed'),
    })
  })

  test.for(['verify-ca', 'require', 'prefer', 'disable'])('less than verify-full is exit 2: %s', async (mode, {
    dir,
  }) => {
    const failure = await fails(['wait'], { cwd: dir, env: url('db.invalid', '127.0.0.1', mode) })
    expect(failure).toMatchObject({
      code: 2,
      message: `hostaddr in DATABASE_URL needs sslmode verify-full, but it is ${mode}`,
    })
  })
})
