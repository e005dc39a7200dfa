import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { test } from './support/postgres.ts'
import { unqualifiedNames } from './support/sql-texts.ts'

const root = join(import.meta.dirname, '..')

/** Texts for people quote SQL as they would write it. */
const prose = ['src/lint/rules/']
/** The SQL of SQLite, which has no schema for its functions. */
const others = ['src/import/sqlite/']

describe('our SQL', () => {
  test('names the schema of every function and catalog that it uses', async ({ sql }) => {
    const names = (query: string) =>
      sql.unsafe<{ name: string }[]>(query).then((rows) => new Set(rows.map(({ name }) => name)))
    const known = {
      functions: await names(
        `select distinct proname as name from pg_proc where pronamespace = 'pg_catalog'::regnamespace`,
      ),
      relations: await names(
        `select relname as name from pg_class where relnamespace = 'pg_catalog'::regnamespace and relkind in ('r', 'v')`,
      ),
    }
    const files = globSync('src/**/*.ts', { cwd: root }).filter(
      (file) => !file.endsWith('.test.ts') && ![...prose, ...others].some((dir) => file.startsWith(dir)),
    )
    const found = files.flatMap((file) => {
      const source = readFileSync(join(root, file), 'utf8')
      return unqualifiedNames(source, known).map(
        ({ name, at }) => `${file}:${source.slice(0, at).split('\n').length}: ${name}`,
      )
    })
    expect(files.length).toBeGreaterThan(200)
    expect(found).toEqual([])
  })

  test('is found where it stands in a template, a string, or a template of a template', () => {
    const source = [
      "const a = 'select now()'",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: source text
      'const b = `select ${x ? `pg_sleep(1)` : ""}, pg_catalog.now(), x from pg_class c`',
      '// now()',
    ].join('\n')
    const known = { functions: new Set(['now', 'pg_sleep']), relations: new Set(['pg_class']) }
    expect(unqualifiedNames(source, known).map(({ name }) => name)).toEqual(['now', 'pg_class', 'pg_sleep'])
  })
})
