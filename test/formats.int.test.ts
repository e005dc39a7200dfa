import { describe, expect } from 'vitest'
import { runJson } from './support/cli.ts'
import { type Format, formats, type Part } from './support/formats.ts'
import { test as base, type Sql, urlOf, writeFiles } from './support/postgres.ts'

type Files = Record<string, string>
type Report = Awaited<ReturnType<typeof runJson>>['json']
type Answer = { code: number | null; json: Report; stderr: string }
type App = {
  files: Files
  write(parts?: Part[]): Promise<void>
  pgbosun(...args: string[]): Promise<Answer>
}

/** Each leaves a table and a row, so that it is seen whether it ran, and how often. */
const parts: Part[] = [1, 2, 3, 4, 5].map((n) => ({
  up: `${n === 1 ? 'create table runs (n int);\n' : ''}create table t${n} (id int);\ninsert into runs values (${n});`,
  down: `delete from runs where n = ${n};\ndrop table t${n};${n === 1 ? '\ndrop table runs;' : ''}`,
}))

/** The same with another text for one of them. */
const withUp = (n: number, up: string, more: Partial<Part> = {}) =>
  parts.map((part, i) => (i === n - 1 ? { ...part, up, ...more } : part))

const all = [1, 2, 3, 4, 5]

const tables = async (sql: Sql) =>
  (
    await sql<{ name: string }[]>`select relname as name from pg_class
      where relkind = 'r' and relnamespace = 'public'::regnamespace and relname ~ '^t[0-9]$' order by 1`
  ).map(({ name }) => Number(name.slice(1)))

const ran = async (sql: Sql) => (await sql<{ n: number }[]>`select n from runs order by n`).map(({ n }) => n)

const eventsOf = async (sql: Sql) => (await sql`select from pgbosun.events`).length

/** What we keep beside the tool's history: of each migration the newest row that counts. */
async function details(sql: Sql, { name }: Format): Promise<string[]> {
  const rows =
    name === 'pgbosun'
      ? await sql<{ line: string }[]>`select version || ' ' || status as line from pgbosun.migrations order by seq`
      : await sql<{ line: string }[]>`
          select line from (select distinct on (id) id || ' ' || status as line, seq, status from pgbosun.migration_details
            order by id, seq desc) newest where status <> 'undone' order by seq`
  return rows.map(({ line }) => line)
}

const names = (format: Format, numbers: number[]) => numbers.map(format.title)
const results = (json: Report) =>
  (json.results as { name: string; status: string }[]).map(({ name, status }) => `${name} ${status}`)
const applied = (format: Format, numbers: number[]) => numbers.map((n) => `${format.title(n)} applied`)

/** Everything is as if the tool itself had applied these migrations, and nothing else. */
async function expectApplied(sql: Sql, format: Format, numbers: number[], files: Files): Promise<void> {
  expect(await format.rows(sql)).toEqual(format.expected(numbers, files))
  expect(await tables(sql)).toEqual(numbers)
  expect(await ran(sql)).toEqual(numbers)
}

for (const format of formats) {
  /** The format's files in a folder, and the program on a database of its own. */
  const test = base.extend<{ app: App }>({
    app: async ({ dir, database }, use) => {
      const env = { DATABASE_URL: urlOf(database), PGBOSUN_MIGRATE_FORMAT: format.name }
      const app: App = {
        files: {},
        async write(wanted = parts) {
          app.files = format.files(wanted)
          await writeFiles(
            dir,
            Object.fromEntries(Object.entries(app.files).map(([path, text]) => [`migrations/${path}`, text])),
          )
        },
        pgbosun: async (...args) => runJson(args, { cwd: dir, env }),
      }
      await app.write()
      await use(app)
    },
  })

  /** As the format's tool leaves a database in which it applied these migrations. */
  const byTool = async (sql: Sql, { files }: App, numbers: number[]) => {
    await sql.unsafe(format.ddl)
    for (const n of numbers) await sql.begin((tx) => tx.unsafe(`${parts[n - 1]!.up} ${format.record(n, files)}`))
  }

  describe(format.name, { timeout: 120_000 }, () => {
    test('applies all, and leaves what its tool would; a second run finds nothing and writes nothing', async ({
      app,
      sql,
    }) => {
      const { code, json, stderr } = await app.pgbosun('migrate')
      expect(code, stderr).toBe(0)
      expect(results(json)).toEqual(applied(format, all))
      await expectApplied(sql, format, all, app.files)
      expect(await details(sql, format)).toHaveLength(5)
      const [rows, events] = [await format.rows(sql), await eventsOf(sql)]

      const again = await app.pgbosun('migrate')
      expect([again.code, again.json.results, again.json.warnings]).toEqual([0, [], []])
      expect([await format.rows(sql), await eventsOf(sql)]).toEqual([rows, events])
      const status = await app.pgbosun('migrate', 'status', '--exit-code')
      expect([status.code, status.json.applied, status.json.pending, status.json.problems]).toEqual([
        0,
        names(format, all),
        [],
        [],
      ])
    })

    test.for([
      {
        what: 'a syntax error',
        bad: "select 1;\n  select 'ünïcödé 😀', from runs;",
        at: 'from runs',
        sqlstate: '42601',
      },
      {
        what: 'a failure when it runs',
        bad: 'select 1;\n  insert into runs values (1/0);',
        at: 'insert',
        sqlstate: '22012',
      },
    ])('$what in the third of five leaves exactly two, and tells file, line and column', async ({ bad, at, sqlstate }, {
      app,
      sql,
      dir,
    }) => {
      const text = `create table t3 (id int);\n${bad}`
      await app.write(withUp(3, text))
      const failed = await app.pgbosun('migrate')
      const before = app.files[format.path(3)]!.split(bad)[0]! + bad.slice(0, bad.indexOf(at))
      expect([failed.code, failed.json.error]).toEqual([
        20,
        expect.objectContaining({
          kind: 'migration',
          sqlstate,
          file: `${dir}/migrations/${format.path(3)}`,
          line: before.split('\n').length,
          column: [...before.split('\n').at(-1)!].length + 1,
        }),
      ])
      expect(results(failed.json)).toEqual([
        ...applied(format, [1, 2]),
        `${format.title(3)} failed`,
        `${format.title(4)} not-run`,
        `${format.title(5)} not-run`,
      ])
      await expectApplied(sql, format, [1, 2], app.files)
      expect(await details(sql, format)).toHaveLength(2)

      await app.write()
      expect(results((await app.pgbosun('migrate')).json)).toEqual(applied(format, [3, 4, 5]))
      await expectApplied(sql, format, all, app.files)
    })

    test('ten runners at once all end well, and each migration is applied once', async ({ app, sql }) => {
      const runs = await Promise.all(Array.from({ length: 10 }, () => app.pgbosun('migrate')))
      expect(runs.filter(({ code }) => code !== 0).map(({ stderr }) => stderr)).toEqual([])
      expect(runs.flatMap(({ json }) => results(json))).toEqual(applied(format, all))
      await expectApplied(sql, format, all, app.files)
      expect(await eventsOf(sql)).toBe(2)
    })

    test('an index is built concurrently in the fourth of five', async ({ app, sql }) => {
      await app.write(withUp(4, 'create index concurrently runs_n on runs (n);', { alone: true }))
      const { code, json, stderr } = await app.pgbosun('migrate')
      expect(code, stderr).toBe(0)
      expect(results(json)).toEqual(applied(format, all))
      expect(await sql`select indisvalid from pg_index where indexrelid = 'runs_n'::regclass`).toEqual([
        { indisvalid: true },
      ])
      expect(await format.rows(sql)).toEqual(format.expected(all, app.files))
      expect(await ran(sql)).toEqual([1, 2, 3, 5])
      expect((await app.pgbosun('migrate')).json.results).toEqual([])
    })

    test('an index that cannot be built leaves nothing, neither in the schema nor in the histories', async ({
      app,
      sql,
    }) => {
      await app.write(withUp(4, 'create unique index concurrently runs_n on runs ((n / 10));', { alone: true }))
      const failed = await app.pgbosun('migrate')
      expect([failed.code, failed.json.error]).toEqual([
        20,
        expect.objectContaining({ kind: 'migration', sqlstate: '23505' }),
      ])
      await expectApplied(sql, format, [1, 2, 3], app.files)
      expect(await details(sql, format)).toHaveLength(3)
      expect(await sql`select from pg_class where relname = 'runs_n'`).toHaveLength(0)

      await app.write()
      expect(results((await app.pgbosun('migrate')).json)).toEqual(applied(format, [4, 5]))
      await expectApplied(sql, format, all, app.files)
    })

    test('--to, --steps and --fake apply a part, and record without running', async ({ app, sql }) => {
      expect(results((await app.pgbosun('migrate', '--to', format.title(2))).json)).toEqual(applied(format, [1, 2]))
      await expectApplied(sql, format, [1, 2], app.files)
      expect(results((await app.pgbosun('migrate', '--steps', '1')).json)).toEqual(applied(format, [3]))
      await expectApplied(sql, format, [1, 2, 3], app.files)
      expect(results((await app.pgbosun('migrate', '--fake', '--steps', '1')).json)).toEqual(applied(format, [4]))
      expect(await tables(sql)).toEqual([1, 2, 3])
      const whole = (rows: object[]) => rows.map((row) => ('status' in row ? { ...row, status: 'applied' } : row))
      const timed = (rows: object[]) => rows.map((row) => ('timed' in row ? { ...row, timed: true } : row))
      expect(timed(whole(await format.rows(sql)))).toEqual(format.expected([1, 2, 3, 4], app.files))
      expect(results((await app.pgbosun('migrate')).json)).toEqual(applied(format, [5]))
      expect(await ran(sql)).toEqual([1, 2, 3, 5])
      expect((await app.pgbosun('migrate', '--to', '99')).code).toBe(2)
    })

    if (format.name !== 'pgbosun') {
      test('what its tool applied is accepted', async ({ app, sql }) => {
        await byTool(sql, app, all)
        const { code, json, stderr } = await app.pgbosun('migrate')
        expect([code, json.results, json.warnings], stderr).toEqual([0, [], []])
        await expectApplied(sql, format, all, app.files)
        const verified = await app.pgbosun('migrate', 'verify')
        expect([verified.code, verified.json.problems]).toEqual([0, []])
      })

      test('continues where its tool stopped', async ({ app, sql }) => {
        await byTool(sql, app, [1, 2])
        const { code, json, stderr } = await app.pgbosun('migrate')
        expect([code, results(json)], stderr).toEqual([0, applied(format, [3, 4, 5])])
        await expectApplied(sql, format, all, app.files)
        expect(await details(sql, format)).toHaveLength(3)
      })

      test('its tool continues where we stopped, and we find what it did', async ({ app, sql }) => {
        await app.pgbosun('migrate', '--steps', '2')
        for (const n of [3, 4]) await sql.begin((tx) => tx.unsafe(`${parts[n - 1]!.up} ${format.record(n, app.files)}`))
        expect(results((await app.pgbosun('migrate')).json)).toEqual(applied(format, [5]))
        await expectApplied(sql, format, all, app.files)
      })
    }

    if (format.down) {
      test('down undoes the newest, redo undoes and applies it, and all can be undone', async ({ app, sql }) => {
        await app.pgbosun('migrate')
        expect(results((await app.pgbosun('migrate', 'down')).json)).toEqual(applied(format, [5]))
        await expectApplied(sql, format, [1, 2, 3, 4], app.files)
        expect(results((await app.pgbosun('migrate', 'redo')).json)).toEqual(applied(format, [4, 4]))
        await expectApplied(sql, format, [1, 2, 3, 4], app.files)
        expect(results((await app.pgbosun('migrate', 'down', '--to', format.title(2))).json)).toEqual(
          applied(format, [4, 3]),
        )
        await expectApplied(sql, format, [1, 2], app.files)
        expect(results((await app.pgbosun('migrate')).json)).toEqual(applied(format, [3, 4, 5]))
        await expectApplied(sql, format, all, app.files)

        expect(results((await app.pgbosun('migrate', 'down', '--to', '0')).json)).toEqual(
          applied(format, [5, 4, 3, 2, 1]),
        )
        expect(await tables(sql)).toEqual([])
        expect(await format.rows(sql)).toEqual(format.expected([], app.files))
        expect(await details(sql, format)).toEqual([])
        expect(results((await app.pgbosun('migrate')).json)).toEqual(applied(format, all))
      })

      test('a failing down script leaves everything, and tells its place', async ({ app, sql, dir }) => {
        const bad = 'delete from runs;\n  drop table nothing_there;'
        await app.write(parts.map((part, i) => (i === 4 ? { ...part, down: bad } : part)))
        await app.pgbosun('migrate')
        const { code, json } = await app.pgbosun('migrate', 'down', '--steps', '2')
        const [path, text] = Object.entries(app.files).find(([, content]) => content.includes(bad))!
        const line = text.split('drop table nothing_there')[0]!.split('\n').length
        expect([code, json.error]).toEqual([
          20,
          expect.objectContaining({ sqlstate: '42P01', file: `${dir}/migrations/${path}`, line, column: 3 }),
        ])
        await expectApplied(sql, format, all, app.files)
      })

      if (format.name !== 'pgbosun') {
        test('undoes what its tool applied', async ({ app, sql }) => {
          await byTool(sql, app, all)
          expect(results((await app.pgbosun('migrate', 'down', '--steps', '2')).json)).toEqual(applied(format, [5, 4]))
          await expectApplied(sql, format, [1, 2, 3], app.files)
        })
      }
    } else {
      test('down is refused, because there is no script that undoes it', async ({ app, sql }) => {
        await app.pgbosun('migrate')
        const { code, json } = await app.pgbosun('migrate', 'down')
        const hint = 'write a new migration that changes it back, or restore a backup'
        expect([code, json.error]).toEqual([2, expect.objectContaining({ kind: 'usage', hint })])
        await expectApplied(sql, format, all, app.files)
      })
    }
  })
}
