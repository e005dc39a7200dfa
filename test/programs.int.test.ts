import { describe, expect } from 'vitest'
import { runJson } from './support/cli.ts'
import { formats } from './support/formats.ts'
import { test, urlOf, writeFiles } from './support/postgres.ts'

const kinds = [
  { name: 'goose', program: (n: number) => `0000${n}_m${n}.go`, text: 'package migrations' },
  { name: 'node-pg-migrate', program: (n: number) => `170000000000${n}_m${n}.ts`, text: 'export const up = () => {}' },
] as const

describe('migrations that are programs', () => {
  for (const { name, program, text } of kinds) {
    const format = formats.find((one) => one.name === name)!

    test(`of ${name} are accepted once they are applied`, async ({ dir, database, sql }) => {
      const files = format.files([{ up: 'create table a (id int);' }])
      await writeFiles(dir, {
        ...Object.fromEntries(Object.entries(files).map(([path, content]) => [`migrations/${path}`, content])),
        [`migrations/${program(2)}`]: text,
        [`migrations/${program(4)}`]: text,
        'pgbosun.yaml': JSON.stringify({ migrate: { format: 'auto' } }),
      })
      const pgbosun = (...args: string[]) => runJson(args, { cwd: dir, env: { DATABASE_URL: urlOf(database) } })

      const refused = await pgbosun('migrate')
      expect([refused.code, refused.json.error?.message]).toEqual([2, expect.stringContaining(program(2))])
      expect(refused.json.error?.message).toContain(program(4))
      expect(await sql`select from pg_class where relname = 'a'`).toEqual([])
      const pending = await pgbosun('migrate', 'status')
      expect(pending.json).toMatchObject({ problems: [{ code: 'invalid', name: program(2) }, { name: program(4) }] })

      await sql.unsafe(`create table a (id int); ${format.ddl}`)
      for (const n of [1, 2, 4]) {
        const record = format.record(n, files)
        await sql.unsafe(
          name === 'goose'
            ? record
            : `${record.split(' VALUES ')[0]} VALUES ('${n === 1 ? format.title(1) : `170000000000${n}_m${n}`}', now())`,
        )
      }
      for (const args of [
        ['migrate', 'status', '--exit-code'],
        ['migrate'],
        ['migrate', 'verify'],
        ['up'],
        ['migrate', 'lint'],
      ]) {
        const { code, json } = await pgbosun(...args)
        expect([args, code, json.error]).toEqual([args, 0, null])
      }
      const down = await pgbosun('migrate', 'down')
      expect(down.json.error, JSON.stringify(down.json)).not.toBeNull()
      expect([down.code, down.json.error?.message]).toEqual([2, expect.stringContaining(program(4))])
    })
  }
})
