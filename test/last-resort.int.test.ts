import { describe, expect } from 'vitest'
import { freePort } from '../scripts/server.ts'
import { run } from './support/cli.ts'
import { test, urlOf } from './support/postgres.ts'

/** Something goes wrong after a while where nobody waits for it. */
const faulty = (code: string) => ({
  NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(`setTimeout(() => { ${code} }, 1500)`)}`,
})

describe('what nobody caught', () => {
  for (const [what, code] of [
    ['an exception', "throw new TypeError('out of nowhere')"],
    ['a rejection', "Promise.reject(new TypeError('out of nowhere'))"],
    ['two of them', "Promise.reject(new TypeError('out of nowhere')); throw new TypeError('out of nowhere')"],
  ] as const)
    test(`is told by serve as any other error: ${what}`, async ({ dir, database }) => {
      const listen = `127.0.0.1:${await freePort()}`
      const env = { DATABASE_URL: urlOf(database), PGBOSUN_SERVE_LISTEN: listen, ...faulty(code) }
      const { code: exitCode, stderr, stdout } = await run(['serve', '--no-up', '--json'], { cwd: dir, env })
      expect(exitCode).toBe(1)
      expect(stderr.match(/^error: unexpected: out of nowhere$/gm)).toHaveLength(1)
      expect(stderr).toContain('hint: ')
      expect(stderr).not.toContain('    at ')
      expect(JSON.parse(stdout)).toMatchObject({ command: 'serve', ok: false, exit_code: 1, error: { kind: 'failed' } })
    })
})
