import { join } from 'node:path'
import { describe, expect } from 'vitest'
import type { NativeHistory, NativeRow } from '../src/formats/format.ts'
import { openFormat } from '../src/formats/open.ts'
import type { Migration } from '../src/formats/types.ts'
import { quoteName } from '../src/sql/quote.ts'
import { open, type Sql, test, uniqueName, urlOf, writeFiles } from './support/postgres.ts'
import { shapeOf } from './support/shape.ts'
import type { Tool } from './support/tools/tool.ts'
import { installTools } from './support/tools.ts'
import { write } from './support/turns.ts'

const tools = await installTools()

const part = (n: number) => ({ up: `create table t${n} (id int);`, down: `drop table t${n};` })

/** The format of a tool, with its table where the tool has it in an ordinary database. */
async function formatOf({ format: name }: Tool) {
  const format = await openFormat(name)
  if (!format.native) throw new Error(`${name} has a history of its own`)
  const [first = '', second] = format.native.table.split('.')
  const [schema, table] = second === undefined ? ['public', first] : [first, second]
  return { format, native: format.native, schema, table: quoteName(schema, table) }
}

const filesOf = async (tool: Tool, cwd: string): Promise<Migration[]> =>
  (await openFormat(tool.format)).read(join(cwd, 'migrations'), {
    placeholders: {},
    database: 'x',
    user: 'y',
    environment: {},
  })

async function rowsOf(sql: Sql, native: NativeHistory, table: string): Promise<NativeRow[]> {
  const [row] = await sql.unsafe<{ rows: NativeRow[] }[]>(native.select(table))
  return row?.rows ?? []
}

/** Applies files as the engine does: the record and the text in one message. */
async function apply(sql: Sql, native: NativeHistory, table: string, files: Migration[], from = 0): Promise<void> {
  for (const [i, file] of files.entries())
    if (i >= from) await sql.unsafe(`${native.record(table, file, files[i - 1])};\n${file.text}`)
}

/** Tables of the migrations that are there. */
const tables = async (sql: Sql) =>
  (await sql<{ name: string }[]>`select relname as name from pg_class where relname ~ '^t[0-9]$' order by 1`).map(
    ({ name }) => name,
  )

async function run(tool: Tool, args: string[], cwd: string, database: string): Promise<string> {
  const { code, output } = await tool.run(args, { cwd, url: urlOf(database) })
  expect(code, output).toBe(0)
  return output
}

for (const tool of tools) {
  describe(`the real ${tool.format}`, () => {
    test('writes a history that we read as it was meant', async ({ sql, database, dir }) => {
      await write(tool, dir, [part(1), part(2), part(3)])
      await run(tool, tool.up, dir, database)
      const { native, schema, table } = await formatOf(tool)
      const files = await filesOf(tool, dir)
      const all = await rowsOf(sql, native, table)
      // as the engine reads them: without goose's row for nothing, and with those that golang-migrate's newest stands for
      const rows = (native.expand?.(all, files) ?? all).filter(({ id }) => id !== null)
      expect(rows.map(({ id, kind, checksum, ok }) => [id, kind, checksum, ok])).toEqual(
        files.map(({ id, checksum }) => [id, 'versioned', checksum, true]),
      )
      for (const { appliedAt } of rows)
        if (appliedAt !== null) expect(Math.abs(Date.parse(appliedAt) - Date.now())).toBeLessThan(120_000)

      const itsShape = (await shapeOf(sql, schema)).filter((line) => !/\bt[123]\b/.test(line))
      await sql.unsafe(schema === 'public' ? `drop table ${table}` : `drop schema ${schema} cascade`)
      await sql.unsafe(native.create(table))
      expect((await shapeOf(sql, schema)).filter((line) => !/\bt[123]\b/.test(line))).toEqual(itsShape)
    })

    test('finds nothing to do after us, and goes on where we stopped', async ({ sql, database, dir }) => {
      await write(tool, dir, [part(1), part(2)])
      const { native, table } = await formatOf(tool)
      await sql.unsafe(native.create(table))
      await apply(sql, native, table, await filesOf(tool, dir))
      const before = await rowsOf(sql, native, table)
      expect(await run(tool, tool.up, dir, database)).toMatch(tool.nothing)
      expect(await rowsOf(sql, native, table)).toEqual(before)

      await write(tool, dir, [part(1), part(2), part(3)])
      await run(tool, tool.up, dir, database)
      expect(await tables(sql)).toEqual(['t1', 't2', 't3'])
      expect(await run(tool, tool.up, dir, database)).toMatch(tool.nothing)
    })

    test('the tool stops where we continue', async ({ sql, database, dir }) => {
      await write(tool, dir, [part(1)])
      await run(tool, tool.up, dir, database)
      await write(tool, dir, [part(1), part(2), part(3)])
      const { native, table } = await formatOf(tool)
      await apply(sql, native, table, await filesOf(tool, dir), 1)
      expect(await run(tool, tool.up, dir, database)).toMatch(tool.nothing)
      expect(await tables(sql)).toEqual(['t1', 't2', 't3'])
    })
  })
}

const named = (format: Tool['format']) => tools.find((tool) => tool.format === format)

test.skipIf(!tools)('dbmate status agrees with us about what is pending', async ({ sql, database, dir }) => {
  const tool = named('dbmate')
  if (!tool) throw new Error('dbmate is not there')
  await write(tool, dir, [part(1), part(2)])
  const { native, table } = await formatOf(tool)
  await sql.unsafe(native.create(table))
  const [first] = await filesOf(tool, dir)
  if (first) await apply(sql, native, table, [first])
  const { code, output } = await tool.run(['status', '--exit-code'], { cwd: dir, url: urlOf(database) })
  expect([code, output]).toEqual([
    1,
    expect.stringMatching(/\[X\] 001_part\.sql\n\[ \] 002_part\.sql\n\nApplied: 1\nPending: 1/),
  ])
})

test.skipIf(!tools)('graphile-migrate status agrees with us about what is pending', async ({ sql, database, dir }) => {
  const tool = named('graphile-migrate')
  if (!tool) throw new Error('graphile-migrate is not there')
  await write(tool, dir, [part(1), part(2)])
  const { native, table } = await formatOf(tool)
  await sql.unsafe(native.create(table))
  const files = await filesOf(tool, dir)
  await apply(sql, native, table, files.slice(0, 1))
  const status = () => tool.run(['status'], { cwd: dir, url: urlOf(database) })
  expect(await status()).toEqual({ code: 1, output: expect.stringContaining('000002.sql') })
  await apply(sql, native, table, files, 1)
  expect(await status()).toEqual({ code: 0, output: expect.stringContaining('Up to date.') })
})

test.skipIf(!tools)(
  'node-pg-migrate undoes what we applied, and we take its undoing for what it is',
  async ({ sql, database, dir }) => {
    const tool = named('node-pg-migrate')
    if (!tool) throw new Error('node-pg-migrate is not there')
    await write(tool, dir, [part(1), part(2)])
    const { native, table } = await formatOf(tool)
    await sql.unsafe(native.create(table))
    await apply(sql, native, table, await filesOf(tool, dir))
    await run(tool, ['down'], dir, database)
    expect(await tables(sql)).toEqual(['t1'])
    expect((await rowsOf(sql, native, table)).map(({ id }) => id)).toEqual(['001_part'])
  },
)

test.skipIf(!tools)('node-pg-migrate orders files and cuts them as we do', async ({ sql, database, dir }) => {
  const tool = named('node-pg-migrate')
  if (!tool) throw new Error('node-pg-migrate is not there')
  await write(tool, dir, [])
  const files = {
    '10_whole.sql': 'create table whole ();\r\n',
    '9_down_first.sql': '-- Down Migration\ncreate table wrong1 ();\n-- Up Migration\ncreate table down_first ();',
    '1_a.sql':
      'create table wrong2 ();\n  ---- UP \t Migration\ncreate table a ();\n--down migration\ncreate table wrong3 ();\n-- up migration\ncreate table wrong4 ();',
    '1_a_b.sql': '-- the up migration\ncreate table a_b ();',
    '20240101120000001_time.sql': 'create table time1 () -- without semicolon',
    '1704110400000_epoch.sql': '\n\n-- Up Migration\n\n',
    '1704110400002_epoch.SQL': '-- Up Migration\ncreate table big ();\n-- Down Migration\n',
  }
  await writeFiles(join(dir, 'migrations'), files)
  await run(tool, tool.up, dir, database)
  const made = async (connection: Sql) =>
    (
      await connection<
        { name: string }[]
      >`select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1`
    ).map(({ name }) => name)
  const [row] = await sql<{ names: string[] }[]>`select json_agg(name order by run_on, id) as names from pgmigrations`

  const ours = await filesOf(tool, dir)
  const other = uniqueName('t')
  await sql.unsafe(`create database ${other}`)
  const connection = open(other)
  const { native, table } = await formatOf(tool)
  await connection.unsafe(native.create(table))
  await apply(connection, native, table, ours)
  expect(ours.map(({ id }) => id)).toEqual(row?.names)
  expect(await made(connection)).toEqual(await made(sql))
  expect(await made(sql)).toEqual(['a', 'a_b', 'big', 'down_first', 'pgmigrations', 'time1', 'whole'])
  await connection.end()
})
