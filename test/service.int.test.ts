import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect } from 'vitest'
import { client } from './support/backup.ts'
import { run, runJson } from './support/cli.ts'
import { test, urlOf, writeFiles } from './support/postgres.ts'

const lines = (database: string) => {
  const { hostname, port, username, password } = new URL(urlOf(database))
  return [
    `host=${hostname}`,
    `port=${port}`,
    `user=${username}`,
    `password=${decodeURIComponent(password)}`,
    `dbname=${database}`,
  ]
}

describe('a service of libpq', () => {
  test('says where the database is, for us and for client programs', async ({ dir, database }) => {
    await writeFiles(dir, {
      services: ['# ours', '[shop]', ...lines(database)].join('\n'),
      'migrations/001_a.sql': 'create table a (id int);',
      'pgbosun.yaml': JSON.stringify({ backup: { store: `file://${dir}/store` } }),
    })
    const file = join(dir, 'services')
    for (const env of [
      { DATABASE_URL: `postgres://?service=shop&servicefile=${file}` },
      { DATABASE_URL: 'postgres://?service=shop', PGSERVICEFILE: file },
      { PGSERVICE: 'shop', PGSERVICEFILE: file },
    ] as Record<string, string>[]) {
      const up = await runJson(['up'], { cwd: dir, env })
      expect(up, up.stderr).toMatchObject({ code: 0, json: { warnings: [] } })
      if (!client) continue
      const made = await runJson(['backup', 'run'], { cwd: dir, env })
      expect(made, made.stderr).toMatchObject({ code: 0 })
    }
  })

  test.skipIf(!client)('is taken apart as libpq does it', async ({ dir, database }) => {
    const good = lines(database)
    const texts: [string[], boolean][] = [
      [['[shop]', ...good], true],
      [['  [shop]', ...good.map((line) => `\t${line} \r`)], true],
      [['[shop] and more', ...good], true],
      [['[shop]', ...good, 'host=nowhere.invalid', '[shop]', 'nonsense'], true],
      [['[shop]', ...good, 'nonsense'], false],
      [['[shop]', ...good, 'service=other'], false],
      [['[shop]', ...good.map((line) => line.replace('=', ' = '))], false],
      [['[other]', ...good], false],
      [['[shop]', ...good.toReversed(), '[', 'nonsense'], true],
    ]
    for (const [text, good] of texts) {
      await writeFiles(dir, { services: text.join('\n') })
      const env = { PGSERVICE: 'shop', PGSERVICEFILE: join(dir, 'services') }
      const psql = promisify(execFile)(join(client!.dir, 'psql'), ['-w', '-c', 'select'], { env })
      const theirs = await psql.then(
        () => true,
        () => false,
      )
      const { code, stderr } = await run(['wait'], { cwd: dir, env })
      expect([text, theirs, code], stderr).toEqual([text, good, good ? 0 : 2])
    }
  })
})
