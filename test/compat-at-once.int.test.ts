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

test('what a tool does that comes late is known of each', () =>
  expect(Object.keys(comingLate)).toEqual(expect.arrayContaining(tools.map(({ format }) => format))))

/** Starting Java takes seconds where others are at work. */
const timeout = 180_000

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
