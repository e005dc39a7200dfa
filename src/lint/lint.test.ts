import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { lintFiles } from './lint.ts'
import { loadParser } from './parse.ts'
import type { LintFile } from './types.ts'

const parser = await loadParser()
const root = join(import.meta.dirname, '../..')

const fileOf = (text: string, more: Partial<LintFile> = {}): LintFile => ({
  name: '001_a',
  path: 'migrations/001_a.sql',
  text,
  line: 1,
  mode: 'wrapped',
  ...more,
})

const lint = (...files: LintFile[]) => lintFiles({ parser, files })

describe('a statement that the grammar does not know', () => {
  const repack = fileOf("repack (concurrently) t;\ndrop table t;\nwait for lsn '0/0';", { mode: 'split' })
  const linted = (server?: number, levels: Parameters<typeof lintFiles>[0]['levels'] = {}) =>
    lintFiles({ parser, files: [repack], server, levels })
      .filter(({ rule }) => rule === 'syntax-error')
      .map(({ level, line, why }) => [level, line, why])

  test('is a warning where the server is newer than the grammar, and an error elsewhere', () => {
    const newer = 'The grammar is that of PostgreSQL 18; PostgreSQL 19 may accept this. The statement is not linted.'
    expect(linted(19)).toEqual([
      ['warn', 1, newer],
      ['warn', 3, newer],
    ])
    for (const server of [undefined, 13, 18])
      expect(linted(server)).toEqual([
        ['error', 1, expect.stringContaining('(version 18)')],
        ['error', 3, expect.stringContaining('(version 18)')],
      ])
    expect(linted(19, { 'syntax-error': 'error' }).map(([level]) => level)).toEqual(['error', 'error'])
  })

  test('does not hide what the others do', () => {
    const findings = lintFiles({ parser, files: [repack], server: 19 })
    expect(findings.find(({ rule }) => rule === 'drop-table')).toMatchObject({ line: 2 })
  })

  test('is advised where the server has it', () => {
    const rewrites = (text: string, server: number) =>
      lintFiles({ parser, files: [fileOf(text, { mode: 'split' })], server })
        .filter(({ rule }) => rule === 'vacuum-full')
        .map(({ rewrite }) => rewrite)
    expect(rewrites('vacuum full t, "U";', 19)).toEqual([
      expect.stringContaining('repack (concurrently) t;'),
      expect.stringContaining('repack (concurrently) "U";'),
    ])
    expect(rewrites('cluster t using "I";', 19)).toEqual([
      expect.stringContaining('repack (concurrently) t using index "I";'),
    ])
    expect(rewrites('cluster t using i;', 18)).toEqual([expect.stringContaining('vacuum (analyze) t;')])
  })
})
const short = (findings: ReturnType<typeof lint>) =>
  findings.map(({ rule, line, column }) => `${line}:${column} ${rule}`)

describe('good files', () => {
  test('of the sample application have no findings', () => {
    const files = globSync('migrations/*.sql', { cwd: root })
      .sort()
      .map((path) => fileOf(readFileSync(join(root, path), 'utf8'), { name: basename(path, '.sql'), path }))
    expect(files).toHaveLength(3)
    expect(lint(...files)).toEqual([])
  })

  test('that pg_dump would write of everything have no findings but what is really in them', () => {
    const text = readFileSync(join(root, 'test/support/rich.sql'), 'utf8').replaceAll(/\$(owner|reader)/g, '$1')
    expect(short(lint(fileOf(text)))).toEqual([])
  })
})

describe('places', () => {
  test('count code points after letters of several bytes', () => {
    const text = 'select \'ä🐘\';\n/* ñ */ select \'ü\' as "🐘"; create index on "tä🐘b" (a)'
    expect(short(lint(fileOf(text)))).toEqual(['2:28 index-not-concurrent'])
    expect(lint(fileOf(text))[0]).toMatchObject({ table: { name: 'tä🐘b' } })
  })

  test('within a statement are those of the clause', () => {
    const text =
      'alter table t\n  -- first\n  add column a int,\n  add constraint "ü" check (a > 0),\n  alter column b set not null'
    expect(short(lint(fileOf(text)))).toEqual(['4:3 check-validates', '5:3 set-not-null-scan'])
  })

  test('are those of the file, where only a section of it is sent', () => {
    const [found] = lint(fileOf('-- migrate:up\ncreate index on t (a);\n', { line: 3 }))
    expect(found).toMatchObject({ line: 4, column: 1 })
    expect(found?.excerpt).toBe('  4 | create index on t (a);\n    | ^')
  })

  test('do not depend on line ends', () => {
    for (const end of ['\n', '\r\n', '\r'])
      expect(short(lint(fileOf(['select 1;', 'select 2;', 'drop table t;'].join(end))))).toEqual(['3:1 drop-table'])
  })
})

describe('syntax errors', () => {
  test('have line and caret, and no server is asked', () => {
    const [found] = lint(fileOf("select 'ö';\nalter tabel t add a int;\n"))
    expect(found).toMatchObject({
      rule: 'syntax-error',
      level: 'error',
      line: 2,
      column: 7,
      message: 'syntax error at or near "tabel"',
    })
    expect(found?.excerpt).toBe('  2 | alter tabel t add a int;\n    |       ^')
  })

  test('do not keep the other statements from being linted', () => {
    const text = 'selct 1; create index on t (a); update; drop table t'
    expect(short(lint(fileOf(text)))).toEqual([
      '1:1 syntax-error',
      '1:10 index-not-concurrent',
      '1:39 syntax-error',
      '1:41 drop-table',
    ])
  })

  test('at the end of the input are shown after the last visible character', () => {
    expect(short(lint(fileOf('select (1\n\n')))).toEqual(['1:10 syntax-error'])
  })

  test('are not seen where there are none: comments, an empty file, bodies of functions', () => {
    for (const text of [
      '',
      '\n',
      '-- nothing',
      '/* a /* b */ */',
      'create function f() returns int begin atomic select 1; select 2; end;',
    ])
      expect(lint(fileOf(text))).toEqual([])
  })
})

describe('commands of psql', () => {
  test('are errors, and the rest is linted', () => {
    expect(
      lint(fileOf('\\i other.sql\ndrop table t;\n\\copy t from x.csv\n')).map(({ rule, line, message }) => [
        rule,
        line,
        message,
      ]),
    ).toEqual([
      ['psql-meta-command', 1, '\\i is a psql command'],
      ['drop-table', 2, 'the table t is dropped with its data'],
      ['psql-meta-command', 3, '\\copy is a psql command'],
    ])
  })

  test('that pg_dump writes are not, nor is the data of a COPY', () => {
    const text =
      "\\restrict abc\nselect set_config('search_path', '', true);\ncreate table public.t (a int, b text);\ncopy public.t (a, b) from stdin;\n1\tdrop table x;\n2\t\\N\n\\.\n\n\\unrestrict abc\n"
    expect(lint(fileOf(text))).toEqual([])
  })
})

describe('a table that is new', () => {
  const create = fileOf('create table t (a int)', { name: '001' })
  const index = fileOf('create index on t (a)', { name: '002' })

  test('in an earlier file is in use by now', () => {
    expect(lint(create, index)).toHaveLength(1)
  })

  test('in an earlier file that is pending too is empty', () => {
    expect(lint({ ...create, pending: true }, { ...index, pending: true })).toEqual([])
    expect(lint(create, { ...index, pending: true })).toHaveLength(1)
  })

  test('is the one that the database does not have', () => {
    const linted = (existing: string[]) => lintFiles({ parser, files: [create, index], existing: new Set(existing) })
    expect(linted(['public.t'])).toHaveLength(1)
    expect(linted([])).toEqual([])
  })

  test('is exempt also in another schema, quoted, renamed, and made by a query', () => {
    for (const text of [
      'create table app."T" (a int); create index on app."T" (a)',
      'set local search_path = app; create table t (a int); create index on app.t (a)',
      'create table t (a int); alter table t rename to u; create index on u (a)',
      'create table t as select 1 as a; alter table t alter a set not null',
      'select 1 as a into t; create index on t (a)',
      'create schema app create table t (a int); create index on app.t (a)',
      'create table if not exists t (a int); create index on t (a)',
      'create foreign table t (a int) server s; alter table t alter a set not null',
    ])
      expect(lint(fileOf(text)), text).toEqual([])
  })

  test('is not the one that IF NOT EXISTS may leave alone', () => {
    expect(lint(create, fileOf('create table if not exists t (a int); create index on t (a)'))).toHaveLength(1)
  })

  test('is not another one of the same name', () => {
    expect(lint(fileOf('create table app.t (a int); create index on t (a)'))).toHaveLength(1)
  })
})

describe('levels', () => {
  const file = fileOf('create index on t (a); create table u (a int)')

  test('can be changed and switched off', () => {
    const levels = { 'index-not-concurrent': 'error', 'unqualified-name': 'warn' } as const
    expect(lintFiles({ parser, files: [file], levels }).map(({ rule, level }) => `${level} ${rule}`)).toEqual([
      'error index-not-concurrent',
      'warn unqualified-name',
      'warn unqualified-name',
    ])
    expect(lintFiles({ parser, files: [file], levels: { 'index-not-concurrent': 'off' } })).toEqual([])
  })
})

describe('comments that allow', () => {
  const allow = (comment: string, sql = 'drop table t') => short(lint(fileOf(`${comment}\n${sql}`)))

  test('a rule, with a reason, wherever they are', () => {
    expect(allow('-- pgbosun: allow drop-table it is empty')).toEqual([])
    expect(short(lint(fileOf('drop table t;\n  --pgbosun: allow drop-table it is empty')))).toEqual([])
    expect(allow('-- pgbosun: allow drop-table it is empty\r')).toEqual([])
  })

  test('nothing are reported', () => {
    expect(allow('-- pgbosun: allow drop-table it is empty', 'select 1')).toEqual(['1:1 unused-allow'])
    expect(allow('-- pgbosun: allow drop-table')).toEqual(['1:1 unused-allow', '2:1 drop-table'])
    const [unknown] = lint(fileOf('-- pgbosun: allow drop-tables it is empty'))
    expect(unknown).toMatchObject({
      rule: 'unused-allow',
      message: 'there is no rule drop-tables; did you mean drop-table?',
    })
  })

  test('only the rule that they name, and nothing in a string', () => {
    expect(allow('-- pgbosun: allow drop-column it is empty')).toEqual(['1:1 unused-allow', '2:1 drop-table'])
    expect(allow("select '-- pgbosun: allow drop-table it is empty';")).toEqual(['2:1 drop-table'])
  })

  test('a rule that is off are not reported', () => {
    expect(allow('-- pgbosun: allow json-column old data', 'select 1')).toEqual([])
    expect(allow('-- pgbosun: allow json-column old data', 'create table t (a json)')).toEqual([])
  })
})

test('files that are not linted only declare', () => {
  const files = [
    fileOf('drop table x; create table a (id uuid primary key)', { name: '1' }),
    fileOf('create table b (a_id int references a)', { name: '2' }),
  ]
  expect(lintFiles({ parser, files, isLinted: ({ name }) => name === '2' }).map(({ rule }) => rule)).toEqual([
    'fk-type-mismatch',
  ])
})

test('a thousand files take no longer than one of their size', { timeout: 30_000 }, () => {
  const files = Array.from({ length: 1000 }, (_, i) =>
    fileOf(`create table t${i} (a int); create index on t${i} (a);`, { name: `${i}` }),
  )
  expect(lint(...files)).toEqual([])
})
