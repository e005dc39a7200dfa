import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { freePort } from '../scripts/server.ts'
import { start } from './support/cli.ts'
import { test, urlOf, writeFiles } from './support/postgres.ts'

/** Throws after a while, where nobody catches it. */
const faulty = (code: string) => ({
  NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(`setTimeout(() => { ${code} }, 1500)`)}`,
})

/** A shell command that runs its arguments with a /dev of its own, in which `termination-log` is a file of ours, as in Kubernetes. */
const withTerminationLog = (dir: string) => [
  'unshare',
  '--mount',
  'sh',
  '-ec',
  `cd "$1"; mkdir -p dev; mount --rbind /dev dev; mount -t tmpfs none /dev
   for name in null zero urandom random; do touch /dev/$name; mount --bind dev/$name /dev/$name; done
   touch /dev/termination-log; mount --bind termination-log /dev/termination-log
   shift; exec "$@"`,
  'sh',
  dir,
]

const [unshare = '', ...words] = ['unshare', '--mount', 'mount', '-t', 'tmpfs', 'none', '/dev']
const canMount = spawnSync(unshare, words).status === 0
if (!canMount)
  console.warn('NOT RUN: what /dev/termination-log says of what nobody caught: nothing can be mounted here')

describe('an error that nobody caught', () => {
  for (const [what, code] of [
    ['an exception', "throw new TypeError('out of nowhere')"],
    ['a rejection', "Promise.reject(new TypeError('out of nowhere'))"],
    ['two of them', "Promise.reject(new TypeError('out of nowhere')); throw new TypeError('out of nowhere')"],
    ['what is no error', "throw 'out of nowhere'"],
    ['one of several lines', "throw new Error('out of nowhere\\n  in two lines')"],
  ] as const)
    test(`is reported by serve like any other error: ${what}`, async ({ dir, database }) => {
      await writeFiles(dir, { 'termination-log': '' })
      const listen = `127.0.0.1:${await freePort()}`
      const env = { DATABASE_URL: urlOf(database), PGBOSUN_SERVE_LISTEN: listen, ...faulty(code) }
      const through = canMount ? withTerminationLog(dir) : []
      const { finished } = start(['serve', '--no-up', '--json'], { cwd: dir, env, through })
      const { code: exitCode, stderr, stdout } = await finished
      expect(exitCode, stderr).toBe(1)
      expect(stderr.match(/^error: unexpected: out of nowhere$/gm)).toHaveLength(1)
      expect(stderr).toContain('hint: ')
      expect(stderr).not.toContain('    at ')
      expect(JSON.parse(stdout)).toMatchObject({ command: 'serve', ok: false, exit_code: 1, error: { kind: 'failed' } })
      if (canMount)
        expect(await readFile(join(dir, 'termination-log'), 'utf8')).toMatch(
          /^failed: unexpected: out of nowhere(?: in two lines)?$/,
        )
    })
})
