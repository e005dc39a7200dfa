import { describe, expect } from 'vitest'
import { urlOf } from './support/postgres.ts'
import type { Part, Tool } from './support/tools/tool.ts'
import { installTools } from './support/tools.ts'
import {
  type Database,
  expectDone,
  historyOf,
  parts,
  pgbosun,
  schemaOf,
  test,
  withPgbosun,
  withTool,
  write,
} from './support/turns.ts'

const tools = await installTools()

test('each tool has a format of ours', () => expect(new Set(tools.map(({ format }) => format)).size).toBe(tools.length))

/** Starting Java takes seconds where others are at work. */
const timeout = 180_000

/** How many rows a tool's history has after so many migrations. */
const rowsAfter = ({ format }: Tool, count: number) =>
  format === 'golang-migrate' ? Math.min(count, 1) : format === 'goose' ? count + 1 : count

const numbersTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1)

/** The first five, of which the third fails at its end. */
const broken = parts
  .slice(0, 5)
  .map((part, i) => (i === 2 ? { ...part, up: `${part.up}\nselect nothing_of_this;` } : part))

for (const tool of tools) {
  describe(`taking turns with ${tool.format}`, { timeout }, () => {
    const titles = parts.map((_, i) => tool.title(i + 1))

    test('leaves the same history and the same schema, whoever did which half', async ({ databases, dir }) => {
      const [all, itFirst, weFirst, onlyWe] = (await databases(4)) as [Database, Database, Database, Database]
      await write(tool, dir, parts.slice(0, 3))
      await withTool(tool, dir, itFirst)
      expect(await withPgbosun(tool, dir, weFirst)).toEqual(titles.slice(0, 3))
      await write(tool, dir, parts)
      await withTool(tool, dir, all)
      expect(await withPgbosun(tool, dir, itFirst)).toEqual(titles.slice(3))
      await withTool(tool, dir, weFirst)
      expect(await withPgbosun(tool, dir, onlyWe)).toEqual(titles)

      const [history, schema] = [await historyOf(tool, all), await schemaOf(all)]
      expect(history).toHaveLength(rowsAfter(tool, parts.length))
      expect(schema).toContain('orders_user')
      for (const database of [itFirst, weFirst, onlyWe]) {
        expect(await historyOf(tool, database)).toEqual(history)
        expect(await schemaOf(database)).toBe(schema)
      }
      // that their histories and schemas are the same has just been compared
      for (const database of [itFirst, weFirst]) await expectDone(tool, dir, database)
    })

    test('`auto` takes the folder for what it is', async ({ databases, dir }) => {
      const [empty, begun] = (await databases(2)) as [Database, Database]
      await write(tool, dir, parts.slice(0, 2))
      const auto = { env: { PGBOSUN_MIGRATE_FORMAT: 'auto' } }
      const { code, json } = await pgbosun(tool, ['migrate'], dir, empty, auto.env)
      expect([code, json.results]).toEqual(tool.ambiguous ? [2, undefined] : [0, expect.arrayContaining([])])
      if (!tool.ambiguous) expect(await withTool(tool, dir, empty)).toMatch(tool.nothing)

      await withTool(tool, dir, begun)
      await write(tool, dir, parts.slice(0, 3))
      expect(await withPgbosun(tool, dir, begun, auto)).toEqual(titles.slice(2, 3))
      expect(await withTool(tool, dir, begun)).toMatch(tool.nothing)
    })

    test('turn by turn, one migration each', async ({ databases, dir }) => {
      const [all, turns] = (await databases(2)) as [Database, Database]
      for (const [i] of parts.entries()) {
        await write(tool, dir, parts.slice(0, i + 1))
        if (i % 2 === 0) await withTool(tool, dir, turns)
        else expect(await withPgbosun(tool, dir, turns)).toEqual([titles[i]])
      }
      await withTool(tool, dir, all)
      expect(await historyOf(tool, turns)).toEqual(await historyOf(tool, all))
      expect(await schemaOf(turns)).toBe(await schemaOf(all))
      await expectDone(tool, dir, turns)
    })

    test('a failure in the third of five leaves exactly the first two, for either to go on with', async ({
      databases,
      dir,
    }) => {
      const [database, all] = (await databases(2)) as [Database, Database]
      await write(tool, dir, broken)
      const { code, json } = await pgbosun(tool, ['migrate'], dir, database)
      expect([code, json.error?.sqlstate]).toEqual([20, '42703'])
      expect(await historyOf(tool, database)).toHaveLength(rowsAfter(tool, 2))
      expect(await schemaOf(database)).not.toContain('count_orders')

      await write(tool, dir, parts)
      await withTool(tool, dir, database)
      await withTool(tool, dir, all)
      expect(await schemaOf(database)).toBe(await schemaOf(all))
      await expectDone(tool, dir, database)
    })

    // after a failure golang-migrate wants somebody to look first: see compat-tools.int.test.ts
    if (tool.format === 'golang-migrate') return
    test('we go on where the tool has failed', async ({ databases, dir }) => {
      const [database, all] = (await databases(2)) as [Database, Database]
      await write(tool, dir, broken)
      const { code, output } = await tool.run(tool.up, { cwd: dir, url: urlOf(database.name) })
      expect(code, output).not.toBe(0)
      await write(tool, dir, parts)
      expect((await withPgbosun(tool, dir, database)).at(-1)).toBe(titles.at(-1))
      await withTool(tool, dir, all)
      expect(await schemaOf(database)).toBe(await schemaOf(all))
      await expectDone(tool, dir, database)
    })
  })
}

for (const tool of tools.filter(({ down }) => down)) {
  test(`${tool.format} undoes what we applied, and we what it applied`, { timeout }, async ({ databases, dir }) => {
    const [ours, its, reference] = (await databases(3)) as [Database, Database, Database]
    await write(tool, dir, parts)
    await withPgbosun(tool, dir, ours)
    await withTool(tool, dir, its)
    for (const n of numbersTo(3)) {
      await withTool(tool, dir, ours, tool.down)
      expect(await withPgbosun(tool, dir, its, { args: ['migrate', 'down'] })).toEqual([tool.title(7 - n)])
    }
    await write(tool, dir, parts.slice(0, 3))
    await withTool(tool, dir, reference)
    for (const database of [ours, its]) {
      expect(await historyOf(tool, database)).toEqual(await historyOf(tool, reference))
      expect(await schemaOf(database)).toBe(await schemaOf(reference))
      await expectDone(tool, dir, database)
    }
  })

  test(`${tool.format} and we undo everything alike, and apply it again`, { timeout }, async ({ databases, dir }) => {
    const [ours, its, reference] = (await databases(3)) as [Database, Database, Database]
    await write(tool, dir, parts.slice(0, 3))
    for (const database of [ours, its, reference]) await withTool(tool, dir, database)
    expect(await withPgbosun(tool, dir, ours, { args: ['migrate', 'down', '--to', '0'] })).toHaveLength(3)
    for (const _ of numbersTo(3)) await withTool(tool, dir, its, tool.down)
    expect(await historyOf(tool, ours)).toEqual(await historyOf(tool, its))
    expect(await schemaOf(ours)).toBe(await schemaOf(its))

    await withTool(tool, dir, ours)
    await withPgbosun(tool, dir, its)
    for (const database of [ours, its]) {
      expect(await historyOf(tool, database)).toEqual(await historyOf(tool, ours))
      expect(await schemaOf(database)).toBe(await schemaOf(reference))
      await expectDone(tool, dir, database)
    }
  })
}

/** The first, for which both may race, sleeps in a database that is {@link slow}, long enough for the other one to come. */
const sleepy: Part[] = [
  {
    up: "select pg_sleep(coalesce(current_setting('compat.sleep', true), '0')::float);\ncreate table first ();",
    down: 'drop table first;',
  },
  ...parts,
]

const slow = ({ name, sql }: Database) => sql.unsafe(`alter database ${name} set compat.sleep = '4'`)
const isAsleep = ({ sql }: Database) =>
  expect
    .poll(() => sql`select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'`)
    .toHaveLength(1)

/** What a tool does that comes while we work: it waits for its lock, or gives up. Those without a lock fail at what is there by then. */
const comingLate: Record<Tool['format'], { code: number; says: RegExp }> = {
  'golang-migrate': { code: 0, says: /^no change$/m },
  flyway: { code: 0, says: /is up to date/ },
  'node-pg-migrate': { code: 1, says: /Another migration is already running/ },
  'graphile-migrate': { code: 1, says: /Failed to get exclusive lock/ },
  dbmate: { code: 2, says: /duplicate key|already exists|deadlock/ },
  goose: { code: 1, says: /duplicate key|already exists|deadlock/ },
  sqlx: { code: 1, says: /duplicate key|already exists|deadlock/ },
}

/** The command lines of these take no lock. */
const lockless: Tool['format'][] = ['dbmate', 'goose', 'sqlx']

for (const tool of tools)
  describe(`at the same time as ${tool.format}`, { timeout }, () => {
    /** Attempts that were rolled back use up numbers. */
    const rowsOf = async (database: Database) =>
      (await historyOf(tool, database)).map(({ id, ...row }) => (lockless.includes(tool.format) ? row : { id, ...row }))

    async function expectOnce(dir: string, database: Database, reference: Database) {
      await withTool(tool, dir, reference)
      expect(await rowsOf(database)).toEqual(await rowsOf(reference))
      expect(await schemaOf(database)).toBe(await schemaOf(reference))
      expect(await database.sql`select user_id::int from orders`).toHaveLength(1)
      await expectDone(tool, dir, database)
    }

    test('it comes while we work', async ({ databases, dir }) => {
      const [database, reference] = (await databases(2)) as [Database, Database]
      await slow(database)
      await write(tool, dir, sleepy)
      const ours = withPgbosun(tool, dir, database)
      await isAsleep(database)
      const { code, output } = await tool.run(tool.up, { cwd: dir, url: urlOf(database.name) })
      const { code: expected, says } = comingLate[tool.format]
      expect({ code, output }).toEqual({ code: expected, output: expect.stringMatching(says) })
      expect(await ours).toHaveLength(sleepy.length)
      await expectOnce(dir, database, reference)
    })

    // goose has nothing that would stop the second
    if (lockless.includes(tool.format) && tool.format !== 'goose')
      test('a file of data alone is applied once', async ({ databases, dir }) => {
        const [database] = (await databases(1)) as [Database]
        await database.sql`create table t (x int)`
        await slow(database)
        await write(tool, dir, [
          { up: "select pg_sleep(current_setting('compat.sleep')::float);\ninsert into t values (1);", down: '' },
        ])
        const its = tool.run(tool.up, { cwd: dir, url: urlOf(database.name) })
        await isAsleep(database)
        const { code } = await pgbosun(tool, ['migrate'], dir, database)
        expect([(await its).code, code]).toContain(0)
        expect(await database.sql`select x from t`).toHaveLength(1)
        await expectDone(tool, dir, database)
      })

    test('we come while it works', async ({ databases, dir }) => {
      const [database, reference] = (await databases(2)) as [Database, Database]
      await slow(database)
      await write(tool, dir, sleepy)
      const running = tool.run(tool.up, { cwd: dir, url: urlOf(database.name) })
      await isAsleep(database)
      const ours = await pgbosun(tool, ['migrate'], dir, database)
      const its = await running
      if (lockless.includes(tool.format)) expect([ours.code, its.code], its.output + ours.stderr).toContain(0)
      else {
        expect([its.code, ours.code], its.output + ours.stderr).toEqual([0, 0])
        expect(ours.json.results).toEqual([])
        expect(ours.stderr).toContain(`waiting for the lock of ${tool.format}`)
      }
      await expectOnce(dir, database, reference)
    })
  })
