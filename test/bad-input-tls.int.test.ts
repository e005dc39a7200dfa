import { afterAll, beforeAll, describe, expect } from 'vitest'
import { run } from './support/cli.ts'
import { expectNoSecret, fails } from './support/fails.ts'
import { test, urlOf, writeFiles } from './support/postgres.ts'
import { startTlsServer, type TlsServer, tlsMissing } from './support/tls.ts'

const missing = tlsMissing()
if (missing !== undefined) console.warn(`SKIPPED, the tests of certificates: ${missing}`)

const wait = (url: string, dir: string, env: Record<string, string> = {}) =>
  [['wait'], { cwd: dir, env: { DATABASE_URL: url, PGBOSUN_WAIT_TIMEOUT: '20s', ...env } }] as const

test.for([
  'require',
  'verify-ca',
  'verify-full',
])('a server without TLS is refused at once when the mode is %s', async (mode, { dir }) => {
  const failure = await fails(...toArgs(wait(urlOf('postgres'), dir, { PGBOSUN_DATABASE_TLS_MODE: mode })))
  expect(failure).toMatchObject({
    code: 12,
    message: expect.stringContaining(`does not offer TLS, but database.tls.mode is ${mode}`),
  })
  expect(failure.hint).toContain('enable ssl on the server')
})

describe.skipIf(missing !== undefined)('a server with a certificate', () => {
  let server: TlsServer
  beforeAll(async () => {
    server = await startTlsServer()
  })
  afterAll(() => server?.remove())

  const ca = (file: string, mode?: string) => ({
    PGBOSUN_DATABASE_TLS_CA: file,
    ...(mode !== undefined && { PGBOSUN_DATABASE_TLS_MODE: mode }),
  })

  test('is trusted by its certificate, its name counting only in verify-full', async ({ dir }) => {
    const good: [string, Record<string, string>][] = [
      [server.url('localhost'), {}],
      [server.url('127.0.0.1'), { PGBOSUN_DATABASE_TLS_MODE: 'require' }],
      [server.url('127.0.0.1'), ca(server.ca, 'verify-ca')],
      [server.url('localhost'), ca(server.ca, 'verify-full')],
      [server.url('localhost'), ca(server.ca)],
      [server.url('localhost', `?sslmode=verify-full&sslrootcert=${server.ca}`), {}],
    ]
    for (const [url, env] of good) {
      const finished = await run(...toArgs(wait(url, dir, env)))
      expect(finished.stderr).toBe('')
      expect(finished.code).toBe(0)
      expectNoSecret(finished)
    }
  })

  test('is trusted by the authorities of the system, where nothing or `system` says so', async ({ dir }) => {
    const system = { SSL_CERT_FILE: server.ca }
    const good: [string, Record<string, string>][] = [
      [server.url('localhost'), { ...system, PGBOSUN_DATABASE_TLS_MODE: 'verify-full' }],
      [server.url('127.0.0.1'), { ...system, PGBOSUN_DATABASE_TLS_MODE: 'verify-ca' }],
      [server.url('localhost'), { ...system, ...ca('system') }],
      [server.url('localhost', '?sslrootcert=system'), system],
    ]
    for (const [url, env] of good)
      expect(await run(...toArgs(wait(url, dir, env))), JSON.stringify(env)).toMatchObject({ code: 0, stderr: '' })
    const other = { ...system, SSL_CERT_FILE: server.otherCa, ...ca('system') }
    const failure = await fails(...toArgs(wait(server.url('localhost'), dir, other)))
    expect(failure).toMatchObject({ code: 12, hint: expect.stringContaining('a file in /etc/ssl/certs') })
    expect(failure.message).not.toContain('Node.js')
    const backup = await fails(['backup', 'run'], {
      cwd: dir,
      env: { DATABASE_URL: server.url('localhost'), PGBOSUN_BACKUP_STORE: `file://${dir}`, ...other },
    })
    expect(backup).toMatchObject({ code: 12, hint: failure.hint })
    expect(backup.message).not.toContain('lock database')
  })

  test.for(['require', 'verify-ca', 'verify-full'])('is refused at once with the wrong CA in %s', async (mode, {
    dir,
  }) => {
    const failure = await fails(...toArgs(wait(server.url('localhost'), dir, ca(server.otherCa, mode))))
    expect(failure).toMatchObject({
      code: 12,
      message: expect.stringContaining('the TLS connection to localhost failed'),
    })
    expect(failure.hint).toContain('`database.tls.ca: system`')
    expect(failure.message).not.toContain('--use-system-ca')
  })

  test('is refused without a CA to trust in verify-full', async ({ dir }) => {
    const failure = await fails(
      ...toArgs(wait(server.url('localhost'), dir, { PGBOSUN_DATABASE_TLS_MODE: 'verify-full' })),
    )
    expect(failure).toMatchObject({ code: 12, hint: expect.stringContaining('database.tls.ca') })
  })

  test('is refused with a file of certificates that holds none', async ({ dir }) => {
    await writeFiles(dir, { 'ca.crt': 'no certificate\n' })
    const failure = await fails(...toArgs(wait(server.url('localhost'), dir, ca('ca.crt', 'verify-full'))))
    expect(failure).toMatchObject({ code: 12, hint: expect.stringContaining('database.tls.ca') })
  })

  test('is refused under an address that the certificate does not name', async ({ dir }) => {
    const failure = await fails(...toArgs(wait(server.url('127.0.0.1'), dir, ca(server.ca, 'verify-full'))))
    expect(failure).toMatchObject({ code: 12, message: expect.stringContaining('127.0.0.1') })
    expect(failure.hint).toContain('verify-ca')
  })
})

test('a file of certificates that cannot be read is said before anything is tried', async ({ dir }) => {
  const failure = await fails(...toArgs(wait(urlOf('postgres'), dir, { PGBOSUN_DATABASE_TLS_CA: 'no.crt' })))
  expect(failure).toMatchObject({
    code: 2,
    message: expect.stringContaining('no.crt'),
    hint: expect.stringContaining('path'),
  })
})

/** A copy that can be spread into parameters. */
function toArgs([args, options]: ReturnType<typeof wait>): [string[], { cwd: string; env: Record<string, string> }] {
  return [[...args], options]
}
