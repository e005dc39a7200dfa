import { describe, expect } from 'vitest'
import { runJson } from './support/cli.ts'
import { test, uniqueName, urlOf, writeFiles } from './support/postgres.ts'
import { startProxy } from './support/proxy.ts'

/** A database with a migration and a backup, and one more migration to come. */
async function prepare(dir: string, database: string) {
  await writeFiles(dir, {
    'migrations/001_a.sql': 'create table a (id int);',
    'pgbosun.yaml': JSON.stringify({ backup: { store: `file://${dir}/store` }, wait: { timeout: '20s' } }),
  })
  const env = { DATABASE_URL: urlOf(database) }
  for (const args of [['up'], ['backup']]) {
    const { code, stderr } = await runJson(args, { cwd: dir, env })
    expect(code, stderr).toBe(0)
  }
  await writeFiles(dir, { 'migrations/002_b.sql': 'create table b (id int);' })
}

const looking = [
  ...[
    ['migrate', 'status'],
    ['migrate', 'verify'],
    ['migrate', 'verify', '--shadow'],
    ['migrate', 'lint'],
  ],
  ...[['migrate', 'wait-for', '001'], ['plan'], ['check'], ['wait'], ['backup', 'run'], ['seed']],
  ...[
    ['migrate', 'baseline', '001'],
    ['migrate', 'repair'],
    ['migrate', 'up', '--dry-run'],
  ],
]
const changing = [['migrate'], ['up'], ['roles', 'apply'], ['restore', 'latest', '--yes', '--into']]

/** Of each command what becomes of it, with that many answers on the connections that are cut. */
async function outcomes(
  dir: string,
  database: string,
  commands: string[][],
  cutAfter: (n: number) => number | undefined,
  timeout: string,
) {
  const found: [string, number, string?][] = []
  for (const args of commands) {
    const proxy = await startProxy(cutAfter)
    const given = args.at(-1) === '--into' ? [...args, uniqueName('restored')] : args
    const { code, json } = await runJson(given, {
      cwd: dir,
      env: { DATABASE_URL: proxy.url(database), PGBOSUN_WAIT_TIMEOUT: timeout },
    })
    proxy.close()
    found.push([args.join(' '), code, ...(json.error ? [String(json.error.message)] : [])] as [string, number, string?])
  }
  return found
}

describe('a connection that is lost after it was opened', () => {
  for (const [what, commands] of [
    ['looks', looking],
    ['changes something', changing],
  ] as const)
    test(`leads back to waiting, in every command that ${what}`, { timeout: 240_000 }, async ({ dir, database }) => {
      await prepare(dir, database)
      const found = await outcomes(dir, database, commands, (n) => (n <= 2 ? 2 : undefined), '20s')
      // a migration is pending
      expect(found.filter(([name, code]) => code !== (name === 'check' ? 50 : 0))).toEqual([])
    })

  test('is exit 10 when it is lost again and again', { timeout: 240_000 }, async ({ dir, database }) => {
    await prepare(dir, database)
    const found = await outcomes(dir, database, [...looking, ...changing], () => 2, '1s')
    const expected = (name: string) => (['wait', 'migrate lint'].includes(name) ? 0 : 10)
    expect(found.filter(([name, code]) => code !== expected(name))).toEqual([])
  })
})
