import { describe, expect } from 'vitest'
import { start } from './support/cli.ts'
import { type Answer, canResolve, startNameServer, withResolver } from './support/name-server.ts'
import { test, urlOf, writeFiles } from './support/postgres.ts'

const possible = await canResolve()
if (!possible) console.warn('NOT RUN: what name servers answer: that needs root and unshare')

const host = 'db.shop.example'

/** Waits for a database on a host that only this name server knows. */
async function waitFor(
  dir: string,
  answer: (question: number) => Answer,
  { timeout = '300ms', options = 'timeout:1 attempts:1', url = `postgres://app:geheim@${host}/shop` } = {},
) {
  const names = await startNameServer(answer)
  const env = { DATABASE_URL: url, PGBOSUN_WAIT_TIMEOUT: timeout }
  const through = await withResolver(dir, names.address, options)
  const { code, stdout, stderr } = await start(['wait', '--json'], { cwd: dir, env, through }).finished
  names.close()
  const { error } = JSON.parse(stdout) as { error: { message: string; hint: string } | null }
  return { code, error, stderr, questions: names.questions() }
}

describe.skipIf(!possible)('a host name', () => {
  test('that the name server does not know is called that', async ({ dir }) => {
    const { code, error, stderr } = await waitFor(dir, () => 'nxdomain')
    expect(code).toBe(10)
    expect(error).toEqual(
      expect.objectContaining({
        message: `${host}:5432/shop did not accept work within 300ms: the host name ${host} is not known`,
        hint: 'check the host in DATABASE_URL; in Kubernetes it is the name of the Service, and SERVICE.NAMESPACE for one of another namespace',
      }),
    )
    expect(stderr).toContain(`waiting for ${host}:5432/shop: the host name ${host} is not known`)
  })

  const failed = {
    message: expect.stringMatching(
      /: the name server gave no answer for host db\.shop\.example \(temporary failure\)$/,
    ),
    hint: 'check the name servers in /etc/resolv.conf of this machine; in Kubernetes those are the pods of CoreDNS, and a NetworkPolicy must allow port 53 to them',
  }

  for (const answer of ['servfail', 'refused', 'silence'] as const)
    test(`for which the name server only has ${answer} is not called unknown`, async ({ dir }) => {
      const { code, error, questions } = await waitFor(dir, () => answer)
      expect([code, error]).toEqual([10, expect.objectContaining(failed)])
      expect(questions).toBeGreaterThan(0)
    })

  test('that is still being asked for when the time is over, or an attempt to connect, is not called a connection', {
    timeout: 90_000,
  }, async ({ dir }) => {
    const options = 'timeout:30 attempts:1'
    expect(await waitFor(dir, () => 'silence', { options })).toMatchObject({ code: 10, error: failed })
    expect(await waitFor(dir, () => 'silence', { options, timeout: '12s' })).toMatchObject({ code: 10, error: failed })
  })

  test('that the name server knows a moment later is waited for', async ({ dir }) => {
    const url = urlOf('postgres').replace('127.0.0.1', host)
    const answer = (question: number): Answer => (question < 4 ? 'servfail' : { address: '127.0.0.1' })
    const { code, stderr } = await waitFor(dir, answer, { url, timeout: '30s' })
    expect([code, stderr]).toEqual([0, expect.stringContaining('(temporary failure)')])
  })

  test('that cannot be found for one more session is no bug of ours: the run starts over', async ({
    dir,
    database,
  }) => {
    const names = await startNameServer((question) =>
      question < 4 || question > 9 ? { address: '127.0.0.1' } : 'servfail',
    )
    await writeFiles(dir, {
      'pgbosun.yaml': `databases: { ${database}: { users: { ${database}_app: { preset: app, password: { env: PW } } } } }`,
      'migrations/001_a.sql': 'create table a ()',
    })
    const env = { DATABASE_URL: urlOf(database).replace('127.0.0.1', host), PW: 'geheim' }
    const through = await withResolver(dir, names.address, 'timeout:1 attempts:1')
    const { code, stdout, stderr } = await start(['up', '--json'], { cwd: dir, env, through }).finished
    names.close()
    expect([code, JSON.parse(stdout).error]).toEqual([0, null])
    expect(names.questions()).toBeGreaterThan(10)
    expect(stderr).toContain('(temporary failure)')
  })
})
